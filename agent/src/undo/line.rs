//! Putting back lines: interfaces of ours are removed, once what waits in them has gone its way.

use std::time::Duration;

use super::{UndoError, Undone};
use crate::host::{
    Host,
    line::{self, Removed},
};

/// Removes them. That they are gone already is success.
///
/// # Errors
/// They are there and could not be removed, or the kernel could not be asked.
pub fn apply(host: &Host, prefix: &str, patience: Duration) -> Result<Undone, UndoError> {
    let removed = line::remove(&host.lines, prefix, patience).map_err(|error| UndoError {
        what: error.to_string(),
        by_hand: format!("ip link delete {prefix}00 (and all others whose names begin with {prefix})"),
        passing: true,
    })?;
    let detail = match removed {
        Removed { lines: 0, .. } => format!("interfaces {prefix}* were gone already"),
        Removed { lines, lost: 0 } => format!("{lines} interfaces {prefix}* were removed"),
        Removed { lines, lost } => {
            format!(
                "{lines} interfaces {prefix}* were removed; {lost} packets that still waited there are lost"
            )
        }
    };
    Ok(Undone { detail, foreign: Vec::new() })
}
