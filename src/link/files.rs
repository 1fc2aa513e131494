//! Compares the number of file descriptors that links need with the limit of this process, so that no link fails in the middle of a run
//! because the limit is reached.
//!
//! Raises the soft limit to the hard one; never changes the hard limit.

use std::sync::OnceLock;

use crate::plan::model::{Host, Reach};

/// Number of descriptors that are reserved for the rest of the process, including links that are being opened.
const RESERVED: u64 = 128;

/// Returns the limit of open files. The first call raises the soft limit to the hard one, where the system allows it. `None` if
/// there is no limit.
fn limit() -> Option<u64> {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    *LIMIT.get_or_init(firedrill_probe::allow_all_files)
}

/// Returns the number of descriptors that a link to a host needs. Over TCP it is the socket; by a command, the three streams of the program
/// and the descriptor that reports its end.
const fn descriptors_per_link(host: &Host) -> u64 {
    match host.agent {
        Reach::Tcp(_) => 1,
        Reach::Command(_) => 4,
    }
}

/// Returns the number of hosts that can be asked at a time with `links` links to each; at least one. Each host counts with as many descriptors
/// as the host of `hosts` that needs most.
#[must_use]
pub fn hosts_at_once(hosts: &[Host], links: u64) -> usize {
    let per_host = hosts.iter().map(descriptors_per_link).max().unwrap_or(1) * links.max(1);
    let Some(limit) = limit() else { return usize::MAX };
    // If the limit is low, only a third of it is reserved, so that a few hosts can still be asked.
    let spare = limit.saturating_sub(RESERVED.min(limit / 3));
    usize::try_from((spare / per_host).max(1)).unwrap_or(usize::MAX)
}

/// Checks that this process may have `links` links to each of these hosts, all at once. Opens none.
///
/// # Errors
/// A message for people: the number of descriptors that are needed, the limit, and the next step.
pub fn all_at_once<'h>(hosts: impl IntoIterator<Item = &'h Host>, links: u64) -> Result<(), String> {
    let (mut count, mut needed) = (0_u64, RESERVED);
    for host in hosts {
        count += 1;
        needed = needed.saturating_add(descriptors_per_link(host) * links);
    }
    match limit() {
        Some(limit) if limit < needed => Err(format!(
            "links to {count} hosts need {needed} open files, and this process may have {limit}: raise the hard limit (`ulimit -Hn`, LimitNOFILE=), or choose fewer targets and vantages"
        )),
        _ => Ok(()),
    }
}
