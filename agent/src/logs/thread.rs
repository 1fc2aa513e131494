//! The thread that reads the logs of a run. Only it asks the file system.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use firedrill_probe::{Writer, clock::boot_id};
use firedrill_wire::{
    RefusalCode,
    api::Problem,
    logs::{LogBin, LogSpec},
};

use super::{
    bounds::{Bounds, Ending, Reader},
    follow::Follower,
};
use crate::injection::refuse;

/// Interval at which files are looked at.
const EVERY: Duration = Duration::from_millis(100);
/// Maximum time for which a reader waits for the one that it replaces.
const REPLACING: Duration = Duration::from_secs(2);

pub(super) fn refused(title: String, hint: &str) -> Problem {
    refuse(RefusalCode::BadLog, title, hint)
}

/// The logs that a reader opens.
pub(super) struct Opening {
    pub(super) logs: Vec<LogSpec>,
    pub(super) entries: Vec<String>,
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
pub(super) struct Go {
    pub(super) bins: Writer<LogBin>,
    pub(super) before: Option<Arc<Reader>>,
}

/// A reader's thread that opens its logs, and waits for a word to go.
pub(super) struct Started {
    pub(super) opened: mpsc::Receiver<Result<(), Problem>>,
    pub(super) go: mpsc::Sender<Go>,
}

/// Starts a thread that opens logs, and then reads them.
pub(super) fn spawn(opening: Opening, reader: Arc<Reader>, at_most: Duration) -> io::Result<Started> {
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
