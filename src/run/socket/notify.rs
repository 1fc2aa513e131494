//! The undo's side: finds the coordinators on this machine whose runs are undone, and notifies them.

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

/// Time within which a running coordinator answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum number of sockets of one directory that are used, and that are used at once. Other users can create any
/// number.
const MAX_SOCKETS: usize = 256;
pub(super) const AT_ONCE: usize = 8;

/// A run that will end, according to its coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The run.
    pub run: RunId,
    /// The coordinator's user, if it is another user, whose answer is not reliable.
    pub other_user: Option<u32>,
}

/// A socket in a directory, and the directory's user.
#[derive(Debug)]
pub(super) struct RunSocket {
    pub(super) path: PathBuf,
    pub(super) run: RunId,
    pub(super) user: u32,
}

impl RunSocket {
    /// Returns a socket of the directory's user, if the run in its name may be in `scope`.
    pub(super) fn at(path: PathBuf, user: u32, scope: &UndoScope) -> Option<Self> {
        if path.extension()? != "bell" {
            return None;
        }
        let run: RunId = path.file_stem()?.to_str()?.parse().ok()?;
        let may_be = match scope {
            UndoScope::Run(meant) => *meant == run,
            UndoScope::Injection(id) => run_of(id.as_str()) == Some(run.as_str()),
            UndoScope::All => true,
        };
        let data = std::fs::symlink_metadata(&path).ok()?;
        (may_be && data.file_type().is_socket() && data.uid() == user).then_some(Self { path, run, user })
    }

    pub(super) fn other_user(&self) -> Option<u32> {
        (self.user != rustix::process::geteuid().as_raw()).then_some(self.user)
    }

    /// Connects to the coordinator. The socket of a killed one of this user is removed.
    async fn connect(&self) -> io::Result<UnixStream> {
        let stream = match UnixStream::connect(&self.path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && self.other_user().is_none() => {
                std::fs::remove_file(&self.path).or_else(|gone| {
                    // Somebody else who asks removed it.
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

    /// Asks the coordinator who it is. Sends nothing.
    pub(super) async fn owner(&self) -> io::Result<Owner> {
        read_line(&mut BufReader::new(self.connect().await?.take(LONGEST))).await
    }

    /// Whether the coordinator ends its run. Nothing is sent to a process of another user than the directory's, or to
    /// one with another run.
    pub(super) async fn notify(&self, notice: &UndoNotice) -> io::Result<bool> {
        let (from, mut to) = self.connect().await?.into_split();
        let mut from = BufReader::new(from.take(LONGEST));
        let owner: Owner = read_line(&mut from).await?;
        if owner.run != self.run || !owner.is_meant(notice) {
            return Ok(false);
        }
        to.write_all(&line(&Message::End(End { by: notice.by.clone() }))?).await?;
        Ok(read_line::<Answer>(&mut from).await?.ends)
    }

    /// Tells the coordinator a wish, and returns its reply. Nothing is sent to a process of another user than the directory's, or to one
    /// with another run.
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

/// Returns the sockets in some directories whose runs may be in `scope`.
pub(super) fn sockets(folders: Vec<(PathBuf, u32)>, scope: &UndoScope) -> impl Iterator<Item = RunSocket> {
    folders.into_iter().flat_map(move |(folder, user)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(move |entry| RunSocket::at(entry.path(), user, scope)).take(MAX_SOCKETS)
    })
}

/// Notifies the coordinators on this machine. Returns the runs that they end. Takes a few seconds at most.
pub async fn notify(notice: &UndoNotice) -> Vec<Notified> {
    let own = rustix::process::geteuid().as_raw();
    let (ours, others): (Vec<_>, Vec<_>) = folders().into_iter().partition(|(_, user)| *user == own);
    let (mut told, more) = tokio::join!(notify_all(ours, notice), notify_all(others, notice));
    told.extend(more);
    told
}

async fn notify_all(folders: Vec<(PathBuf, u32)>, notice: &UndoNotice) -> Vec<Notified> {
    let calls = sockets(folders, &notice.scope).map(|socket| async move {
        let ends = timeout(PATIENCE, socket.notify(notice)).await.ok()?.ok()?;
        ends.then(|| Notified { other_user: socket.other_user(), run: socket.run })
    });
    let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    let mut told = Vec::new();
    let all = async {
        while let Some(one) = calls.next().await {
            told.extend(one);
        }
    };
    let _late = timeout(2 * PATIENCE, all).await;
    told
}
