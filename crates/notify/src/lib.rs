//! Messages to people about runs and game days, sent by channels such as chats and e-mail. Each kind of channel implements [`Kind`] for its
//! parameters; one list generates everything that needs all kinds.
//!
//! A message is first written to the spool ([`spool`]), and then delivered by a separate thread ([`Post`]). This crate never starts, judges or waits
//! for a run, and a run never waits for a delivery.

mod backoff;
pub mod chat;
mod delete;
mod deliver;
mod file;
mod kind;
mod mail;
mod message;
mod post;
mod read;
mod secrets;
mod send;
mod smtp;
pub mod spool;

pub use delete::delete;
pub use deliver::{deliver, test_one};
pub use file::{Channel, ChannelsFile};
pub use kind::{Kind, Parcel};
pub use mail::{Mail, Tls};
pub use message::{Begun, Message, What, now, rfc3339};
pub use post::{Left, Post};
pub use read::{Channels, is_channels, read};
pub use send::{Sent, send};

use serde_json::Value;

/// The file whose parts are the examples on the reference page.
pub const EXAMPLE: &str = include_str!("reference/channels.toml");

/// Returns the JSON Schema of files of channels (draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    firedrill_plan::scenario::titled_schema::<ChannelsFile>("Firedrill channels")
}

/// Returns the reference page.
#[must_use]
pub fn page() -> String {
    firedrill_plan::reference::page(&schema(), EXAMPLE, include_str!("reference/channels.md"))
}
