//! Opens regular files in folders where others may have put links and pipes. Follows no link, and never waits for the writer of a pipe.

use std::{fs::File, io, path::Path};

use rustix::fs::{Mode, OFlags};

/// Opens a file for reading.
///
/// # Errors
/// The file cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OFlags::RDONLY)
}

/// Opens a file for reading and appending. Creates it if it does not exist.
///
/// # Errors
/// The file cannot be opened, or is no regular file.
pub fn append(path: &Path) -> io::Result<File> {
    open_with(path, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE)
}

/// Opens a file with these flags. A file that is no regular one is an error.
fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    // The umask restricts these permissions.
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_and_pipes_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        append(&file).unwrap().write_all(b"one\n").unwrap();
        append(&file).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        open(&file).unwrap();
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&link, &pipe, &folder.path().to_owned()] {
            assert!(open(path).is_err() && append(path).is_err(), "{}", path.display());
        }
        assert_eq!(open(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
