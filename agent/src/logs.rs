//! Reads logs of this host for runs: counts the lines that match a pattern, and keeps the first ones. Checks no policy; the supervisor
//! does that.
//!
//! This process reads files itself, and the journal's messages of units by `journalctl`. Each run has a thread that reads its logs ten
//! times a second. Lines are counted; only the first ones that match are kept, without secrets (`firedrill_wire::hide::line`). Only
//! that thread uses the file system, so a file system that hangs blocks no other thread.

mod between;
mod birth;
mod bounds;
mod count;
mod follow;
mod journal;
mod lines;
mod open;
mod place;
mod thread;
mod writers;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use firedrill_probe::{Spool, clock::boot_id};
use firedrill_wire::{
    RefusalCode, RunId,
    api::{Finding, Problem},
    logs::{LogBin, StartLogs},
};

use self::{
    bounds::{Ending, Reader, lock},
    journal::Journal,
    thread::{Go, Opening, refused, spawn},
};
use crate::{
    control::{Caller, Feed},
    injection::refuse,
    policy::listed::is_of_units,
};

/// Maximum number of threads that read. Threads that were stopped and have not ended count, too.
const RUNNING: usize = 16;
/// Maximum number of logs that all these threads read.
const LOGS: usize = 64;
/// Maximum number of stopped runs whose bins are kept, the newest first.
const STOPPED: usize = 4;
/// Maximum memory of one run's bins, in bytes.
const MEMORY: usize = 8 * 1024 * 1024;
/// Maximum time for opening the logs. Coordinators wait for an answer for 5 s.
const OPENING: Duration = Duration::from_secs(3);

/// The logs of the last few runs.
#[derive(Default)]
pub struct Logs {
    known: Mutex<Known>,
    journal: Journal,
}

/// The runs with logs, and the threads that read.
#[derive(Default)]
struct Known {
    /// The runs whose bins are kept, the oldest first.
    runs: VecDeque<RunLogs>,
    /// Readers whose threads have not ended.
    readers: Vec<Arc<Reader>>,
}

/// The logs of one run.
struct RunLogs {
    run: RunId,
    /// The name of the person who started reading.
    owner: String,
    /// The bins with the counted lines.
    spool: Arc<Spool<LogBin>>,
    reader: Arc<Reader>,
}

impl Known {
    fn of(&self, run: &RunId) -> Option<&RunLogs> {
        self.runs.iter().find(|known| known.run == *run)
    }

    /// Adds a reader if there is room for it.
    ///
    /// # Errors
    /// The refusal: too many readers or logs.
    fn admit(&mut self, reader: &Arc<Reader>) -> Result<(), Problem> {
        self.readers.retain(|reader| !reader.has_ended());
        let replaced = self.of(&reader.run).map(|known| Arc::clone(&known.reader));
        // The reader that this one replaces does not count, unless it was stopped before and hangs.
        let counts = |other: &&Arc<Reader>| {
            other.is_stopped() || !replaced.as_ref().is_some_and(|replaced| Arc::ptr_eq(other, replaced))
        };
        let others: Vec<_> = self.readers.iter().filter(counts).collect();
        let logs: usize = others.iter().map(|other| other.logs).sum();
        let too_many = if others.len() >= RUNNING {
            format!("logs of {} runs are read on this host, which is the most", others.len())
        } else if logs + reader.logs > LOGS {
            format!("{logs} logs are read on this host, and {LOGS} are the most")
        } else {
            self.readers.push(Arc::clone(reader));
            return Ok(());
        };
        let hung: Vec<String> =
            others.iter().filter(|other| other.is_stopped()).map(|other| other.run.to_string()).collect();
        let title = match hung.as_slice() {
            [] => too_many,
            hung => format!(
                "{too_many}; {} of the readers were stopped and wait for a file system that does not answer (runs: {})",
                hung.len(),
                hung.join(", ")
            ),
        };
        Err(refuse(
            RefusalCode::TooMany,
            title,
            "wait until one of them is over; `firedrill collect RUN` ends one whose coordinator has died",
        ))
    }
}

impl Logs {
    /// Starts reading logs for a run, in place of those that were read for it before. `entries` is the policy's list of logs
    /// that may be read.
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
                // Bins of two people must not be mixed.
                caller.must_be(&before.owner, run)?;
            }
            known.admit(&reader)?;
        }
        let opening =
            Opening { logs: ask.logs.clone(), entries: entries.to_vec(), journal: self.journal.clone() };
        let started = spawn(opening, Arc::clone(&reader), ask.at_most.0).map_err(|error| {
            drop(Ending(&reader));
            let title = format!("a thread that reads logs cannot be started: {error}");
            refuse(
                RefusalCode::Exhausted,
                title,
                "free threads or memory on the host, or raise the limits of the agent's service",
            )
        })?;
        // This waits without the lock. An undo takes the lock to ask which runs have logs, and must not wait for a file system that
        // hangs.
        match started.opened.recv_timeout(OPENING) {
            Ok(opened) => opened?,
            Err(_) => {
                reader.stop();
                let files: Vec<&str> = ask.logs.iter().map(|log| log.file.as_str()).collect();
                let title = format!(
                    "cannot read the logs {}: the file system, or systemd, has not answered for {} s",
                    files.join(", "),
                    OPENING.as_secs()
                );
                return Err(refused(
                    title,
                    "look for a dead mount or a hanging systemd on the host; a reader waits for it until then",
                ));
            }
        }
        let mut known = lock(&self.known);
        let place = known.runs.iter().position(|known| known.run == *run);
        // Another person may have started reading meanwhile.
        if let Some(before) = place.and_then(|place| known.runs.get(place)) {
            caller.must_be(&before.owner, run)?;
        }
        // A run keeps its spool, so that the numbers of its bins continue and their readers see no gap.
        let (spool, replaced) = match place.and_then(|place| known.runs.remove(place)) {
            Some(before) => {
                before.reader.stop();
                (before.spool, Some(before.reader))
            }
            None => (Spool::with_memory(MEMORY), None),
        };
        // A halt that came meanwhile has stopped the reader. The supervisor then asks again whether there was one.
        let _ = started.go.send(Go { bins: spool.writer(), before: replaced });
        known.runs.push_back(RunLogs { run: run.clone(), owner: caller.name.clone(), spool, reader });
        let ended: Vec<RunId> =
            known.runs.iter().filter(|logs| logs.reader.has_ended()).map(|logs| logs.run.clone()).collect();
        let oldest = &ended[..ended.len().saturating_sub(STOPPED)];
        known.runs.retain(|logs| !oldest.contains(&logs.run));
        Ok(())
    }

    /// Returns the finding for `doctor` on systemd's journal; `None` if the policy lists no units.
    #[must_use]
    pub fn finding(entries: &[String]) -> Option<Finding> {
        let of_units = entries.iter().any(|entry| is_of_units(entry));
        of_units.then(|| Journal::default().finding(&boot_id().replace('-', "")))
    }

    /// Stops reading a run's logs. Their bins are kept.
    pub fn stop(&self, run: &RunId) {
        lock(&self.known).readers.iter().filter(|reader| reader.run == *run).for_each(|reader| reader.stop());
    }

    /// Stops reading the logs of all runs.
    pub fn stop_all(&self) {
        lock(&self.known).readers.iter().for_each(|reader| reader.stop());
    }

    /// Returns the runs that have logs here.
    #[must_use]
    pub fn known(&self) -> Vec<RunId> {
        lock(&self.known).runs.iter().map(|known| known.run.clone()).collect()
    }

    /// Streams the bins with numbers above `after`, then new ones.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: usize) -> RunId {
        format!("run-{number}").parse().unwrap()
    }

    /// Returns the title of the refusal of one more reader.
    fn refusal(known: &mut Known, run: &RunId, logs: usize) -> String {
        known.admit(&Arc::new(Reader::new(run, logs))).unwrap_err().title
    }

    #[test]
    fn readers_count_until_they_have_ended() {
        let mut known = Known::default();
        let readers: Vec<_> = (0..RUNNING).map(|number| Arc::new(Reader::new(&run(number), 1))).collect();
        for reader in &readers {
            known.admit(reader).unwrap();
        }
        assert!(
            refusal(&mut known, &run(99), 1)
                .ends_with("logs of 16 runs are read on this host, which is the most")
        );
        readers[3].stop();
        let title = refusal(&mut known, &run(99), 1);
        assert!(title.contains("1 of the readers were stopped") && title.contains("run-3"), "{title}");
        drop(Ending(&readers[3]));
        known.admit(&Arc::new(Reader::new(&run(99), 1))).unwrap();
    }

    #[test]
    fn logs_of_a_host_are_bounded_and_a_replaced_reader_makes_room() {
        let mut known = Known::default();
        let readers: Vec<_> = (0..4).map(|number| Arc::new(Reader::new(&run(number), 16))).collect();
        for reader in &readers {
            known.admit(reader).unwrap();
        }
        assert!(refusal(&mut known, &run(9), 1).contains("64 logs are read on this host"));
        let (owner, spool) = ("alice".to_owned(), Spool::with_memory(MEMORY));
        known.runs.push_back(RunLogs { run: run(0), owner, spool, reader: Arc::clone(&readers[0]) });
        known.admit(&Arc::new(Reader::new(&run(0), 16))).unwrap();
        // A replaced reader that was stopped and hangs counts again.
        readers[0].stop();
        assert!(refusal(&mut known, &run(0), 16).contains("run-0"));
    }
}
