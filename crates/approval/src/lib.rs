//! Approvals: statements that people sign, and their verification by coordinators and agents.
//!
//! Never opens a file, and never decides which certificates are trusted or how many approvals are enough: whoever asks does.

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
