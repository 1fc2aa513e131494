//! The directories of the sockets: one for each user, which nobody else can enter.

use std::{
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::user::outside;

/// Returns the first directory of this user that belongs to nobody else; creates it if needed.
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
    let mut all: Vec<_> = own.filter(|(folder, user)| belongs(folder, *user)).collect();
    if number == 0 {
        let others = std::fs::read_dir(FOR_ALL).into_iter().flatten().flatten().filter_map(|entry| {
            let user = user_of(entry.file_name().to_str()?)?;
            (user != 0 && belongs(&entry.path(), user)).then(|| (entry.path(), user))
        });
        all.extend(others);
    }
    all
}

const FOR_ROOT: &str = "/run/firedrill-runs";
const FOR_ALL: &str = "/tmp";
const PREFIX: &str = "firedrill-runs-";

fn folders_of(user: u32) -> Vec<PathBuf> {
    let root = (user == 0).then(|| PathBuf::from(FOR_ROOT));
    root.into_iter().chain([Path::new(FOR_ALL).join(format!("{PREFIX}{user}"))]).collect()
}

/// Returns the user in a directory's name. Each user has one name: `01000` and `+1000` are no users.
fn user_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix(PREFIX)?;
    number.parse().ok().filter(|user: &u32| user.to_string() == number)
}

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
