//! Atomic replacement of files: readers see the old file or the whole new one. Never writes through a symbolic link
//! that somebody else put in place.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// The permissions of a usual file; the umask restricts them.
pub const USUAL: u32 = 0o666;

/// Replaces a file atomically, or creates it, with these permissions from its first byte on. It is on the disk
/// afterwards.
///
/// # Errors
/// The file could not be written; the old one is unchanged.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".part-{}", std::process::id()));
    let part = path.with_file_name(name);
    // Removes a leftover of a process with that number, or a link (not its target).
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(OpenOptions::new().write(true).create_new(true), &part, bytes, mode)
        .and_then(|()| fs::rename(&part, path))
        .inspect_err(|_| drop(fs::remove_file(&part)))
}

/// Writes to a file that these options open, with these permissions if they create it, and to the disk.
///
/// # Errors
/// The file could not be opened or written.
pub fn write(options: &mut OpenOptions, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
        replace(&path, b"page", USUAL).expect("written");
        assert_eq!(fs::read_to_string(&key).expect("there"), "secret");
        assert_eq!(fs::read_to_string(&path).expect("there"), "page");
        assert!(!part.exists() && !path.is_symlink());
    }

    #[test]
    fn a_file_has_its_permissions_whatever_the_old_one_had() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        replace(&path, b"open", 0o644).expect("written");
        replace(&path, b"secret", 0o600).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).expect("there"), b"secret");
    }
}
