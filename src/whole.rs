//! Atomic replacement of files: readers see the old file or the whole new one. Never writes through a symbolic link
//! that somebody else put in place.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// Replaces a file atomically, or creates it.
///
/// # Errors
/// The file could not be written; the old one is unchanged.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".part-{}", std::process::id()));
    let part = path.with_file_name(name);
    // Removes a leftover of a process with that number, or a link (not its target).
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&part, path))
        .inspect_err(|_| drop(fs::remove_file(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (key, path) = (dir.path().join("key"), dir.path().join("report.html"));
        fs::write(&key, "secret").expect("written");
        let part = dir.path().join(format!(".report.html.part-{}", std::process::id()));
        std::os::unix::fs::symlink(&key, &part).expect("a link");
        std::os::unix::fs::symlink(&key, &path).expect("a link");
        replace(&path, b"page").expect("written");
        assert_eq!(fs::read_to_string(&key).expect("there"), "secret");
        assert_eq!(fs::read_to_string(&path).expect("there"), "page");
        assert!(!part.exists() && !path.is_symlink());
    }
}
