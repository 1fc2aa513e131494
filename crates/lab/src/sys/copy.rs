//! Copies a directory of the machine into a host. This is needed if the directory cannot be the lower layer of an overlay: the kernel
//! refuses directories with other mounts in them, such as `/etc` in containers, and `/var` if a disk is mounted below it.
//!
//! Never replaces an existing file. Never copies files that are not readable by all users (passwords, private keys), so that no secret is
//! duplicated.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{LabError, error::Doing as _};

/// Maximum size of a file that is copied, in bytes. Larger files are not settings.
const LARGEST: u64 = 4 << 20;

/// The part of a directory that is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Directories, links and files.
    All,
    /// The upper two levels of directories, and the symbolic links in them.
    Shape,
}

impl What {
    /// Number of levels of subdirectories whose content is copied.
    const fn deepest(self) -> usize {
        match self {
            Self::All => 8,
            Self::Shape => 1,
        }
    }
}

/// Copies from one directory to another. Files that exist in the target stay as they are.
pub(crate) fn tree(from: &Path, to: &Path, what: What) -> Result<(), LabError> {
    directory(from, to, what, 0).doing(format!("copy {} to {}", from.display(), to.display()))
}

/// Does the work of [`tree`] for a directory that is `depth` levels below the first.
fn directory(from: &Path, to: &Path, what: What, depth: usize) -> io::Result<()> {
    // An unreadable directory counts as empty.
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let Ok(meta) = fs::symlink_metadata(&source) else { continue };
        let exists = fs::symlink_metadata(&target).is_ok();
        if meta.is_dir() {
            if !exists {
                fs::create_dir(&target)?;
                // The host's root, who owns the copy, must be able to write to it, even if the owner on the machine cannot.
                let mode = meta.permissions().mode() & 0o7777 | 0o700;
                fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
            }
            if depth < what.deepest() {
                directory(&source, &target, what, depth + 1)?;
            }
        } else if exists {
            continue;
        } else if meta.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if meta.is_file()
            && what == What::All
            && meta.len() <= LARGEST
            && meta.permissions().mode() & 4 != 0
        {
            match fs::read(&source) {
                Ok(content) => {
                    fs::write(&target, content)?;
                    fs::set_permissions(&target, meta.permissions())?;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_files_stay_and_the_others_are_copied_without_secrets() {
        let place = std::env::temp_dir().join(format!("firedrill-copy-{}", std::process::id()));
        let (from, to) = (place.join("from"), place.join("to"));
        fs::create_dir_all(from.join("ssl/certs")).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(from.join("hosts"), "theirs").unwrap();
        fs::write(from.join("passwd"), "root").unwrap();
        fs::set_permissions(from.join("passwd"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(from.join("shadow"), "secret").unwrap();
        fs::set_permissions(from.join("shadow"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(from.join("ssl/certs/ca.pem"), "pem").unwrap();
        std::os::unix::fs::symlink("../x", from.join("ssl/link")).unwrap();
        fs::write(to.join("hosts"), "ours").unwrap();
        tree(&from, &to, What::All).unwrap();
        tree(&from, &to, What::All).unwrap();
        assert_eq!(fs::read_to_string(to.join("hosts")).unwrap(), "ours");
        assert_eq!(fs::read_to_string(to.join("ssl/certs/ca.pem")).unwrap(), "pem");
        assert_eq!(fs::read_link(to.join("ssl/link")).unwrap(), Path::new("../x"));
        assert_eq!(fs::metadata(to.join("passwd")).unwrap().permissions().mode() & 0o7777, 0o644);
        assert!(!to.join("shadow").exists());
        let shape = place.join("shape");
        fs::create_dir(&shape).unwrap();
        tree(&from, &shape, What::Shape).unwrap();
        assert!(shape.join("ssl/certs").is_dir() && !shape.join("hosts").exists());
        fs::remove_dir_all(place).unwrap();
    }
}
