//! Replaces files atomically: readers see the old file or the whole new one. A replacement never goes through a symbolic link that was put in
//! the place of the file.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// The permissions of a file for everybody. The umask restricts them.
pub const USUAL: u32 = 0o666;

/// Replaces a file atomically, or creates it. The new file has these permissions from its first byte on, and is on the disk when this returns.
/// Two threads of one process must not replace the same file at once.
///
/// # Errors
/// The file could not be written, and the old one is unchanged. Or the directory could not be synced, and the new file is in place.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".part-{}", std::process::id()));
    let part = path.with_file_name(name);
    // Removes what an earlier process with the same id may have left. Of a link only the link is removed.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fill(OpenOptions::new().write(true).create_new(true), &part, bytes, mode)
        .and_then(|()| fs::rename(&part, path))
        .inspect_err(|_| drop(fs::remove_file(&part)))?;
    sync_directory(path)
}

/// Writes to a file that these options open, with these permissions if they create it. The bytes are on the disk when this returns.
///
/// # Errors
/// The file could not be opened or written, or the directory of a new file could not be synced.
pub fn write(options: &mut OpenOptions, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let is_new = !path.exists();
    fill(options, path, bytes, mode)?;
    if is_new { sync_directory(path) } else { Ok(()) }
}

/// Does as [`write`], but does not sync the directory.
fn fill(options: &mut OpenOptions, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Syncs the directory of a file, so that the file's name survives a power loss.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Uid, chown, setfsuid};

    use super::*;

    /// Files can be made in a directory that cannot be opened, but the directory cannot be synced. So the error shows that the code syncs it.
    #[test]
    fn the_directory_of_a_new_file_is_synced() {
        use std::os::unix::fs::PermissionsExt;
        // A user without rights, because root can open any directory.
        const NOBODY: u32 = 65534;
        let dir = tempfile::tempdir().expect("a directory");
        let closed = dir.path().join("closed");
        let (whole, written) = (closed.join("whole"), closed.join("written"));
        fs::create_dir(&closed).expect("made");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o711)).expect("set");
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o300)).expect("set");
        let is_root = Uid::effective().is_root();
        if is_root {
            chown(&closed, Some(Uid::from_raw(NOBODY)), None).expect("given away");
        }
        let append = |path| write(OpenOptions::new().append(true).create(true), path, b"a", USUAL);
        // A thread of its own, because `setfsuid` changes the user of one thread. The second append finds the file, and needs no sync of the directory.
        let results = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                if is_root {
                    setfsuid(Uid::from_raw(NOBODY));
                }
                [replace(&whole, b"a", USUAL), append(&written), append(&written)]
            });
            thread.join().expect("no panic")
        });
        let denied = |result: &io::Result<()>| {
            result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        assert!(denied(&results[0]) && denied(&results[1]) && results[2].is_ok(), "{results:?}");
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).expect("set");
        assert_eq!(
            (fs::read(&whole).expect("there"), fs::read(&written).expect("there")),
            (b"a".into(), b"aa".into())
        );
    }

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
    fn a_replaced_file_has_the_new_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        replace(&path, b"open", 0o644).expect("written");
        replace(&path, b"secret", 0o600).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).expect("there"), b"secret");
    }
}
