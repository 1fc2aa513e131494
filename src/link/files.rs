//! The number of file descriptors that links need, and the number of hosts that can therefore be asked at a time.

use std::sync::OnceLock;

use crate::plan::model::{Host, Reach};

/// Descriptors reserved for the rest of the process, including links that are being opened.
const OTHERS: u64 = 128;

/// Returns the limit of open files, raised to its maximum at the first call; `None` if there is no limit.
fn limit() -> Option<u64> {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    *LIMIT.get_or_init(firedrill_probe::allow_all_files)
}

/// Returns the number of descriptors of a link: its socket; or a program's three streams and the descriptor that
/// reports its end.
const fn of_link(host: &Host) -> u64 {
    match host.agent {
        Reach::Tcp(_) => 1,
        Reach::Command(_) => 4,
    }
}

/// Returns the maximum number of these hosts that can be asked at a time, with that many links to each; at least one.
#[must_use]
pub fn hosts_at_once(hosts: &[Host], links: u64) -> usize {
    let most = hosts.iter().map(of_link).max().unwrap_or(1) * links.max(1);
    let Some(limit) = limit() else { return usize::MAX };
    let spare = limit.saturating_sub(OTHERS.min(limit / 3));
    usize::try_from((spare / most).max(1)).unwrap_or(usize::MAX)
}

/// Checks that this process may have that many links to all these hosts at once.
///
/// # Errors
/// A message: the number of files that they need, the limit, and what to do.
pub fn all_at_once<'h>(hosts: impl IntoIterator<Item = &'h Host>, links: u64) -> Result<(), String> {
    let (mut count, mut needed) = (0_u64, OTHERS);
    for host in hosts {
        count += 1;
        needed = needed.saturating_add(of_link(host) * links);
    }
    match limit() {
        Some(limit) if limit < needed => Err(format!(
            "links to {count} hosts need {needed} open files, and this process may have {limit}: raise the hard limit (`ulimit -Hn`, LimitNOFILE=), or choose fewer targets and vantages"
        )),
        _ => Ok(()),
    }
}
