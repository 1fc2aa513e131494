//! Checks whether the kernel can reset connections, by asking it to reset a connection that cannot exist.

use firedrill_wire::api::{Finding, Grade};

use super::finding::finding;
use crate::host::sockets::Sockets;

/// The name of the finding.
const WHAT: &str = "connection resets (SOCK_DESTROY)";

/// Returns the one finding on resets.
pub(super) fn findings() -> Vec<Finding> {
    vec![match Sockets::open().and_then(|mut sockets| sockets.able()) {
        Ok(()) => finding(WHAT, Grade::Good, "the kernel has it", ""),
        Err(error) => finding(
            WHAT,
            Grade::Missing,
            error.to_string(),
            "load inet_diag and tcp_diag, or a kernel with CONFIG_INET_DIAG_DESTROY; without it net-reset is refused",
        ),
    }]
}
