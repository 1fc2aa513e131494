//! The common parts of observers: the function that adds a value, and the error. Never reads the host.

use std::collections::BTreeMap;

use firedrill_netlink::NetlinkError;

/// Maximum length of a value, in bytes. A longer value is replaced by its digest.
const LONGEST: usize = 4096;

/// The host's state could not be read, so nothing can be proven.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The kernel could not list something.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Something else could not be read.
    #[error("could not read {what}: {why}")]
    Unreadable {
        /// The path or name.
        what: String,
        /// The error.
        why: String,
    },
}

/// Adds a value. If the key exists already, a number is appended to the key: objects with the same key are numbered in the kernel's order.
pub(super) fn put(into: &mut BTreeMap<String, String>, key: &str, value: String) {
    let value = if value.len() > LONGEST { digest(&value) } else { value };
    let mut free = key.to_owned();
    let mut number = 1;
    while into.contains_key(&free) {
        number += 1;
        free = format!("{key} #{number}");
    }
    into.insert(free, value);
}

/// Returns the number of lines and the digest of a value.
fn digest(value: &str) -> String {
    use ring::digest::{SHA256, digest};
    let sum: String =
        digest(&SHA256, value.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} lines, sha256 {sum}", value.lines().count())
}
