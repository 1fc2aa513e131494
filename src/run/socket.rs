//! A socket for each run, by which other processes on this machine reach its coordinator: an undo tells the coordinators of affected
//! runs, a person has a wish about the attacks to come, and a new run asks which hosts others use. It works also where no process can reach a host.
//!
//! The sockets are in a directory that only their user can enter. A coordinator sends its run, hosts and authority
//! first, because several fleets may have hosts of the same names. The undo decides whether the run is affected and
//! sends nothing but the name of the person who asked for it. An undo by root notifies the coordinators of all users;
//! answers of other users' processes are claims and prove nothing.
//!
//! The name of a socket ends in `.bell`, because the processes may be of different versions.

mod ask;
mod folders;
mod halt;
mod listen;
mod notify;
mod owners;
mod protocol;
mod request;
#[cfg(test)]
mod tests;

pub use halt::{Halted, halt};
pub(super) use listen::{SocketFile, listen};
pub use notify::{Notified, notify};
pub(super) use owners::{Found, Turn, owners};
pub use protocol::UndoNotice;
pub(super) use protocol::{Claim, Owner};
pub use request::{Requested, request};
