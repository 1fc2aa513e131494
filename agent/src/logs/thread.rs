//! The thread that reads the logs of a run. Logs are opened and `journalctl` runs only in this thread, so that a slow disk delays no
//! other work of the agent.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use firedrill_probe::{
    Writer,
    clock::{boot_id, boot_us},
};
use firedrill_wire::{
    RefusalCode,
    api::Problem,
    logs::{LogBin, LogSpec, Place},
};

use super::{
    bounds::{Bounds, Ending, Reader},
    follow::Follower,
    journal::{Journal, Units},
};
use crate::{injection::refuse, policy::listed::entry_of};

/// Interval at which logs are looked at.
const EVERY: Duration = Duration::from_millis(100);
/// Maximum time for which a reader waits for the end of the reader that it replaces.
const REPLACING: Duration = Duration::from_secs(2);

pub(super) fn refused(title: String, hint: &str) -> Problem {
    refuse(RefusalCode::BadLog, title, hint)
}

/// The logs that a reader opens.
pub(super) struct Opening {
    pub(super) logs: Vec<LogSpec>,
    /// The entries of `policy.logs`.
    pub(super) entries: Vec<String>,
    pub(super) journal: Journal,
}

/// The logs of a run that are followed.
struct Followers {
    files: Vec<Follower>,
    units: Option<Units>,
}

impl Followers {
    fn look(&mut self, bounds: &Bounds<'_>) -> Vec<LogBin> {
        let mut bins: Vec<LogBin> = self.files.iter_mut().filter_map(|file| file.look(bounds)).collect();
        bins.extend(self.units.iter_mut().flat_map(|units| units.look(bounds)));
        bins
    }

    fn end(self) -> Vec<LogBin> {
        let files = self.files.into_iter().map(Follower::end);
        files.chain(self.units.into_iter().flat_map(Units::end)).collect()
    }
}

impl Opening {
    fn open(&self) -> Result<Followers, Problem> {
        let (boot, count) = (boot_id(), self.logs.len());
        let cannot = |log: &str, why: String| {
            let hint = "correct the log, or policy.logs in the host's agent.toml";
            refused(format!("cannot read the log {log}: {why}"), hint)
        };
        let (mut files, mut units) = (Vec::new(), Vec::new());
        for spec in &self.logs {
            match spec.place() {
                Place::File(_) => {
                    let file = Follower::start(spec.clone(), self.entries.clone(), boot.clone(), count);
                    files.push(file.map_err(|why| cannot(&spec.name, why))?);
                }
                Place::Unit(_) if entry_of(&self.entries, &spec.file).is_none() => {
                    return Err(cannot(&spec.name, format!("policy.logs does not list {}", spec.file)));
                }
                Place::Unit(unit) => units.push((spec.clone(), unit.to_owned())),
            }
        }
        if units.is_empty() {
            return Ok(Followers { files, units: None });
        }
        let units = Units::start(units, self.journal.clone(), &boot, count);
        let units = units.map_err(|(log, why)| cannot(&log, why))?;
        Ok(Followers { files, units: Some(units) })
    }

    /// Returns a bin for each log with the reason why nothing more is read from it. Also warns in the agent's own log.
    fn absent(&self, problem: &Problem) -> impl Iterator<Item = LogBin> {
        tracing::warn!("{}; {}; no log of this run is read any more", problem.title, problem.hint);
        self.logs.iter().map(|spec| LogBin {
            log: spec.name.clone(),
            boot_id: boot_id(),
            start_boot_us: boot_us(),
            absent: Some(problem.title.clone()),
            ..LogBin::default()
        })
    }
}

/// The order to begin.
pub(super) struct Go {
    /// The writer of the bins.
    pub(super) bins: Writer<LogBin>,
    /// The reader that is replaced; `None` if there is none.
    pub(super) before: Option<Arc<Reader>>,
}

/// A thread that opens its logs, and then waits for the order to read.
pub(super) struct Started {
    /// Receives one message: whether all logs could be opened.
    pub(super) opened: mpsc::Receiver<Result<(), Problem>>,
    /// Sends the order. If it is dropped without an order, the thread ends.
    pub(super) go: mpsc::Sender<Go>,
}

/// Starts a thread that opens logs, and reads them after the order for at most the time `at_most`.
pub(super) fn spawn(opening: Opening, reader: Arc<Reader>, at_most: Duration) -> io::Result<Started> {
    let (tell, opened) = mpsc::channel();
    let (go, orders) = mpsc::channel::<Go>();
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
        let Ok(Go { bins, before }) = orders.recv() else { return };
        if let Some(before) = before {
            // The reader before ends first, so that no line is counted by both.
            before.wait_ended(REPLACING);
            if reader.is_stopped() {
                return;
            }
            // Opened again, now at the present end of each log: the lines that the reader before has counted lie before it.
            followers = match opening.open() {
                Ok(again) => again,
                Err(problem) => {
                    opening.absent(&problem).for_each(|bin| bins.push(bin));
                    return;
                }
            };
        }
        let bounds = Bounds { reader: &reader, until: Instant::now() + at_most };
        while reader.goes_on(EVERY) && !bounds.are_over() {
            followers.look(&bounds).into_iter().for_each(|bin| bins.push(bin));
        }
        followers.end().into_iter().for_each(|bin| bins.push(bin));
    })?;
    Ok(Started { opened, go })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use firedrill_probe::Spool;

    use super::*;

    #[test]
    fn a_reader_that_cannot_open_its_logs_again_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("app.log");
        fs::write(&log, "").unwrap();
        let spec = LogSpec {
            name: "app".to_owned(),
            file: log.to_str().unwrap().to_owned(),
            matches: "ERROR".to_owned(),
            lines: 3,
        };
        let entries = vec![format!("{}/*", dir.path().display())];
        let opening = Opening { logs: vec![spec], entries, journal: Journal::default() };
        let run = "r".parse().unwrap();
        let (before, reader) = (Arc::new(Reader::new(&run, 1)), Arc::new(Reader::new(&run, 1)));
        drop(Ending(&before));
        let started = spawn(opening, Arc::clone(&reader), Duration::from_secs(600)).unwrap();
        started.opened.recv().unwrap().unwrap();
        fs::remove_file(&log).unwrap();
        fs::create_dir(&log).unwrap();
        let spool = Spool::with_memory(1 << 20);
        assert!(started.go.send(Go { bins: spool.writer(), before: Some(before) }).is_ok());
        reader.wait_ended(Duration::from_secs(60));
        let bins: Vec<LogBin> = spool.after(0);
        let why = bins.first().and_then(|bin| bin.absent.as_deref()).unwrap_or_default();
        assert!(bins.len() == 1 && why.contains("cannot read the log app: "), "{bins:?}");
        assert!(why.contains("not a regular file"), "{why}");
    }
}
