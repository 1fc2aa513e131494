//! The coordinator's link to agents: HTTP/2, JSON and server-sent events over mutual TLS 1.3, on any duplex byte
//! stream. TLS and the verification of the agent's name cannot be switched off.
//!
//! An [`Agent`] connects when it is first asked and again after a break; it never repeats a call that may have arrived.
//! Commands and streams have a connection each, so that a renewal never waits behind measurements. A link that was cut
//! is seen within about two seconds, by HTTP/2 pings.
//!
//! A fleet says how to reach an agent: by TCP (`address:port`), or by a program whose standard streams are the link,
//! such as a bastion:
//!
//! ```toml
//! connect = ["ssh", "-o", "BatchMode=yes", "-W", "%h:%p", "bastion.example.org"]
//! ```
//!
//! TLS runs inside, from coordinator to agent: the bastion sees only bytes. The program gets a process group of its
//! own, so that a Ctrl-C meant for Firedrill does not cut the links that healing needs; it must not ask for
//! passwords. The number of links that are opened over one way at a time is limited (`connect_at_once`). A link that was
//! rejected is retried, longest for an undo.
//!
//! An agent with an expired certificate is still asked for its status and healed, but never armed. The same applies to
//! all agents while the coordinator's revocation list cannot be read.

mod agent;
mod channel;
mod clock;
mod error;
mod events;
mod files;
mod identity;
mod person;
mod reach;
mod sse;
mod verify;
mod way;

pub use agent::Agent;
pub use clock::{Offset, offset};
pub use error::{LinkError, Trust};
pub use files::{all_at_once, hosts_at_once};
pub use identity::{Identity, IdentityError};
