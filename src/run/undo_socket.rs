//! Lets an undo on this machine tell the coordinators of affected runs, through a socket for each run. It works also
//! where neither process can reach a host.
//!
//! The sockets are in a directory that only their user can enter. A coordinator sends its run, hosts and authority
//! first, because several fleets may have hosts of the same names. The undo decides whether the run is affected and
//! sends nothing but the name of the person who asked for it. An undo by root notifies the coordinators of all users;
//! answers of other users' processes are claims and prove nothing.
//!
//! The name of a socket ends in `.bell`, because undo and coordinator may be of different versions.

mod folders;
mod listen;
mod notify;
mod protocol;
#[cfg(test)]
mod tests;

pub(super) use listen::{SocketFile, listen};
pub use notify::{Notified, notify};
pub(super) use protocol::Owner;
pub use protocol::UndoNotice;
