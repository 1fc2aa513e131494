//! Processes that a signal has stopped. Never adds anything else about processes, because they come and go.

use std::collections::BTreeMap;

use super::seen::SnapshotError;
use crate::host::{Host, process};

/// Adds a key `stopped:<pid>@<start_ticks>` with the program's name for each stopped process.
///
/// # Errors
/// `/proc` could not be read.
pub fn observe(_host: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let processes = process::all().map_err(|error| SnapshotError::Unreadable {
        what: "the list of processes".to_owned(),
        why: error.to_string(),
    })?;
    into.extend(
        processes
            .into_iter()
            .filter(process::Stat::is_stopped)
            .map(|stat| (format!("stopped:{}", stat.name), stat.comm)),
    );
    Ok(())
}
