//! The messages between Firedrill's coordinator and its agents.
//!
//! This crate has only data: types, their text forms and their limits. It opens no file or socket, reads no clock, and carries out no fault.
//! The types are the compatibility contract of `/v1`: readers ignore fields that they do not know, and each new field has a default.

pub mod api;
pub mod event_rate;
pub mod evidence;
pub mod exchange;
pub mod fault;
pub mod hide;
pub mod id;
pub mod identity;
pub mod journal;
pub mod logs;
pub mod near;
pub mod origin;
pub mod pattern;
pub mod probe;
pub mod quantity;
pub mod refusal;
pub mod share;
pub mod span;
#[cfg(test)]
mod testing;
pub mod text;
pub mod touches;
pub mod writes;
pub mod x509;

pub use event_rate::EventRate;
pub use fault::Fault;
pub use id::{InjectionId, RunId};
pub use quantity::{BitRate, ByteSize};
pub use refusal::RefusalCode;
pub use share::Share;
pub use span::Span;
pub use touches::Touches;

/// Whether a value is the default of its type. Fields with a default are not serialized.
#[must_use]
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The version of the link's API, as in every path (`/v1/…`).
pub const API_VERSION: u32 = 1;

/// The port that agents listen on by default.
pub const DEFAULT_PORT: u16 = 7790;
