//! How an undo on the same machine tells a coordinator to end its run: a socket for each run, in a folder that only its user can
//! enter. It reaches the coordinator also where no host can be reached by both.
//!
//! A bell only ends runs. What it is told is checked against the authority of the certificates, because several fleets may have
//! hosts of the same names.

use std::{
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use firedrill_wire::{RunId, api::UndoScope};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc::UnboundedSender,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::input::Input;

/// Whoever lives answers by then.
const PATIENCE: Duration = Duration::from_secs(2);
/// Names of a hundred thousand hosts.
const LONGEST: u64 = 16 << 20;

/// What is being undone, and by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ring {
    /// What.
    pub scope: UndoScope,
    /// The hosts that are asked.
    pub hosts: Vec<String>,
    /// Whose certificates: [`crate::link::Identity::authority`].
    pub authority: String,
    /// The person.
    pub by: String,
}

/// What a coordinator makes of it.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    run: RunId,
    ends: bool,
}

/// The run that a bell belongs to.
#[derive(Clone, Debug)]
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
                UndoScope::All => ring.hosts.iter().any(|host| self.targets.contains(host)),
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
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    BufReader::new(from.take(LONGEST)).read_line(&mut line).await?;
    let ring: Ring = serde_json::from_str(&line)?;
    let ends = owner.is_meant(&ring) && mail.send(Input::Rung { by: ring.by }).is_ok();
    let mut answer = serde_json::to_vec(&Answer { run: owner.run.clone(), ends })?;
    answer.push(b'\n');
    to.write_all(&answer).await
}

/// Tells the coordinators on this machine; the runs that they now end.
pub async fn ring(ring: &Ring) -> Vec<RunId> {
    let paths = folders().into_iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    let bells = paths.flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| extension == "bell")
            && match &ring.scope {
                UndoScope::Run(run) => path.file_stem().is_some_and(|stem| stem == run.as_str()),
                _ => true,
            }
    });
    let told = bells.map(|bell| async move { timeout(PATIENCE, ring_one(&bell, ring)).await.ok()?.ok() });
    let answers = join_all(told).await.into_iter().flatten();
    answers.filter(|answer| answer.ends).map(|answer| answer.run).collect()
}

async fn ring_one(bell: &Path, ring: &Ring) -> io::Result<Answer> {
    let stream = match UnixStream::connect(bell).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Its coordinator was killed.
            std::fs::remove_file(bell)?;
            return Err(error);
        }
        connected => connected?,
    };
    let (from, mut to) = stream.into_split();
    let mut line = serde_json::to_vec(ring)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    let mut said = String::new();
    BufReader::new(from.take(LONGEST)).read_line(&mut said).await?;
    Ok(serde_json::from_str(&said)?)
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

/// Where bells may be rung: in one's own folders; in everybody's, for root.
fn folders() -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let mut all = folders_of(user);
    all.retain(|folder| belongs(folder, user));
    if user == 0 {
        let others = std::fs::read_dir(FOR_ALL).into_iter().flatten().flatten().filter_map(|entry| {
            let user = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
            (user != 0 && belongs(&entry.path(), user)).then(|| entry.path())
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
        assert_eq!(ring(&ask).await, [id.parse::<RunId>().unwrap()]);
        assert!(matches!(inbox.recv().await, Some(Input::Rung { by }) if by == "bob"));
        // As a coordinator that was killed leaves it: the socket's file, and nobody who listens.
        let path = hung.0.clone();
        drop(hung);
        stop.cancel();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(ring(&ask).await, []);
        assert!(!path.exists());
    }
}
