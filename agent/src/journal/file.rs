//! The journal's file: appends whole records or nothing, and keeps room for the outcomes of undo on a full disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use rustix::{fs::FallocateFlags, io::Errno};

/// Space that is allocated beyond the end, in bytes: enough for the outcomes of all faults in force.
const RESERVE: u64 = 256 * 1024;

/// The state of the file at a log's path, compared with the open log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is the log, complete.
    Whole,
    /// It is the log, and something is missing at its end.
    Cut,
    /// It is another file.
    Another,
    /// There is no file.
    Nothing,
}

/// An append-only file.
#[derive(Debug)]
pub(super) struct Log {
    file: Arc<File>,
    /// The length of all written records, in bytes.
    end: u64,
    /// Whether the file was found shorter than `end` when something was written.
    hurt: bool,
}

impl Log {
    /// Opens or creates the file and reads all its bytes. A created file survives a power loss.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<u8>)> {
        let new = !path.exists();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if new {
            file.sync_all()?;
            sync_dir(path)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let end = file.seek(SeekFrom::End(0))?;
        Ok((Self { file: Arc::new(file), end, hurt: false }, bytes))
    }

    /// Replaces the file by a new log, atomically, with room allocated, and safe from a power loss.
    pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let end = bytes.len() as u64;
        let file = place(path, bytes, 0o600, |file| reserve(file, end))?;
        Ok(Self { file: Arc::new(file), end, hurt: false })
    }

    /// Compares the open log with the file that is now at `path`, the path of the log.
    pub(super) fn seen_at(&self, path: &Path) -> Seen {
        match (std::fs::metadata(path), self.file.metadata()) {
            (Err(error), _)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Seen::Nothing
            }
            (Ok(there), Ok(own)) if (there.dev(), there.ino()) != (own.dev(), own.ino()) => Seen::Another,
            (Ok(_), _) if self.is_hurt() => Seen::Cut,
            // An error of the disk is no sign of another file. The next write reports it.
            _ => Seen::Whole,
        }
    }

    /// Whether written bytes are missing in the open file.
    pub(super) fn is_hurt(&self) -> bool {
        self.hurt || self.file.metadata().is_ok_and(|about| about.len() < self.end)
    }

    /// Returns the length in bytes.
    pub(super) const fn len(&self) -> u64 {
        self.end
    }

    /// Returns the file, for syncing.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Cuts off everything after the first `end` bytes.
    pub(super) fn cut(&mut self, end: u64) -> io::Result<()> {
        self.hurt = self.is_hurt();
        self.file.set_len(end)?;
        self.end = end;
        self.file.sync_all()
    }

    /// Writes at the end, wholly or not at all. Not yet safe from a power loss: see [`Log::sync`].
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Checked before the write, which makes a cut file long enough again, with a hole before the record.
        self.hurt = self.is_hurt();
        if let Err(error) = self.file.write_all_at(bytes, self.end) {
            // A part of the record may have been written; the next one must not be appended to it.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes appended records safe from a power loss.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Allocates [`RESERVE`] bytes after the end. A file system that cannot allocate ahead is no error; a full one is.
    pub(super) fn reserve(&self) -> io::Result<()> {
        reserve(&self.file, self.end)
    }
}

fn reserve(file: &File, end: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, end, RESERVE) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Syncs the directory that `path` is in, so that changes of its entries survive a power loss.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a file; one that does not exist is no error.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Replaces the content of a file, atomically and safe from a power loss. The new file has the permissions `mode`.
///
/// # Errors
/// The new file could not be put in place; or it is there, but its directory could not be synced.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    place(path, bytes, mode, |_| Ok(())).map(drop)
}

/// Writes a new file, calls `before`, and renames the file to `path`, atomically and safe from a power loss. A file that cannot be
/// renamed is removed.
fn place(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    before: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<File> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&new)?;
    let placed = file
        .write_all_at(bytes, 0)
        .and_then(|()| before(&file))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path));
    if let Err(error) = placed {
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    sync_dir(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_placed_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        // A directory cannot be replaced by a file.
        let taken = dir.path().join("taken.json");
        std::fs::create_dir(&taken).unwrap();
        replace(&taken, b"new", 0o600).unwrap_err();
        assert_eq!(files(), 1);
        Log::replace(&taken, b"new").unwrap_err();
        let full = |_: &File| Err(io::ErrorKind::StorageFull.into());
        place(&dir.path().join("other.json"), b"new", 0o600, full).unwrap_err();
        assert_eq!(files(), 1);
        replace(&dir.path().join("other.json"), b"new", 0o600).unwrap();
        assert_eq!(files(), 2);
    }
}
