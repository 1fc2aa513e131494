//! Reads logs of this host for runs: counts the lines that match a pattern, and keeps the first ones. Asks no policy;
//! see [`crate::supervisor`].
//!
//! A run's logs are read by a thread of its own, ten times a second. Nothing is kept of a line but its count and, of the first that
//! match, its text without secrets (`firedrill_wire::hide::line`).

mod count;
mod follow;
mod lines;
mod open;
mod place;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use firedrill_probe::{Spool, Writer, clock::boot_id};
use firedrill_wire::{
    RefusalCode, RunId,
    api::Problem,
    logs::{LogBin, StartLogs},
};

use self::follow::Follower;
use crate::{
    control::{Caller, Feed},
    injection::refuse,
};

/// Maximum number of runs whose logs are read.
const RUNNING: usize = 16;
/// Maximum number of stopped runs whose bins are kept, the newest first.
const STOPPED: usize = 4;
/// Maximum memory of one run's bins, in bytes.
const MEMORY: usize = 8 * 1024 * 1024;
/// Interval at which files are looked at.
const EVERY: Duration = Duration::from_millis(100);

/// The logs of the last few runs.
#[derive(Default)]
pub struct Logs {
    runs: Mutex<VecDeque<OfRun>>,
}

struct OfRun {
    run: RunId,
    owner: String,
    spool: Arc<Spool<LogBin>>,
    reader: Arc<Reader>,
}

/// A thread that reads, as others see it.
#[derive(Default)]
struct Reader {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    stop: bool,
    ended: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reader {
    fn stop(&self) {
        lock(&self.state).stop = true;
        self.told.notify_all();
    }

    fn has_ended(&self) -> bool {
        lock(&self.state).ended
    }

    /// Waits for the next look. Returns whether there is one.
    fn goes_on(&self) -> bool {
        let state = lock(&self.state);
        let waited = self.told.wait_timeout_while(state, EVERY, |state| !state.stop);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stop
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
        let boot = boot_id();
        // Without the lock: a file system that hangs must not keep anybody from an undo, who asks which runs have logs.
        let followers = ask.logs.iter().map(|spec| {
            Follower::start(spec.clone(), entries.to_vec(), boot.clone()).map_err(|why| {
                let hint = "correct the log, or policy.logs in the host's agent.toml";
                refuse(RefusalCode::BadLog, format!("cannot read the log {}: {why}", spec.name), hint)
            })
        });
        let followers = followers.collect::<Result<Vec<_>, _>>()?;
        let mut runs = lock(&self.runs);
        let before = runs.iter().position(|known| known.run == *run);
        if let Some(before) = before.and_then(|at| runs.get(at)) {
            // Readers take the bins for the owner's.
            caller.must_be(&before.owner, run)?;
        }
        let others = runs.iter().filter(|known| known.run != *run && !known.reader.has_ended()).count();
        if others >= RUNNING {
            let title = format!("logs of {others} runs are read on this host, which is the most");
            return Err(refuse(RefusalCode::TooMany, title, "wait until one of them is over, or undo one"));
        }
        // The bins' numbers continue, so that readers notice no break.
        let spool = match before.and_then(|at| runs.remove(at)) {
            Some(before) => {
                before.reader.stop();
                before.spool
            }
            None => Spool::with_memory(MEMORY),
        };
        let reader = Arc::new(Reader::default());
        spawn(followers, spool.writer(), Arc::clone(&reader), ask.at_most.0).map_err(|error| {
            let hint = "the host is short of threads or memory";
            refuse(RefusalCode::BadLog, format!("cannot start to read logs: {error}"), hint)
        })?;
        runs.push_back(OfRun { run: run.clone(), owner: caller.name.clone(), spool, reader });
        let ended = runs.iter().filter(|known| known.reader.has_ended()).map(|known| known.run.clone());
        let ended: Vec<RunId> = ended.collect();
        let old = &ended[..ended.len().saturating_sub(STOPPED)];
        runs.retain(|known| !old.contains(&known.run));
        Ok(())
    }

    /// Stops to read a run's logs. What was read stays.
    pub fn stop(&self, run: &RunId) {
        if let Some(known) = lock(&self.runs).iter().find(|known| known.run == *run) {
            known.reader.stop();
        }
    }

    /// Stops to read the logs of all runs.
    pub fn stop_all(&self) {
        lock(&self.runs).iter().for_each(|known| known.reader.stop());
    }

    /// Returns the runs that have logs here.
    #[must_use]
    pub fn known(&self) -> Vec<RunId> {
        lock(&self.runs).iter().map(|known| known.run.clone()).collect()
    }

    /// Returns the bins after that number, then those to come.
    ///
    /// # Errors
    /// The run has no logs here.
    pub fn bins(&self, run: &RunId, after: u64) -> Result<Feed<LogBin>, Problem> {
        let runs = lock(&self.runs);
        let Some(known) = runs.iter().find(|known| known.run == *run) else {
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

fn spawn(
    mut followers: Vec<Follower>,
    spool: Writer<LogBin>,
    reader: Arc<Reader>,
    at_most: Duration,
) -> io::Result<()> {
    std::thread::Builder::new().name("logs".into()).stack_size(1 << 20).spawn(move || {
        let until = Instant::now() + at_most;
        while reader.goes_on() && Instant::now() < until {
            for bin in followers.iter_mut().filter_map(Follower::look) {
                spool.push(bin);
            }
        }
        followers.into_iter().flat_map(Follower::end).for_each(|bin| spool.push(bin));
        lock(&reader.state).ended = true;
    })?;
    Ok(())
}
