//! The directories of the sockets: one for each user, which no other user can enter.

use std::{
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::user::outside;

/// Returns the directory for this user's sockets; creates it if needed. The error says why there is none, for example because another user
/// owns a directory of that name.
pub(super) fn own_folder() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let mut why = io::Error::other("there is no place for it");
    for folder in folders_of(outside()) {
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => why = error,
            _ if belongs(&folder, user) => return Ok(folder),
            _ => why = io::Error::other(format!("{} is somebody else's", folder.display())),
        }
    }
    Err(why)
}

/// Returns the directories with sockets and their users: this user's own; for root, those of all users.
pub(super) fn folders() -> Vec<(PathBuf, u32)> {
    let user = rustix::process::geteuid().as_raw();
    let number = outside();
    let own = folders_of(number).into_iter().map(|folder| (folder, user));
    let mut found: Vec<_> = own.filter(|(folder, user)| belongs(folder, *user)).collect();
    if number == 0 {
        let others = std::fs::read_dir(FOR_ALL).into_iter().flatten().flatten().filter_map(|entry| {
            let user = user_of(entry.file_name().to_str()?)?;
            (user != 0 && belongs(&entry.path(), user)).then(|| (entry.path(), user))
        });
        found.extend(others);
    }
    found
}

/// The directory of root's sockets, if it can be made.
const FOR_ROOT: &str = "/run/firedrill-runs";
/// The place of the directories of all users.
const FOR_ALL: &str = "/tmp";
/// The beginning of their names, before the user's number.
const PREFIX: &str = "firedrill-runs-";

/// Returns the possible directories of a user, the preferred one first.
fn folders_of(user: u32) -> Vec<PathBuf> {
    let root = (user == 0).then(|| PathBuf::from(FOR_ROOT));
    root.into_iter().chain([Path::new(FOR_ALL).join(format!("{PREFIX}{user}"))]).collect()
}

/// Returns the user in a directory's name. Each user has only one name: `01000` and `+1000` are refused.
fn user_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix(PREFIX)?;
    number.parse().ok().filter(|user: &u32| user.to_string() == number)
}

/// Whether a directory belongs to a user, and no other user can enter it.
fn belongs(folder: &Path, user: u32) -> bool {
    std::fs::symlink_metadata(folder)
        .is_ok_and(|data| data.is_dir() && data.uid() == user && data.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_directory() {
        assert_eq!(user_of("firedrill-runs-1000"), Some(1_000));
        for bad in ["firedrill-runs-01000", "firedrill-runs-+1000", "firedrill-runs-", "runs-1000"] {
            assert_eq!(user_of(bad), None, "{bad}");
        }
    }
}
