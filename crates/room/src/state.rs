//! The folder with the control room's own data ("the state"): the database, the audit log, and the lock of the server that uses it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::{
    audit::{Audit, Deed, Head},
    error::RoomError,
    store::Store,
};

/// The name of the setting with the origin of the pages.
pub(crate) const ORIGIN: &str = "origin";

/// The file that the server locks.
const LOCK: &str = "room.lock";

/// An open state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) audit: Audit,
}

impl State {
    /// Opens the state in a folder; creates it if needed.
    pub(crate) fn open(folder: &Path) -> Result<Self, RoomError> {
        Self::open_as(folder, rustix::process::geteuid().as_raw())
    }

    /// Opens the state that a control room uses or has used, and returns the origin of its pages.
    ///
    /// # Errors
    /// As [`Self::open`]; or no control room has used it yet.
    pub(crate) fn used(folder: &Path) -> Result<(Self, String), RoomError> {
        let state = Self::open(folder)?;
        let origin =
            state.store.setting(ORIGIN)?.ok_or_else(|| RoomError::NoOrigin { path: folder.to_owned() })?;
        Ok((state, origin))
    }

    /// Opens the state for a user, who has to own the folder.
    fn open_as(folder: &Path, user: u32) -> Result<Self, RoomError> {
        let io = |doing| move |source| RoomError::Io { doing, path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("create the folder"))?;
        let about = fs::metadata(folder).map_err(io("use the folder"))?;
        if about.uid() != user {
            return Err(RoomError::Foreign { path: folder.to_owned(), owner: about.uid(), user });
        }
        if about.mode() & 0o077 != 0 {
            return Err(RoomError::Open { path: folder.to_owned() });
        }
        Ok(Self { store: Store::open(folder)?, audit: Audit::at(folder) })
    }
}

/// Writes a deed into the audit log, and returns the log's new head.
pub(crate) fn written(audit: &Audit, deed: &Deed) -> Result<Head, RoomError> {
    audit.write(deed).map_err(|source| RoomError::Io {
        doing: "write",
        path: audit.path().to_owned(),
        source,
    })
}

/// Locks the state for one server, until the returned file is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File, RoomError> {
    let path = folder.join(LOCK);
    let io = |source| RoomError::Io { doing: "lock", path: path.clone(), source };
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RoomError::Busy { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_one_server_locks_a_state_and_other_users_cannot_enter_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("deep/room");
        State::open(&folder).unwrap();
        let held = lock(&folder).unwrap();
        assert!(matches!(lock(&folder), Err(RoomError::Busy { .. })));
        drop(held);
        lock(&folder).unwrap();
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o750)).unwrap();
        assert!(State::open(&folder).unwrap_err().to_string().contains("chmod 700"));
    }

    #[test]
    fn the_state_of_another_user_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let refused = State::open_as(&home.path().join("room"), user + 1).unwrap_err().to_string();
        assert!(refused.contains(&format!("belongs to user {user}")), "{refused}");
        assert!(!home.path().join("room/room.sqlite").exists(), "nothing was made in it");
    }
}
