//! Mounts and writes files for hosts; each error says what was attempted. Used only in the mount namespaces of a lab, and never visible
//! outside of them.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::mount::{MsFlags, mount};

use super::copy::{self, What};
use crate::{LabError, error::Doing as _};

/// Makes the later mounts of this namespace invisible to the rest of the machine.
pub(crate) fn make_private() -> Result<(), LabError> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
        .doing("cut the mounts off from the machine's")
}

/// Mounts a file system that needs no device.
pub(crate) fn virtual_fs(kind: &str, at: &Path, flags: MsFlags, data: &str) -> Result<(), LabError> {
    mount(Some(kind), at, Some(kind), flags, Some(data)).doing(format!("mount {kind} on {}", at.display()))
}

/// Mounts an empty file system in memory. `mode` has the permission bits of its directory, in octal.
pub(crate) fn tmpfs(at: &Path, mode: &str) -> Result<(), LabError> {
    virtual_fs("tmpfs", at, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &format!("mode={mode}"))
}

/// Mounts an overlay over a directory of the machine, so that writes go to the upper layer. If the kernel refuses, a copy of the directory
/// is mounted instead.
pub(crate) fn over(at: &Path, upper: &Path, work: &Path) -> Result<(), LabError> {
    match overlay(at, upper, work) {
        Err(LabError::Os { source, .. }) if source.kind() == io::ErrorKind::InvalidInput => {
            copy::tree(at, upper, What::All)?;
            bind(upper, at)
        }
        other => other,
    }
}

/// Mounts `directory` in place of the machine's directory `at`, with copies of that directory's upper subdirectories, but without any file.
pub(crate) fn shape_of(at: &Path, directory: &Path) -> Result<(), LabError> {
    copy::tree(at, directory, What::Shape)?;
    bind(directory, at)
}

/// Mounts an overlay over a directory.
fn overlay(at: &Path, upper: &Path, work: &Path) -> Result<(), LabError> {
    let data = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        at.display(),
        upper.display(),
        work.display()
    );
    virtual_fs("overlay", at, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &data)
}

/// Bind-mounts a file or directory.
pub(crate) fn bind(from: &Path, at: &Path) -> Result<(), LabError> {
    mount(Some(from), at, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(format!(
        "bind {} to {}",
        from.display(),
        at.display()
    ))
}

/// Moves a mount to another place.
pub(crate) fn move_to(from: &Path, at: &Path) -> Result<(), LabError> {
    mount(Some(from), at, None::<&str>, MsFlags::MS_MOVE, None::<&str>).doing(format!(
        "move {} to {}",
        from.display(),
        at.display()
    ))
}

/// Makes a directory with its parents.
pub(crate) fn directory(at: &Path, mode: u32) -> Result<(), LabError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(at)
        .doing(format!("make directory {}", at.display()))
}

/// Writes a file. An existing file is overwritten.
pub(crate) fn file(at: &Path, content: &[u8], mode: u32) -> Result<(), LabError> {
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(at)?;
        io::Write::write_all(&mut file, content)
    };
    write().doing(format!("write {}", at.display()))
}

/// Sets a sysctl of the namespace. The name has slashes instead of dots, such as `net/ipv4/ip_forward`.
pub(crate) fn sysctl(name: &str, value: &str) -> Result<(), LabError> {
    fs::write(Path::new("/proc/sys").join(name), value).doing(format!("set sysctl {name} to {value}"))
}
