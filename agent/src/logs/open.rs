//! Opens logs that the policy lists. No symbolic link is followed below the directory of an entry, so that whoever may write there
//! cannot have another file read than the one that was allowed.

use std::{
    fs::{File, Metadata, symlink_metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::{
    policy::listed::{entry_of, split},
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

/// Opens a file that is listed.
pub(super) fn open(entries: &[String], path: &str) -> Result<(File, Metadata), NotOpen> {
    let refused = NotOpen::Refused;
    let Some(entry) = entry_of(entries, path) else {
        return Err(refused(format!("policy.logs does not list {path}")));
    };
    let failed = |why: io::Error| match why.kind() {
        ErrorKind::NotFound => NotOpen::Absent(format!("there is no file {path} yet")),
        _ => refused(format!("cannot read {path}: {why}")),
    };
    let (listed, _) = split(entry);
    let dir = Path::new(listed).canonicalize().map_err(failed)?;
    let real = dir.join(path.strip_prefix(listed).unwrap_or_default());
    if symlink_metadata(&real).map_err(failed)?.is_symlink() {
        return Err(refused(format!(
            "{path} is a symbolic link, and none is followed below {listed}: name the file that it leads to"
        )));
    }
    let (file, about) =
        walk(&dir, &real, |_, _| Ok(())).map_err(|why| refused(format!("cannot read {path}: {why}")))?;
    if about.nlink() > 1 {
        let why = "it has other names (hard links), so it may not be meant to be read";
        return Err(refused(format!("cannot read {path}: {why}")));
    }
    Ok((file, about))
}
