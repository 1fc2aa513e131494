//! Lets a new run see the other runs of this machine: reads which run each coordinator has, and lets runs that begin at the same moment
//! look one after the other. Never sends anything to a coordinator.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use firedrill_wire::{RunId, api::UndoScope};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::timeout;

use super::{
    folders::{folders, own_folder},
    notify::{AT_ONCE, PATIENCE, sockets},
    protocol::Owner,
};

/// Name of the file that a run locks while it begins. The file is in its user's directory.
const LOCK: &str = "begin.lock";
/// Maximum time that a run waits for the lock.
const TURN: Duration = Duration::from_secs(10);
/// Time between two attempts to take the lock.
const AGAIN: Duration = Duration::from_millis(20);

/// A coordinator on this machine, and its first line.
#[derive(Debug)]
pub(crate) struct Found {
    /// The run that its socket is named after.
    pub(crate) run: RunId,
    /// The id of its user, if that is not this process's user: then the line is not reliable. `None` for this user.
    pub(crate) other_user: Option<u32>,
    /// Its first line; `None` if it did not answer, or names another run than its socket.
    pub(crate) owner: Option<Owner>,
}

/// The lock that one run of this user holds while it begins. Dropping the value releases the lock, and so does the end of the process.
pub(crate) struct Turn(#[expect(dead_code, reason = "dropping it releases the lock")] File);

impl Turn {
    /// Waits for the lock, for at most 10 seconds.
    ///
    /// # Errors
    /// The directory or the file cannot be created, or another process holds the lock for 10 seconds.
    pub(crate) async fn take() -> io::Result<Self> {
        let path = own_folder()?.join(LOCK);
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if began.elapsed() < TURN => tokio::time::sleep(AGAIN).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns the coordinators whose sockets this user can reach, without the coordinator of the run `own`. Removes sockets that killed
/// coordinators of this user left behind. Spends at most 4 seconds on the sockets of other users, who can create any number of them.
pub(crate) async fn owners(own: &RunId) -> Vec<Found> {
    let user = rustix::process::geteuid().as_raw();
    let (ours, others): (Vec<_>, Vec<_>) = folders().into_iter().partition(|(_, owner)| *owner == user);
    let mut found = Vec::new();
    ask(ours, own, &mut found).await;
    let _late = timeout(2 * PATIENCE, ask(others, own, &mut found)).await;
    found
}

/// Adds the coordinators of these directories to `found`.
async fn ask(folders: Vec<(PathBuf, u32)>, own: &RunId, found: &mut Vec<Found>) {
    let others = sockets(folders, &UndoScope::All).filter(|socket| socket.run != *own);
    let calls = others.map(|socket| async move {
        let owner = match timeout(PATIENCE, socket.owner()).await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return None,
            Ok(owner) => owner.ok().filter(|owner| owner.run == socket.run),
            Err(_late) => None,
        };
        Some(Found { other_user: socket.other_user(), run: socket.run, owner })
    });
    let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    while let Some(answer) = calls.next().await {
        found.extend(answer);
    }
}
