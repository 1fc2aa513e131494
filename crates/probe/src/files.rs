//! The limit of open files of this process: a probe whose service stalls needs rate × time-out connections at once, and
//! must not find out in the middle of the outage that it cannot have them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ProbeError;

/// Descriptors that everything else in the process may use meanwhile.
const OTHERS: u64 = 256;

/// Checks that the hard limit has room for so many `connections`. Changes nothing.
pub(crate) fn enough(connections: u64) -> Result<(), ProbeError> {
    let needed = connections.saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    match limit.maximum.filter(|hard| *hard < needed) {
        Some(hard) => Err(ProbeError::Files { needed, limit: hard }),
        None => Ok(()),
    }
}

/// Raises the soft limit of open files to the hard one, where that can be. Returns the limit from then on; `None` where there is none.
pub fn allow_all_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Raises the soft limit as far as `connections` need.
pub(crate) fn allow(connections: u64) -> Result<(), ProbeError> {
    enough(connections)?;
    let needed = connections.saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .map_err(|_| ProbeError::Files { needed, limit: limit.current.unwrap_or_default() })
}
