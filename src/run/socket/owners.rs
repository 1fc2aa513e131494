//! The side of a new run: asks the other coordinators on this machine who they are, and takes turns with runs that begin at the same
//! moment. Sends nothing.

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

/// The file that a beginning run locks, in its user's directory.
const LOCK: &str = "begin.lock";
/// Time that a run waits for its turn, and the interval at which it tries.
const TURN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(20);

/// A coordinator on this machine, and what it says.
#[derive(Debug)]
pub(crate) struct Found {
    /// The run that its socket is named after.
    pub(crate) run: RunId,
    /// Its user, if it is another user, whose answer is not reliable.
    pub(crate) other_user: Option<u32>,
    /// Its first line; `None` if it did not answer.
    pub(crate) owner: Option<Owner>,
}

/// The turn of one beginning run of this user. It ends when this is dropped, or with the process.
pub(crate) struct Turn(#[expect(dead_code, reason = "dropping it releases the lock")] File);

impl Turn {
    /// Waits for the turn.
    ///
    /// # Errors
    /// The directory or the file cannot be made, or another process keeps its turn for 10 seconds.
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

/// Returns the coordinators whose sockets this user can reach, without that of `own`. Sockets of killed coordinators of this user are
/// removed. Sockets of other users, who can create any number, are asked for 4 seconds in all.
pub(crate) async fn owners(own: &RunId) -> Vec<Found> {
    let user = rustix::process::geteuid().as_raw();
    let (ours, others): (Vec<_>, Vec<_>) = folders().into_iter().partition(|(_, of)| *of == user);
    let mut found = Vec::new();
    ask(ours, own, &mut found).await;
    let _late = timeout(2 * PATIENCE, ask(others, own, &mut found)).await;
    found
}

/// Asks the coordinators of some directories.
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
    while let Some(one) = calls.next().await {
        found.extend(one);
    }
}
