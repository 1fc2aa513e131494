//! Files of the authority: written atomically, and private from their first byte on.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    path::Path,
};

use super::PkiError;

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PkiError {
    move |source| PkiError::Io { what, path: path.into(), source }
}

#[cfg(unix)]
fn mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(mode)
}

#[cfg(not(unix))]
fn mode(options: &mut OpenOptions, _: u32) -> &mut OpenOptions {
    options
}

/// Creates a directory that only its owner can open.
pub(super) fn directory(path: &Path) -> Result<(), PkiError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed("make", path))
}

pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

/// Creates a file only if it does not exist.
pub(super) fn create_private(path: &Path, text: &str, hint: &'static str) -> Result<(), PkiError> {
    write(mode(OpenOptions::new().write(true).create_new(true), PRIVATE), path, text).map_err(|source| {
        match source.kind() {
            ErrorKind::AlreadyExists => PkiError::Exists { path: path.into(), hint },
            _ => PkiError::Io { what: "write", path: path.into(), source },
        }
    })
}

/// Replaces a file atomically.
pub(super) fn replace(path: &Path, text: &str, private: bool) -> Result<(), PkiError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let _ = fs::remove_file(&new);
    let wanted = if private { PRIVATE } else { PUBLIC };
    write(mode(OpenOptions::new().write(true).create_new(true), wanted), &new, text)
        .map_err(failed("write", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))
}

pub(super) fn append(path: &Path, text: &str) -> Result<(), PkiError> {
    write(mode(OpenOptions::new().append(true).create(true), PRIVATE), path, text)
        .map_err(failed("append to", path))
}

fn write(options: &OpenOptions, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file: File = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
