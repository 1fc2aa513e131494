//! Reads certificates, keys and revocation lists from PEM, checks chains of certificates against authorities, and checks signatures by
//! the owners of certificates.
//!
//! Opens no file, and does not decide about permissions.

mod approvers;
mod chain;
mod pem;
mod signature;

pub use approvers::{APPROVAL_KEY_USAGE, Approvers, NotApprover};
pub use chain::{expires, in_date, is_issued_by, uris};
pub use pem::{PemError, certificates, private_key, revocation_lists};
pub use signature::{SCHEMES, is_signature_of_owner};
