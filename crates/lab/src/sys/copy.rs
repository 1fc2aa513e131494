//! Copies a directory of the machine if it cannot be an overlay's lower layer: the kernel refuses directories with
//! other mounts in them, as `/etc` has in containers, and `/var` if a disk is mounted below it.
//!
//! Existing files stay as they are. Files that are not world-readable (passwords, private keys) are left out, so that
//! no secret is duplicated.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{LabError, error::Doing as _};

/// Larger files, in bytes, are not settings.
const LARGEST: u64 = 4 << 20;

/// The part of it that is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Directories, links and files.
    All,
    /// The upper two layers of directories, and links there.
    Shape,
}

impl What {
    const fn deepest(self) -> usize {
        match self {
            Self::All => 8,
            Self::Shape => 1,
        }
    }
}

/// Copies files that do not exist yet.
pub(crate) fn tree(from: &Path, to: &Path, what: What) -> Result<(), LabError> {
    directory(from, to, what, 0).doing(format!("copy {} to {}", from.display(), to.display()))
}

fn directory(from: &Path, to: &Path, what: What, depth: usize) -> io::Result<()> {
    // Unreadable ones count as empty.
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let Ok(meta) = fs::symlink_metadata(&source) else { continue };
        let there = fs::symlink_metadata(&target).is_ok();
        if meta.is_dir() {
            if !there {
                fs::create_dir(&target)?;
                // Its owner writes to it, whichever user that is on the machine.
                let mode = meta.permissions().mode() & 0o7777 | 0o700;
                fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
            }
            if depth < what.deepest() {
                directory(&source, &target, what, depth + 1)?;
            }
        } else if there {
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
    fn what_is_there_stays_and_the_rest_is_as_it_was() {
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
