//! Finds the folders of runs. Takes a stamp (times and size) of each log, by which a change is noticed. Reads no log.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The name of a run's log in its folder.
pub(crate) const LOG: &str = "events.jsonl";

/// The times and the size of a log. A change of the log changes the stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Time of the last change of the contents (mtime), in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// Time of the last change of the contents or the metadata (ctime), in nanoseconds since 1970.
    pub(crate) changed: i64,
    /// The size in bytes; negative for the special stamps below.
    pub(crate) size: i64,
}

impl Stamp {
    /// The stamp of a folder without a log.
    const NONE: Self = Self { modified: 0, changed: 0, size: -1 };
    /// Stored in place of the stamp of a log that changed just before it was read. It differs from any real stamp, so the log is read again.
    const UNSURE: Self = Self { modified: 0, changed: 0, size: -2 };

    fn of(file: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            modified: nanoseconds(file.mtime(), file.mtime_nsec()),
            changed: nanoseconds(file.ctime(), file.ctime_nsec()),
            size: i64::try_from(file.size()).unwrap_or(i64::MAX),
        }
    }

    /// Returns the stamp to store for a log that is read at `now`. A log that changed less than `settle` ago could change once more and keep the same
    /// time, so it gets [`Self::UNSURE`].
    pub(crate) fn kept(self, now: SystemTime, settle: Duration) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = i64::try_from(now.saturating_sub(settle).as_nanos()).unwrap_or(i64::MAX);
        if self.size >= 0 && self.modified > settled { Self::UNSURE } else { self }
    }
}

/// A folder that should be the folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its name. Bytes that are no UTF-8 are replaced.
    pub(crate) name: String,
    /// Its path.
    pub(crate) path: PathBuf,
    /// The state of its log.
    pub(crate) stamp: Stamp,
}

/// Lists the folders of runs: all folders, except hidden ones and links to other folders of the same directory.
pub(crate) fn scan(reports: &Path) -> io::Result<Vec<Found>> {
    let home = fs::canonicalize(reports)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(reports)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (path, kind) = (entry.path(), entry.file_type()?);
        let is_run = if name.starts_with('.') {
            false
        } else if kind.is_symlink() {
            match fs::canonicalize(&path) {
                Ok(target) => target.is_dir() && target.parent() != Some(home.as_path()),
                // A broken link is listed, as a run without a log.
                Err(_) => true,
            }
        } else {
            kind.is_dir()
        };
        if is_run {
            let stamp = fs::metadata(path.join(LOG)).map_or(Stamp::NONE, |log| Stamp::of(&log));
            found.push(Found { name, path, stamp });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_other_folders_and_hidden_folders_are_left_out() {
        let reports = tempfile::tempdir().unwrap();
        let path = |name: &str| reports.path().join(name);
        fs::create_dir(path("one")).unwrap();
        fs::create_dir(path(".cache")).unwrap();
        fs::write(path("README.md"), "notes").unwrap();
        std::os::unix::fs::symlink("one", path("latest")).unwrap();
        std::os::unix::fs::symlink("gone", path("broken")).unwrap();
        let mut names: Vec<_> = scan(reports.path()).unwrap().into_iter().map(|found| found.name).collect();
        names.sort();
        assert_eq!(names, ["broken", "one"]);
    }

    #[test]
    fn a_log_that_has_just_changed_is_read_again() {
        let stamp = |modified| Stamp { modified, changed: modified, size: 5 };
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let settle = Duration::from_secs(2);
        assert_eq!(stamp(99_000_000_000).kept(now, settle), Stamp::UNSURE);
        assert_eq!(stamp(97_000_000_000).kept(now, settle), stamp(97_000_000_000));
        assert_eq!(Stamp::NONE.kept(now, settle), Stamp::NONE);
    }
}
