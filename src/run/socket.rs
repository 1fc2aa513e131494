//! A socket for each run, by which other processes on this machine reach its coordinator: an undo notifies the coordinators of affected
//! runs, a person sends a wish about the next attacks, and a new run asks which hosts other runs use. This works also if no host can be
//! reached.
//!
//! The sockets are in a directory that only their user can enter. A coordinator sends its run, hosts and authority
//! first; the authority is needed because several fleets may have hosts of the same names. The process that undoes decides whether the run is
//! affected, and sends only the name of the person who undoes. An undo by root notifies the coordinators of all users;
//! answers of other users' processes are claims and prove nothing.
//!
//! The name of a socket ends in `.bell`. Processes of different versions use these sockets together, so that the name must not change.

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
