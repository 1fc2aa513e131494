//! An undo on the same machine tells a coordinator to end its run by a socket for each run, in a folder that only its user can
//! enter. It reaches the coordinator also where no host can be reached by both.
//!
//! A bell only ends runs. It says which run it is of, on which hosts and under which authority, because several fleets may have
//! hosts of the same names; who rings decides whether that is meant, and tells the bell nothing but a name. Root rings those of all
//! users: what these answer is theirs to say, and proves nothing.

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

/// A coordinator that is alive answers within this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum length of a line, in bytes: enough for the names of a hundred thousand hosts.
const LONGEST: u64 = 16 << 20;
/// Maximum number of bells of one folder that are rung, and that are rung at once: other users can make any number.
const BELLS_MOST: usize = 256;
const AT_ONCE: usize = 8;

/// An undo, and who asked for it. The sender keeps it.
#[derive(Clone, Debug)]
pub struct Ring {
    /// What is undone.
    pub scope: UndoScope,
    /// The hosts that are asked.
    pub hosts: Vec<String>,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub authority: String,
    /// The person.
    pub by: String,
}

/// A message to a bell about its run.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    by: String,
}

/// The coordinator's answer.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    ends: bool,
}

/// A run that its coordinator ends, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The run.
    pub run: RunId,
    /// The user whose coordinator it is, where that is another: whatever it says is not to be relied on.
    pub other_user: Option<u32>,
}

/// The run that a bell belongs to; the first line of each bell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) run: RunId,
    pub(super) targets: Vec<String>,
    pub(super) authority: String,
}

impl Owner {
    fn is_meant(&self, ring: &Ring) -> bool {
        self.authority == ring.authority
            && match &ring.scope {
                UndoScope::Run(run) => *run == self.run,
                UndoScope::Injection(id) => run_of(id.as_str()) == Some(self.run.as_str()),
                UndoScope::All => {
                    let asked: HashSet<&str> = ring.hosts.iter().map(String::as_str).collect();
                    self.targets.iter().any(|host| asked.contains(host.as_str()))
                }
            }
    }
}

/// The run that an injection's id names: without attack and place.
fn run_of(injection: &str) -> Option<&str> {
    Some(injection.rsplit_once('-')?.0.rsplit_once('-')?.0)
}

/// Takes its socket away when the run is over.
pub(super) struct Hung(PathBuf);

impl Drop for Hung {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens until `stop` is cancelled.
///
/// # Errors
/// The folder or the socket cannot be made; the run does without.
pub(super) fn hang(owner: Owner, mail: UnboundedSender<Input>, stop: CancellationToken) -> io::Result<Hung> {
    let path = own_folder()?.join(format!("{}.bell", owner.run));
    let listener = UnixListener::bind(&path)?;
    let listening = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (owner, mail) = (owner.clone(), mail.clone());
            tokio::spawn(async move { timeout(PATIENCE, answer(stream, &owner, &mail)).await });
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(listening).await });
    Ok(Hung(path))
}

async fn answer(stream: UnixStream, owner: &Owner, mail: &UnboundedSender<Input>) -> io::Result<()> {
    let by = stream.peer_cred()?.uid();
    if by != 0 && by != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (from, mut to) = stream.into_split();
    to.write_all(&line(owner)?).await?;
    let end: End = read_line(&mut BufReader::new(from.take(LONGEST))).await?;
    let ends = mail.send(Input::Rung { by: end.by }).is_ok();
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

/// A socket in a folder, and the user whose folder it is.
#[derive(Debug)]
struct Bell {
    path: PathBuf,
    run: RunId,
    user: u32,
}

impl Bell {
    /// A socket of the folder's user that is named after a run which `scope` may mean.
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

    /// Whether its coordinator ends its run. Nothing is sent to whoever is not the folder's user, or has another run.
    async fn ring(&self, ring: &Ring) -> io::Result<bool> {
        let stream = match UnixStream::connect(&self.path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && self.other_user().is_none() => {
                // Its coordinator was killed.
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
        if owner.run != self.run || !owner.is_meant(ring) {
            return Ok(false);
        }
        to.write_all(&line(&End { by: ring.by.clone() })?).await?;
        Ok(read_line::<Answer>(&mut from).await?.ends)
    }
}

/// Tells the coordinators on this machine; the runs that they now end. Takes a few seconds at most.
pub async fn ring(ring: &Ring) -> Vec<Told> {
    let own = rustix::process::geteuid().as_raw();
    let (ours, others): (Vec<_>, Vec<_>) = folders().into_iter().partition(|(_, user)| *user == own);
    let (mut told, more) = tokio::join!(ring_all(ours, ring), ring_all(others, ring));
    told.extend(more);
    told
}

async fn ring_all(folders: Vec<(PathBuf, u32)>, ring: &Ring) -> Vec<Told> {
    let bells = folders.into_iter().flat_map(|(folder, user)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(move |entry| Bell::at(entry.path(), user, &ring.scope)).take(BELLS_MOST)
    });
    let calls = bells.map(|bell| async move {
        let ends = timeout(PATIENCE, bell.ring(ring)).await.ok()?.ok()?;
        ends.then(|| Told { other_user: bell.other_user(), run: bell.run })
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

/// The folder of this user, made where it is not there: the first that is nobody else's.
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

/// Where bells may be rung, and whose these are: in one's own folders; in everybody's, for root.
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

    fn rung(scope: UndoScope, host: &str, authority: &str) -> Ring {
        let (hosts, by) = (vec![host.to_owned()], "bob".to_owned());
        Ring { scope, hosts, authority: authority.to_owned(), by }
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
            let ring = rung(scope, host, authority);
            assert_eq!(owner.is_meant(&ring), meant, "{ring:?}");
        }
    }

    #[tokio::test]
    async fn a_bell_is_heard_and_one_of_a_dead_coordinator_is_taken_away() {
        let id = format!("bell-{}", std::process::id());
        let (mail, mut inbox) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let hung = hang(owner(&id), mail, stop.clone()).unwrap();
        let ask = rung(UndoScope::Run(id.parse().unwrap()), "app1", "ours");
        assert_eq!(ring(&ask).await, [Told { run: id.parse().unwrap(), other_user: None }]);
        assert!(matches!(inbox.recv().await, Some(Input::Rung { by }) if by == "bob"));
        // As a coordinator that was killed leaves it: the socket's file, and nobody who listens.
        let path = hung.0.clone();
        drop(hung);
        stop.cancel();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(ring(&ask).await, []);
        assert!(!path.exists());
    }
    /// Bells as anybody can make them: each says whatever it likes, and then that it ends.
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
    async fn a_bell_is_believed_only_about_its_own_run_and_by_its_own_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("friday-7f3a.bell");
        let mut heard = liar(&path, owner("friday-7f3b")).await;
        let user = rustix::process::geteuid().as_raw();
        let ask = rung(UndoScope::All, "app1", "ours");
        let bell = Bell::at(path.clone(), user, &ask.scope).unwrap();
        assert!(!bell.ring(&ask).await.unwrap(), "another run than that of its name");
        assert_eq!(heard.recv().await.unwrap(), "", "it was told nothing");
        // In a folder of somebody else: the socket is not theirs, and who listens is not either.
        assert!(Bell::at(path.clone(), user + 1, &ask.scope).is_none());
        let foreign = Bell { path: path.clone(), run: "friday-7f3b".parse().unwrap(), user: user + 1 };
        assert_eq!(foreign.ring(&ask).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(heard.recv().await.unwrap(), "", "it was told nothing");
        let other = UndoScope::Run("friday-7f3b".parse().unwrap());
        assert!(Bell::at(path.clone(), user, &other).is_none(), "not of the scope's run");
        // Who is believed hears a name, and neither hosts nor authority.
        let same = Bell { path: path.clone(), run: "friday-7f3b".parse().unwrap(), user };
        assert!(same.ring(&ask).await.unwrap());
        assert_eq!(heard.recv().await.unwrap(), "{\"by\":\"bob\"}\n");
        let link = dir.path().join("friday-7f3c.bell");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Bell::at(link, user, &UndoScope::All).is_none(), "a link leads anywhere");
    }
}
