//! Approvals: statements that people sign, and their verification by coordinators and agents.
//!
//! Opens no file. Callers decide which certificates they trust and how many approvals are enough.

mod enrolment;
mod passkey;
mod signed;
mod standing;
mod statement;
pub mod testing;
mod tree;

pub use enrolment::Enrolment;
pub use passkey::{Answer, Fingerprint, PasskeyError, point, registered, verify};
pub use signed::{BY_PASSKEY_MOST, Opened, challenge, open, seal, seal_by_passkey};
pub use standing::Standing;
pub use statement::{PURPOSE, Requests, Statement};
pub use tree::{Digest, Leaves, Tree, leaf, proves};
