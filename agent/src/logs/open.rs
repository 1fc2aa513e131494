//! Opens logs that the policy lists. Paths are compared after symbolic links are resolved, and then opened without following
//! any, so that whoever may write to a directory of logs cannot have another file read.

use std::{
    fs::{File, Metadata},
    io::ErrorKind,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    policy::listed::{fits, lists, split},
    secrets::walk,
};

/// Why a log is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotOpen {
    /// There is no such file yet.
    Absent(String),
    /// It may not be read, or cannot be.
    Refused(String),
}

/// Opens a file that is listed, also by its real path.
pub(super) fn open(entries: &[String], path: &str) -> Result<(File, Metadata), NotOpen> {
    let refused = NotOpen::Refused;
    if !lists(entries, path) {
        return Err(refused(format!("policy.logs does not list {path}")));
    }
    let real = Path::new(path).canonicalize().map_err(|why| match why.kind() {
        ErrorKind::NotFound => NotOpen::Absent(format!("there is no file {path} yet")),
        _ => refused(format!("cannot read {path}: {why}")),
    })?;
    let Some(dir) = entries.iter().find_map(|entry| real_dir(entry, &real)) else {
        let real = real.display();
        return Err(refused(format!("{path} leads to {real}, which policy.logs does not list")));
    };
    let (file, about) =
        walk(&dir, &real, |_, _| Ok(())).map_err(|why| refused(format!("cannot read {path}: {why}")))?;
    if about.nlink() > 1 {
        let why = "it has other names (hard links), so it may not be meant to be read";
        return Err(refused(format!("cannot read {path}: {why}")));
    }
    Ok((file, about))
}

/// Returns the real directory of an entry that lists a real path.
fn real_dir(entry: &str, real: &Path) -> Option<PathBuf> {
    let (dir, rest) = split(entry);
    let dir = Path::new(dir).canonicalize().ok()?;
    let below = real.strip_prefix(&dir).ok()?.to_str()?;
    fits(rest, below).then_some(dir)
}
