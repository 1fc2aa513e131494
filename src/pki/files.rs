//! Reads and writes the files of the authority. Files are replaced atomically, and private files are never readable by others.

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    path::Path,
};

use firedrill_files::whole;

use super::PkiError;

/// The mode of files that only their owner may read.
const PRIVATE: u32 = 0o600;
/// The mode of files that everybody may read.
const PUBLIC: u32 = 0o644;

/// Returns a function that converts an error of the operation `what`.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PkiError {
    move |source| PkiError::Io { what, path: path.into(), source }
}

/// Creates a directory that only its owner can open.
pub(super) fn directory(path: &Path) -> Result<(), PkiError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed("make", path))
}

/// Reads a text file.
pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

/// Creates a private file. If it exists already, the error has `hint` as the next step.
pub(super) fn create_private(path: &Path, text: &str, hint: &'static str) -> Result<(), PkiError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    whole::write(&mut options, path, text.as_bytes(), PRIVATE).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => PkiError::Exists { path: path.into(), hint },
        _ => PkiError::Io { what: "write", path: path.into(), source },
    })
}

/// Replaces a file atomically.
pub(super) fn replace(path: &Path, text: &str, private: bool) -> Result<(), PkiError> {
    let mode = if private { PRIVATE } else { PUBLIC };
    whole::replace(path, text.as_bytes(), mode).map_err(failed("replace", path))
}

/// Appends to a private file; creates it if it does not exist.
pub(super) fn append(path: &Path, text: &str) -> Result<(), PkiError> {
    whole::write(OpenOptions::new().append(true).create(true), path, text.as_bytes(), PRIVATE)
        .map_err(failed("append to", path))
}
