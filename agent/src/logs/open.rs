//! Opens logs that the policy lists. Never follows a symbolic link below the directory of an entry: a user who may write
//! there could make the agent read a file that is not allowed.

use std::{
    fs::{File, Metadata, read_link, read_to_string, symlink_metadata},
    io::{self, ErrorKind},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Component, Path, PathBuf},
};

use nix::{sys::stat::fstat, unistd::geteuid};

use crate::{
    policy::listed::{entry_of, split},
    secrets::walk,
};

/// Maximum number of symbolic links on the way to a listed directory: the kernel's maximum.
const LINKS_MOST: usize = 40;

/// The reason why a log was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotOpen {
    /// There is no such file yet.
    Absent(String),
    /// It may not or cannot be read.
    Refused(String),
}

/// The directory of an entry. It is kept open, so that no other directory gets its inode number.
pub(super) struct Listed {
    /// The device and the inode number.
    id: (u64, u64),
    _kept: OwnedFd,
}

/// A log that is open.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) about: Metadata,
    pub(super) listed: Listed,
}

/// Opens a listed file. `pinned` is the directory in which it was opened before; `None` at the first time.
pub(super) fn open(entries: &[String], path: &str, pinned: Option<&Listed>) -> Result<Opened, NotOpen> {
    let refused = NotOpen::Refused;
    let Some(entry) = entry_of(entries, path) else {
        return Err(refused(format!("policy.logs does not list {path}")));
    };
    let failed = |why: io::Error| match why.kind() {
        ErrorKind::NotFound => NotOpen::Absent(format!("there is no file {path} yet")),
        _ => refused(format!("cannot read {path}: {why}")),
    };
    let (listed, _) = split(entry);
    let dir = resolve(Path::new(listed)).map_err(failed)?;
    let real = dir.join(path.strip_prefix(listed).unwrap_or_default());
    if symlink_metadata(&real).map_err(failed)?.is_symlink() {
        return Err(refused(format!(
            "{path} is a symbolic link, and none is followed below {listed}: name the file that it leads to"
        )));
    }
    // `walk` checks each directory on the way, first the listed one. At the end `owner` and `mode` are those of the file's directory.
    let (mut first, mut owner, mut mode) = (None, 0, 0);
    let check = |at: &OwnedFd, _: &Path| {
        let about = fstat(at).map_err(|why| io::Error::from(why).to_string())?;
        (owner, mode) = (about.st_uid, about.st_mode);
        if first.is_some() {
            return Ok(());
        }
        let id = (about.st_dev, about.st_ino);
        // The directory may have been replaced by a link since its path was resolved.
        let is_there = read_link(format!("/proc/self/fd/{}", at.as_raw_fd())).is_ok_and(|path| path == dir);
        if !is_there || pinned.is_some_and(|pinned| pinned.id != id) {
            return Err(format!("{listed} became another directory while its logs were read"));
        }
        let kept = at.try_clone().map_err(|why| why.to_string())?;
        first = Some(Listed { id, _kept: kept });
        Ok(())
    };
    let cannot = |why: String| refused(format!("cannot read {path}: {why}"));
    let (file, about) = walk(&dir, &real, check).map_err(cannot)?;
    if about.nlink() > 1 {
        return Err(cannot("it has other names (hard links), so it may not be meant to be read".to_owned()));
    }
    // A hard link to a file of another user becomes the file's only name once that user's program has replaced the file.
    if owner != 0 && owner != about.uid() {
        return Err(cannot(format!(
            "it is user {}'s, in a directory of user {}, who may have linked it there: chown the file or its directory",
            about.uid(),
            owner
        )));
    }
    if mode & 0o022 != 0 && !links_are_protected() {
        return Err(cannot(
            "others may write to its directory, and link any file there: set the sysctl fs.protected_hardlinks to 1, or chmod go-w the directory"
                .to_owned(),
        ));
    }
    let listed = first.ok_or_else(|| cannot("its directory was not opened".to_owned()))?;
    Ok(Opened { file, about, listed })
}

/// Whether the kernel lets users make hard links only to files that they may read and write.
fn links_are_protected() -> bool {
    read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.trim() == "1")
}

/// Resolves the links on the way to a listed directory. Only links of root and of the agent's user are followed: another user who may
/// write to a directory on the way could make a link to any other directory there.
fn resolve(listed: &Path) -> io::Result<PathBuf> {
    // The parts of the path that are still to be resolved, the next one last.
    let mut left: Vec<std::ffi::OsString> = parts(listed);
    let (mut real, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = left.pop() {
        if part == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        let about = symlink_metadata(&next)?;
        if !about.is_symlink() {
            real = next;
            continue;
        }
        links += 1;
        if links > LINKS_MOST {
            return Err(io::Error::other("there are too many symbolic links on the way"));
        }
        if about.uid() != 0 && about.uid() != geteuid().as_raw() {
            let why = format!(
                "{} is a symbolic link of user {}, and only root's are followed",
                next.display(),
                about.uid()
            );
            return Err(io::Error::other(why));
        }
        let to = read_link(&next)?;
        if to.is_absolute() {
            real = PathBuf::from("/");
        }
        left.extend(parts(&to));
    }
    Ok(real)
}

/// Returns the parts of a path, the last one first.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let named = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(named).collect()
}
