//! Removes write records that nobody needs: those of other runs that are old, or more than some. Never removes one of the given run.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// A file that nobody wrote to for this long is removed.
const OLDEST: Duration = Duration::from_secs(14 * 24 * 3600);

/// Maximum number of files of other runs.
const MOST: usize = 64;

/// Removes what is too old or too much. A file that cannot be removed stays.
pub(super) fn tidy(folder: &Path, run: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut others: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let own = name.to_str()?.strip_prefix(run).is_some_and(|rest| rest.starts_with('-'));
            let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            (!own).then_some((meta.modified().ok()?, entry.path()))
        })
        .collect();
    others.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    let now = SystemTime::now();
    let old = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age > OLDEST);
    for (at, (modified, path)) in others.into_iter().enumerate() {
        if (at >= MOST || old(modified))
            && let Err(why) = fs::remove_file(&path)
        {
            tracing::warn!(error = %why, path = %path.display(), "cannot remove an old write record");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_many_go_and_those_of_the_run_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let aged = |name: &str, days: u64| {
            let file = fs::File::create(folder.path().join(name)).expect("creates");
            let at = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
            file.set_modified(at).expect("ages");
        };
        (0..70).for_each(|n| aged(&format!("r{n}-p.1"), n % 7));
        aged("other-p.1", 15);
        aged("mine-p.1", 30);
        tidy(folder.path(), "mine");
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left("mine-p.1") && !left("other-p.1"));
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), MOST + 1);
        assert!(left("r0-p.1"), "the newest stay");
    }
}
