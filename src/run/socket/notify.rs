//! Notifies running coordinators of an undo: finds the coordinators on this machine whose runs are undone, and tells each that its run
//! must end. Never sends anything to a process of another user than the socket's.

use std::{
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::PathBuf,
    time::Duration,
};

use firedrill_wire::{RunId, api::UndoScope};
use futures_util::stream::{self, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::{
    super::wish::{Reply, Wish},
    folders::folders,
    protocol::{Answer, End, LONGEST, Message, Owner, UndoNotice, line, read_line, run_of},
};

/// Maximum time that a running coordinator needs for its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum number of sockets used from one directory, because other users can create any number of them.
const MAX_SOCKETS: usize = 256;
/// Maximum number of sockets used at the same time.
pub(super) const AT_ONCE: usize = 8;

/// A run whose coordinator answered that it ends the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The run.
    pub run: RunId,
    /// The id of the coordinator's user, if that is not this process's user: then the answer is not reliable. `None` for this user.
    pub other_user: Option<u32>,
}

/// A coordinator's socket in one of the known directories.
#[derive(Debug)]
pub(super) struct RunSocket {
    pub(super) path: PathBuf,
    /// The run that the file is named after.
    pub(super) run: RunId,
    /// The id of the user who owns the directory and the socket.
    pub(super) user: u32,
}

impl RunSocket {
    /// Returns the socket at `path`. `None` if it is not a socket of `user`, or if the run in its file name cannot be in `scope`.
    pub(super) fn at(path: PathBuf, user: u32, scope: &UndoScope) -> Option<Self> {
        if path.extension()? != "bell" {
            return None;
        }
        let run: RunId = path.file_stem()?.to_str()?.parse().ok()?;
        let in_scope = match scope {
            UndoScope::Run(wanted) => *wanted == run,
            UndoScope::Injection(id) => run_of(id.as_str()) == Some(run.as_str()),
            UndoScope::All => true,
        };
        let data = std::fs::symlink_metadata(&path).ok()?;
        (in_scope && data.file_type().is_socket() && data.uid() == user).then_some(Self { path, run, user })
    }

    /// Returns the socket's user; `None` if that is this process's user.
    pub(super) fn other_user(&self) -> Option<u32> {
        (self.user != rustix::process::geteuid().as_raw()).then_some(self.user)
    }

    /// Connects to the coordinator. If nobody listens and the socket is of this user, its coordinator was killed: the socket is removed.
    ///
    /// # Errors
    /// Nobody listens, the stale socket cannot be removed, or the process that listens is of another user than the socket.
    async fn connect(&self) -> io::Result<UnixStream> {
        let stream = match UnixStream::connect(&self.path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && self.other_user().is_none() => {
                std::fs::remove_file(&self.path).or_else(|gone| {
                    // Another process, which also tried to connect, removed the socket.
                    if gone.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(gone) }
                })?;
                return Err(error);
            }
            connected => connected?,
        };
        if stream.peer_cred()?.uid() != self.user {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(stream)
    }

    /// Reads the coordinator's first line, which says which run it has. Sends nothing.
    pub(super) async fn owner(&self) -> io::Result<Owner> {
        read_line(&mut BufReader::new(self.connect().await?.take(LONGEST))).await
    }

    /// Notifies the coordinator of an undo. Returns whether it ends its run. Sends nothing to a process of another user than the
    /// directory's, and nothing to a coordinator with another run.
    pub(super) async fn notify(&self, notice: &UndoNotice) -> io::Result<bool> {
        let (from, mut to) = self.connect().await?.into_split();
        let mut from = BufReader::new(from.take(LONGEST));
        let owner: Owner = read_line(&mut from).await?;
        if owner.run != self.run || !owner.is_undone_by(notice) {
            return Ok(false);
        }
        to.write_all(&line(&Message::End(End { by: notice.by.clone() }))?).await?;
        Ok(read_line::<Answer>(&mut from).await?.ends)
    }

    /// Sends a person's wish to the coordinator, and returns its reply. Sends nothing to a process of another user than the directory's,
    /// and nothing to a coordinator with another run.
    pub(super) async fn request(&self, wish: &Wish) -> io::Result<Reply> {
        let (from, mut to) = self.connect().await?.into_split();
        let mut from = BufReader::new(from.take(LONGEST));
        let owner: Owner = read_line(&mut from).await?;
        if owner.run != self.run {
            return Err(io::Error::other(format!("it says that it runs {}", owner.run)));
        }
        to.write_all(&line(&Message::Wish { wish: wish.clone() })?).await?;
        read_line(&mut from).await
    }
}

/// Returns the sockets in these directories (each with the id of its user) whose runs may be in `scope`.
pub(super) fn sockets(folders: Vec<(PathBuf, u32)>, scope: &UndoScope) -> impl Iterator<Item = RunSocket> {
    folders.into_iter().flat_map(move |(folder, user)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(move |entry| RunSocket::at(entry.path(), user, scope)).take(MAX_SOCKETS)
    })
}

/// Notifies the coordinators on this machine of an undo. Returns the runs that they end. Takes at most 4 seconds.
pub async fn notify(notice: &UndoNotice) -> Vec<Notified> {
    let own = rustix::process::geteuid().as_raw();
    let (ours, others): (Vec<_>, Vec<_>) = folders().into_iter().partition(|(_, user)| *user == own);
    let (mut notified, more) = tokio::join!(notify_all(ours, notice), notify_all(others, notice));
    notified.extend(more);
    notified
}

/// Notifies the coordinators of these directories. Returns the runs that end; coordinators that answer after 4 seconds are left out.
async fn notify_all(folders: Vec<(PathBuf, u32)>, notice: &UndoNotice) -> Vec<Notified> {
    let calls = sockets(folders, &notice.scope).map(|socket| async move {
        let ends = timeout(PATIENCE, socket.notify(notice)).await.ok()?.ok()?;
        ends.then(|| Notified { other_user: socket.other_user(), run: socket.run })
    });
    let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    let mut notified = Vec::new();
    let collect = async {
        while let Some(answer) = calls.next().await {
            notified.extend(answer);
        }
    };
    let _late = timeout(2 * PATIENCE, collect).await;
    notified
}
