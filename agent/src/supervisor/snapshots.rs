//! Keeps on disk a snapshot of the host from before each run, so that a comparison is possible after a restart or a
//! reboot. Never takes a snapshot itself. In this file `state` is the state directory.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use firedrill_wire::RunId;

use crate::journal::replace;

/// Number of the newest snapshots that are kept. Older snapshots are kept only if they are needed.
const MOST: usize = 32;

fn dir(state: &Path) -> PathBuf {
    state.join("snapshots")
}

fn file(state: &Path, run: &RunId) -> PathBuf {
    dir(state).join(format!("{run}.json"))
}

/// Reads a run's snapshot; `None` if none was taken.
pub(super) fn load(state: &Path, run: &RunId) -> io::Result<Option<serde_json::Value>> {
    match std::fs::read(file(state, run)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a run's snapshot, and deletes the oldest ones, except those of runs that are `needed`.
pub(super) fn save(
    state: &Path,
    run: &RunId,
    snapshot: &serde_json::Value,
    needed: &BTreeSet<RunId>,
) -> io::Result<()> {
    std::fs::create_dir_all(dir(state))?;
    replace(&file(state, run), &serde_json::to_vec(snapshot)?, 0o600)?;
    let mut snapshots = all(state);
    snapshots.sort_by_key(|(_, when)| std::cmp::Reverse(*when));
    for (old, _) in snapshots.into_iter().skip(MOST).filter(|(old, _)| old != run && !needed.contains(old)) {
        let _ = std::fs::remove_file(file(state, &old));
    }
    Ok(())
}

/// Returns the time at which a run's snapshot was written, by the wall clock in microseconds; 0 if that is unknown.
pub(super) fn taken_wall_us(state: &Path, run: &RunId) -> u64 {
    let written = std::fs::metadata(file(state, run)).and_then(|about| about.modified());
    let since = written.ok().and_then(|when| when.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_micros()).ok()).unwrap_or(0)
}

/// Returns the runs that have a snapshot.
pub(super) fn runs(state: &Path) -> Vec<RunId> {
    all(state).into_iter().map(|(run, _)| run).collect()
}

/// Returns the runs that have a snapshot, each with the time at which it was written.
fn all(state: &Path) -> Vec<(RunId, SystemTime)> {
    let Ok(entries) = std::fs::read_dir(dir(state)) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let run = entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok()?;
            Some((run, entry.metadata().ok()?.modified().ok()?))
        })
        .collect()
}
