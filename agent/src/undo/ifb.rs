//! Removes ifb interfaces of the agent, once the packets that wait in them have left. Never removes other interfaces.

use std::time::Duration;

use super::undone::{UndoError, Undone};
use crate::host::{
    Host,
    ifb::{self, Removed},
};

/// Removes the ifbs whose names have this prefix. Waits at most `patience` for their packets. Absent ifbs are success.
///
/// # Errors
/// They exist and could not be removed, or the kernel could not be asked.
pub fn apply(host: &Host, prefix: &str, patience: Duration) -> Result<Undone, UndoError> {
    let removed = ifb::remove(&host.ifbs, prefix, patience).map_err(|error| UndoError {
        what: error.to_string(),
        by_hand: format!("ip link delete {prefix}00 (and all others whose names begin with {prefix})"),
        passing: true,
    })?;
    let detail = match removed {
        Removed { ifbs: 0, .. } => format!("interfaces {prefix}* were gone already"),
        Removed { ifbs, lost: 0 } => format!("{ifbs} interfaces {prefix}* were removed"),
        Removed { ifbs, lost } => {
            format!(
                "{ifbs} interfaces {prefix}* were removed; {lost} packets that still waited there are lost"
            )
        }
    };
    Ok(Undone { detail, foreign: Vec::new() })
}
