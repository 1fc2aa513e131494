//! Certificates, keys and revocation lists: read from PEM, and chains checked against authorities.
//!
//! Never opens a file, and never decides what somebody may do.

mod chain;
mod pem;

pub use chain::{in_date, is_signed_by, uris};
pub use pem::{PemError, certificates, private_key, revocation_lists};
