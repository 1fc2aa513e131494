//! Messages to people who have to know of a run or a game day, by the channels that they have. A kind of channel is described beside its
//! parameters ([`Kind`]); one list makes everything that goes over all kinds.
//!
//! A message is written to the spool first ([`spool`]), and delivered by a thread of its own ([`Post`]). Never waits for a run, never
//! starts or judges one, and is never waited for by one.

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
