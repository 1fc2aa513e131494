//! Certificates, keys and revocation lists: read from PEM, chains checked against authorities, and signatures by their owners.
//!
//! Never opens a file, and never decides what somebody may do.

mod approvers;
mod chain;
mod pem;
mod signature;

pub use approvers::{APPROVES, Approvers, NotApprover};
pub use chain::{expires, in_date, is_signed_by, uris};
pub use pem::{PemError, certificates, private_key, revocation_lists};
pub use signature::{SCHEMES, signed_by};
