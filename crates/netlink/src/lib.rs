//! Blocking netlink: a socket, messages and attributes, and the messages of links, addresses and routes ([`route`]).
//!
//! Never returns a dump that the kernel reports as inconsistent, and never takes silence for success. Needs no runtime:
//! the kernel answers a request before the send returns. Sockets are closed on exec: otherwise a program that this
//! process starts would inherit a socket, and keep the objects alive that end with it.

pub mod attr;
mod error;
mod flag;
mod message;
pub mod route;
mod socket;

pub use attr::{Attrs, attributes, find};
pub use error::{NetlinkError, Reason};
pub use flag::flag;
pub use message::{Message, Part, Request, encode, messages};
pub use socket::{Answer, Socket};
