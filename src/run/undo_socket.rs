//! Lets an undo on this machine tell the coordinators of affected runs, through a socket for each run. It works also
//! where neither process can reach a host.
//!
//! The sockets are in a directory that only their user can enter. A coordinator sends its run, hosts and authority
//! first, because several fleets may have hosts of the same names. The undo decides whether the run is affected and
//! sends nothing but the name of the person who asked for it. An undo by root notifies the coordinators of all users;
//! answers of other users' processes are claims and prove nothing.
//!
//! The name of a socket ends in `.bell`, because undo and coordinator may be of different versions.

use std::{
    collections::HashSet,
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use firedrill_wire::{RunId, api::UndoScope};
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc::UnboundedSender,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::input::Input;

/// Time within which a running coordinator answers.
const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum length of a line, in bytes: enough for the names of a hundred thousand hosts.
const LONGEST: u64 = 16 << 20;
/// Maximum number of sockets of one directory that are used, and that are used at once. Other users can create any
/// number.
const MAX_SOCKETS: usize = 256;
const AT_ONCE: usize = 8;

/// An undo, and the person who asked for it. Only the sender knows all of it.
#[derive(Clone, Debug)]
pub struct UndoNotice {
    /// The scope of the undo.
    pub scope: UndoScope,
    /// The hosts of the undo.
    pub hosts: Vec<String>,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub authority: String,
    /// The person.
    pub by: String,
}

/// The message to a coordinator.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    by: String,
}

/// The coordinator's answer.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    ends: bool,
}

/// A run that will end, according to its coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The run.
    pub run: RunId,
    /// The coordinator's user, if it is another user, whose answer is not reliable.
    pub other_user: Option<u32>,
}

/// A coordinator's first line: the run that the socket belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) run: RunId,
    pub(super) targets: Vec<String>,
    pub(super) authority: String,
}

impl Owner {
    fn is_meant(&self, notice: &UndoNotice) -> bool {
        self.authority == notice.authority
            && match &notice.scope {
                UndoScope::Run(run) => *run == self.run,
                UndoScope::Injection(id) => run_of(id.as_str()) == Some(self.run.as_str()),
                UndoScope::All => {
                    let asked: HashSet<&str> = notice.hosts.iter().map(String::as_str).collect();
                    self.targets.iter().any(|host| asked.contains(host.as_str()))
                }
            }
    }
}

/// Returns the run of an injection's id: the id without attack and place.
fn run_of(injection: &str) -> Option<&str> {
    Some(injection.rsplit_once('-')?.0.rsplit_once('-')?.0)
}

/// Removes the socket when the run is over.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens until `stop` is cancelled.
///
/// # Errors
/// The directory or the socket cannot be created. The run does without.
pub(super) fn listen(
    owner: Owner,
    mail: UnboundedSender<Input>,
    stop: CancellationToken,
) -> io::Result<SocketFile> {
    let path = own_folder()?.join(format!("{}.bell", owner.run));
    let listener = UnixListener::bind(&path)?;
    let listening = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (owner, mail) = (owner.clone(), mail.clone());
            tokio::spawn(async move { timeout(PATIENCE, answer(stream, &owner, &mail)).await });
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(listening).await });
    Ok(SocketFile(path))
}

async fn answer(stream: UnixStream, owner: &Owner, mail: &UnboundedSender<Input>) -> io::Result<()> {
    let by = stream.peer_cred()?.uid();
    if by != 0 && by != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (from, mut to) = stream.into_split();
    to.write_all(&line(owner)?).await?;
    let end: End = read_line(&mut BufReader::new(from.take(LONGEST))).await?;
    let ends = mail.send(Input::UndoneHere { by: end.by }).is_ok();
    to.write_all(&line(&Answer { ends })?).await
}

fn line(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(line)
}

async fn read_line<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<T> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

/// A socket in a directory, and the directory's user.
#[derive(Debug)]
struct UndoSocket {
    path: PathBuf,
    run: RunId,
    user: u32,
}

impl UndoSocket {
    /// Returns a socket of the directory's user, if the run in its name may be in `scope`.
    fn at(path: PathBuf, user: u32, scope: &UndoScope) -> Option<Self> {
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

    fn other_user(&self) -> Option<u32> {
        (self.user != rustix::process::geteuid().as_raw()).then_some(self.user)
    }

    /// Whether the coordinator ends its run. Nothing is sent to a process of another user than the directory's, or to
    /// one with another run.
    async fn notify(&self, notice: &UndoNotice) -> io::Result<bool> {
        let stream = match UnixStream::connect(&self.path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && self.other_user().is_none() => {
                // The coordinator was killed.
                std::fs::remove_file(&self.path)?;
                return Err(error);
            }
            connected => connected?,
        };
        if stream.peer_cred()?.uid() != self.user {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (from, mut to) = stream.into_split();
        let mut from = BufReader::new(from.take(LONGEST));
        let owner: Owner = read_line(&mut from).await?;
        if owner.run != self.run || !owner.is_meant(notice) {
            return Ok(false);
        }
        to.write_all(&line(&End { by: notice.by.clone() })?).await?;
        Ok(read_line::<Answer>(&mut from).await?.ends)
    }
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
    let sockets = folders.into_iter().flat_map(|(folder, user)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(move |entry| UndoSocket::at(entry.path(), user, &notice.scope)).take(MAX_SOCKETS)
    });
    let calls = sockets.map(|socket| async move {
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

/// Returns the first directory of this user that belongs to nobody else; creates it if needed.
fn own_folder() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let mut why = io::Error::other("there is no place for it");
    for folder in folders_of(user) {
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => why = error,
            _ if belongs(&folder, user) => return Ok(folder),
            _ => why = io::Error::other(format!("{} is somebody else's", folder.display())),
        }
    }
    Err(why)
}

/// Returns the directories with sockets and their users: this user's own; for root, those of all users.
fn folders() -> Vec<(PathBuf, u32)> {
    let user = rustix::process::geteuid().as_raw();
    let own = folders_of(user).into_iter().map(|folder| (folder, user));
    let mut all: Vec<_> = own.filter(|(folder, user)| belongs(folder, *user)).collect();
    if user == 0 {
        let others = std::fs::read_dir(FOR_ALL).into_iter().flatten().flatten().filter_map(|entry| {
            let user = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
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

fn belongs(folder: &Path, user: u32) -> bool {
    std::fs::symlink_metadata(folder)
        .is_ok_and(|data| data.is_dir() && data.uid() == user && data.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn owner(run: &str) -> Owner {
        Owner { run: run.parse().unwrap(), targets: vec!["app1".to_owned()], authority: "ours".to_owned() }
    }

    fn notice(scope: UndoScope, host: &str, authority: &str) -> UndoNotice {
        let (hosts, by) = (vec![host.to_owned()], "bob".to_owned());
        UndoNotice { scope, hosts, authority: authority.to_owned(), by }
    }

    #[test]
    fn only_the_run_that_is_undone_is_meant() {
        let owner = owner("friday-7f3a");
        let run = |text: &str| UndoScope::Run(text.parse().unwrap());
        let injection = |text: &str| UndoScope::Injection(text.parse().unwrap());
        for (scope, host, authority, meant) in [
            (run("friday-7f3a"), "other", "ours", true),
            (run("friday-7f3b"), "app1", "ours", false),
            (run("friday-7f3a"), "app1", "another's", false),
            (injection("friday-7f3a-1-12"), "app1", "ours", true),
            (injection("friday-7f3a-b-1-12"), "app1", "ours", false),
            (UndoScope::All, "app1", "ours", true),
            (UndoScope::All, "app2", "ours", false),
            (UndoScope::All, "app1", "another's", false),
        ] {
            let notice = notice(scope, host, authority);
            assert_eq!(owner.is_meant(&notice), meant, "{notice:?}");
        }
    }

    #[tokio::test]
    async fn a_coordinator_is_notified_and_the_socket_of_a_dead_one_is_removed() {
        let id = format!("undo-socket-{}", std::process::id());
        let (mail, mut inbox) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let file = listen(owner(&id), mail, stop.clone()).unwrap();
        let ask = notice(UndoScope::Run(id.parse().unwrap()), "app1", "ours");
        assert_eq!(notify(&ask).await, [Notified { run: id.parse().unwrap(), other_user: None }]);
        assert!(matches!(inbox.recv().await, Some(Input::UndoneHere { by }) if by == "bob"));
        // A killed coordinator leaves the socket's file, with no process that listens.
        let path = file.0.clone();
        drop(file);
        stop.cancel();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(notify(&ask).await, []);
        assert!(!path.exists());
    }
    /// A process of any user: it sends the given first line, and then that it ends the run.
    async fn liar(path: &Path, says: Owner) -> mpsc::UnboundedReceiver<String> {
        let listener = UnixListener::bind(path).unwrap();
        let (heard, inbox) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (from, mut to) = stream.into_split();
                let _ = to.write_all(&line(&says).unwrap()).await;
                let mut told = String::new();
                let _ = BufReader::new(from).read_line(&mut told).await;
                heard.send(told).unwrap();
                let _ = to.write_all(&line(&Answer { ends: true }).unwrap()).await;
            }
        });
        inbox
    }

    #[tokio::test]
    async fn a_socket_is_believed_only_about_its_own_run_and_by_its_own_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("friday-7f3a.bell");
        let mut heard = liar(&path, owner("friday-7f3b")).await;
        let user = rustix::process::geteuid().as_raw();
        let ask = notice(UndoScope::All, "app1", "ours");
        let socket = UndoSocket::at(path.clone(), user, &ask.scope).unwrap();
        assert!(!socket.notify(&ask).await.unwrap(), "another run than that of its name");
        assert_eq!(heard.recv().await.unwrap(), "", "it was told nothing");
        // In another user's directory, neither the socket nor the process that listens belongs to the directory's
        // user.
        assert!(UndoSocket::at(path.clone(), user + 1, &ask.scope).is_none());
        let foreign = UndoSocket { path: path.clone(), run: "friday-7f3b".parse().unwrap(), user: user + 1 };
        assert_eq!(foreign.notify(&ask).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(heard.recv().await.unwrap(), "", "it was told nothing");
        let other = UndoScope::Run("friday-7f3b".parse().unwrap());
        assert!(UndoSocket::at(path.clone(), user, &other).is_none(), "not of the scope's run");
        // A trusted coordinator receives a name, and neither hosts nor authority.
        let same = UndoSocket { path: path.clone(), run: "friday-7f3b".parse().unwrap(), user };
        assert!(same.notify(&ask).await.unwrap());
        assert_eq!(heard.recv().await.unwrap(), "{\"by\":\"bob\"}\n");
        let link = dir.path().join("friday-7f3c.bell");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(UndoSocket::at(link, user, &UndoScope::All).is_none(), "a link leads anywhere");
    }
}
