//! Finds the folders of runs, and tells by time and size whether their logs have changed. Reads no log.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The name of a run's log in its folder.
pub(crate) const LOG: &str = "events.jsonl";

/// The times and the size by which a change of a log is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Time of the last change of its contents, in nanoseconds.
    pub(crate) modified: i64,
    /// Time of the last change of the file or its metadata, in nanoseconds.
    pub(crate) changed: i64,
    /// Its size in bytes; -1 where there is no log.
    pub(crate) size: i64,
}

impl Stamp {
    /// A folder without a log.
    const NONE: Self = Self { modified: 0, changed: 0, size: -1 };
    /// A log that may have changed within the resolution of its times: it is read again.
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

    /// Returns the stamp to keep of a log that was looked at `now`. One that has just changed could change once more without a
    /// new time.
    pub(crate) fn kept(self, now: SystemTime, settle: Duration) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = i64::try_from(now.saturating_sub(settle).as_nanos()).unwrap_or(i64::MAX);
        if self.size >= 0 && self.modified > settled { Self::UNSURE } else { self }
    }
}

/// A folder that should be a run's.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its name; signs stand for bytes that are no text.
    pub(crate) name: String,
    /// Its path.
    pub(crate) path: PathBuf,
    /// The state of its log.
    pub(crate) stamp: Stamp,
}

/// Lists the folders of runs: all folders but hidden ones. A link to another of them is only a second name.
pub(crate) fn scan(reports: &Path) -> io::Result<Vec<Found>> {
    let home = fs::canonicalize(reports)?;
    let mut all = Vec::new();
    for entry in fs::read_dir(reports)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (path, kind) = (entry.path(), entry.file_type()?);
        let is_run = if name.starts_with('.') {
            false
        } else if kind.is_symlink() {
            match fs::canonicalize(&path) {
                Ok(target) => target.is_dir() && target.parent() != Some(home.as_path()),
                // A link that leads nowhere is listed as a run without a log.
                Err(_) => true,
            }
        } else {
            kind.is_dir()
        };
        if is_run {
            let stamp = fs::metadata(path.join(LOG)).map_or(Stamp::NONE, |log| Stamp::of(&log));
            all.push(Found { name, path, stamp });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_hidden_folders_count_no_run_twice() {
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
