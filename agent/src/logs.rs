//! Reads logs of this host for runs: counts the lines that match a pattern, and keeps the first ones. Asks no policy;
//! see [`crate::supervisor`].
//!
//! A run's logs are read by a thread of its own, ten times a second. Nothing is kept of a line but its count and, of the first that
//! match, its text without secrets (`firedrill_wire::hide::line`). Only that thread asks the file system: one that hangs holds up
//! nobody else.

mod between;
mod birth;
mod bounds;
mod count;
mod follow;
mod lines;
mod open;
mod place;
mod writers;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use firedrill_probe::{Spool, Writer, clock::boot_id};
use firedrill_wire::{
    RefusalCode, RunId,
    api::Problem,
    logs::{LogBin, LogSpec, StartLogs},
};

use self::{
    bounds::{Bounds, Ending, Reader},
    follow::Follower,
};
use crate::{
    control::{Caller, Feed},
    injection::refuse,
};

/// Maximum number of threads that read, also of those that were stopped and have not ended.
const RUNNING: usize = 16;
/// Maximum number of logs that they read.
const LOGS: usize = 64;
/// Maximum number of stopped runs whose bins are kept, the newest first.
const STOPPED: usize = 4;
/// Maximum memory of one run's bins, in bytes.
const MEMORY: usize = 8 * 1024 * 1024;
/// Interval at which files are looked at.
const EVERY: Duration = Duration::from_millis(100);
/// Maximum time for which a file system may take to open the logs.
const OPENING: Duration = Duration::from_secs(5);
/// Maximum time for which a reader waits for the one that it replaces.
const REPLACING: Duration = Duration::from_secs(2);

/// The logs of the last few runs.
#[derive(Default)]
pub struct Logs {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    runs: VecDeque<OfRun>,
    /// Readers whose threads have not ended.
    readers: Vec<Arc<Reader>>,
}

struct OfRun {
    run: RunId,
    owner: String,
    spool: Arc<Spool<LogBin>>,
    reader: Arc<Reader>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(title: String, hint: &str) -> Problem {
    refuse(RefusalCode::BadLog, title, hint)
}

impl Known {
    fn of(&self, run: &RunId) -> Option<&OfRun> {
        self.runs.iter().find(|known| known.run == *run)
    }

    /// Takes a place for a reader.
    fn admit(&mut self, reader: &Arc<Reader>) -> Result<(), Problem> {
        self.readers.retain(|reader| !reader.has_ended());
        let replaced = self.of(&reader.run).map(|known| Arc::clone(&known.reader));
        // The reader that is about to be replaced makes room, unless it should have ended already.
        let counts = |one: &&Arc<Reader>| {
            one.is_stopped() || !replaced.as_ref().is_some_and(|replaced| Arc::ptr_eq(one, replaced))
        };
        let others: Vec<_> = self.readers.iter().filter(counts).collect();
        let logs: usize = others.iter().map(|one| one.logs).sum();
        let too_many = if others.len() >= RUNNING {
            format!("logs of {} runs are read on this host, which is the most", others.len())
        } else if logs + reader.logs > LOGS {
            format!("{logs} logs are read on this host, and {LOGS} are the most")
        } else {
            self.readers.push(Arc::clone(reader));
            return Ok(());
        };
        let hung = others.iter().filter(|one| one.is_stopped()).map(|one| one.run.to_string());
        let hung: Vec<String> = hung.collect();
        let title = match hung.as_slice() {
            [] => too_many,
            hung => format!(
                "{too_many}; {} of the readers were stopped and wait for a file system that does not answer (runs: {})",
                hung.len(),
                hung.join(", ")
            ),
        };
        Err(refuse(RefusalCode::TooMany, title, "wait until one of them is over, or undo one"))
    }
}

impl Logs {
    /// Starts to read logs of a run; replaces those that are read. `entries` is the policy's list.
    ///
    /// # Errors
    /// A log may not or cannot be read, or the run has logs of another person.
    pub fn start(
        &self,
        run: &RunId,
        caller: &Caller,
        ask: &StartLogs,
        entries: &[String],
    ) -> Result<(), Problem> {
        let reader = Arc::new(Reader::new(run, ask.logs.len()));
        {
            let mut known = lock(&self.known);
            if let Some(before) = known.of(run) {
                // Readers take the bins for the owner's.
                caller.must_be(&before.owner, run)?;
            }
            known.admit(&reader)?;
        }
        let opening = Opening { logs: ask.logs.clone(), entries: entries.to_vec() };
        let started = spawn(opening, Arc::clone(&reader), ask.at_most.0).map_err(|error| {
            drop(Ending(&reader));
            refused(format!("cannot start to read logs: {error}"), "the host is short of threads or memory")
        })?;
        // Without the lock: a file system that hangs must not keep anybody from an undo, who asks which runs have logs.
        match started.opened.recv_timeout(OPENING) {
            Ok(opened) => opened?,
            Err(_) => {
                reader.stop();
                let files: Vec<&str> = ask.logs.iter().map(|log| log.file.as_str()).collect();
                let title = format!(
                    "cannot read the logs {}: the file system has not answered for {} s",
                    files.join(", "),
                    OPENING.as_secs()
                );
                return Err(refused(
                    title,
                    "look for a dead mount on the host; a reader waits for it until then",
                ));
            }
        }
        let mut known = lock(&self.known);
        let before = known.runs.iter().position(|one| one.run == *run);
        if let Some(before) = before.and_then(|at| known.runs.get(at)) {
            caller.must_be(&before.owner, run)?;
        }
        // The bins' numbers continue, so that readers notice no break.
        let (spool, before) = match before.and_then(|at| known.runs.remove(at)) {
            Some(before) => {
                before.reader.stop();
                (before.spool, Some(before.reader))
            }
            None => (Spool::with_memory(MEMORY), None),
        };
        // A halt that came meanwhile stops the reader; the caller asks again whether there was one.
        let _ = started.go.send(Go { bins: spool.writer(), before });
        known.runs.push_back(OfRun { run: run.clone(), owner: caller.name.clone(), spool, reader });
        let ended = known.runs.iter().filter(|one| one.reader.has_ended()).map(|one| one.run.clone());
        let ended: Vec<RunId> = ended.collect();
        let old = &ended[..ended.len().saturating_sub(STOPPED)];
        known.runs.retain(|one| !old.contains(&one.run));
        Ok(())
    }

    /// Stops to read a run's logs. What was read stays.
    pub fn stop(&self, run: &RunId) {
        lock(&self.known).readers.iter().filter(|reader| reader.run == *run).for_each(|reader| reader.stop());
    }

    /// Stops to read the logs of all runs.
    pub fn stop_all(&self) {
        lock(&self.known).readers.iter().for_each(|reader| reader.stop());
    }

    /// Returns the runs that have logs here.
    #[must_use]
    pub fn known(&self) -> Vec<RunId> {
        lock(&self.known).runs.iter().map(|known| known.run.clone()).collect()
    }

    /// Returns the bins after that number, then those to come.
    ///
    /// # Errors
    /// The run has no logs here.
    pub fn bins(&self, run: &RunId, after: u64) -> Result<Feed<LogBin>, Problem> {
        let known = lock(&self.known);
        let Some(known) = known.of(run) else {
            let hint = "the agent was restarted, or other runs came since";
            return Err(refuse(RefusalCode::UnknownRun, format!("run {run} has no logs here"), hint));
        };
        Ok(Box::pin(known.spool.feed(after)))
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// The logs that a reader opens.
struct Opening {
    logs: Vec<LogSpec>,
    entries: Vec<String>,
}

impl Opening {
    fn open(&self) -> Result<Vec<Follower>, Problem> {
        let boot = boot_id();
        let followers = self.logs.iter().map(|spec| {
            Follower::start(spec.clone(), self.entries.clone(), boot.clone(), self.logs.len()).map_err(
                |why| {
                    let hint = "correct the log, or policy.logs in the host's agent.toml";
                    refused(format!("cannot read the log {}: {why}", spec.name), hint)
                },
            )
        });
        followers.collect()
    }
}

/// Where a reader that has opened its logs writes, and the reader that it replaces.
struct Go {
    bins: Writer<LogBin>,
    before: Option<Arc<Reader>>,
}

/// A reader's thread that opens its logs, and waits for a word to go.
struct Started {
    opened: mpsc::Receiver<Result<(), Problem>>,
    go: mpsc::Sender<Go>,
}

fn spawn(opening: Opening, reader: Arc<Reader>, at_most: Duration) -> io::Result<Started> {
    let (tell, opened) = mpsc::channel();
    let (go, gone) = mpsc::channel::<Go>();
    std::thread::Builder::new().name("logs".into()).stack_size(1 << 20).spawn(move || {
        let _ending = Ending(&reader);
        let mut followers = match opening.open() {
            Ok(followers) => followers,
            Err(problem) => {
                let _ = tell.send(Err(problem));
                return;
            }
        };
        let _ = tell.send(Ok(()));
        let Ok(Go { bins, before }) = gone.recv() else { return };
        if let Some(before) = before {
            // From here on, so that no line is counted by both.
            before.wait_ended(REPLACING);
            followers = opening.open().unwrap_or(followers);
        }
        let bounds = Bounds { reader: &reader, until: Instant::now() + at_most };
        while reader.goes_on(EVERY) && !bounds.are_over() {
            for bin in followers.iter_mut().filter_map(|follower| follower.look(&bounds)) {
                bins.push(bin);
            }
        }
        followers.into_iter().map(Follower::end).for_each(|bin| bins.push(bin));
    })?;
    Ok(Started { opened, go })
}
