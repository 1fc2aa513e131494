//! Finds a rotated file that had the log's name only between two looks at the name, so that it was never read. Never reads a file.

use std::{fs, path::Path};

use super::{birth::Times, place::Id};

/// Maximum number of files of a directory that are looked at.
const FILES_MOST: usize = 4096;

/// Returns the name of a file that looks like a rotated file of a log, was made after `since_us`, and is not known. Files without a
/// time of birth are not found.
pub(super) fn unseen(log: &str, since_us: u64, times: &Times, known: impl Fn(&Id) -> bool) -> Option<String> {
    let log = Path::new(log);
    let files = fs::read_dir(log.parent()?).ok()?;
    let name = log.file_name()?.to_str()?;
    for file in files.take(FILES_MOST).flatten() {
        let other = file.file_name();
        let Some(other) = other.to_str().filter(|other| is_rotated(name, other)) else { continue };
        // A link is not followed: this is the metadata of the directory's entry itself.
        let Ok(about) = file.metadata() else { continue };
        let born = about.created().ok().and_then(|born| times.moments(born));
        let new = born.is_some_and(|born| born.latest_us >= since_us);
        if about.is_file() && new && !known(&Id::of(&about)) {
            return Some(other.to_owned());
        }
    }
    None
}

/// Whether `name` is the name of `log` with a number or a date at its end or before its last dot, such as `app.log.1` or `app-20261126.log`.
fn is_rotated(log: &str, name: &str) -> bool {
    let numbers = |text: &str| {
        text.bytes().any(|byte| byte.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_digit() || b".-_T:".contains(&byte))
    };
    if name.strip_prefix(log).is_some_and(numbers) {
        return true;
    }
    let Some((stem, end)) = log.rsplit_once('.') else { return false };
    let middle = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(end));
    middle.and_then(|rest| rest.strip_suffix('.')).is_some_and(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotated_files_have_numbers() {
        for name in
            ["app.log.1", "app.log-20261126", "app.log.2026-11-26T10:00", "app-20261126.log", "app.1.log"]
        {
            assert!(is_rotated("app.log", name), "{name}");
        }
        for name in ["app.log", "app.log.1.gz", "app.log.err", "apple.log", "other.log.1", "app.log."] {
            assert!(!is_rotated("app.log", name), "{name}");
        }
        assert!(is_rotated("app", "app.1") && is_rotated("app", "app-20261126"));
        assert!(!is_rotated("app", "app-err") && !is_rotated("app", "apple.1"));
    }
}
