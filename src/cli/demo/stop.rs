//! Ends the runs on the demo's lab: halts them, and waits until they have put everything back. Does not remove the lab.

use std::{
    collections::HashSet,
    fs,
    future::Future,
    io,
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use firedrill_wire::RunId;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{
    cli::{runs::LOG, serve::Programs},
    log::is_written,
    run::{Halted, halt},
};

/// The interval between two looks for runs.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest time that runs have to put everything back.
const LONGEST: Duration = Duration::from_secs(120);

/// Ends the programs of a server, halts the runs that others have begun in the same directory, and waits until all of them have ended.
/// `by` names the person or thing that ends them. When `at_once` is ready, or after [`LONGEST`], the server's programs are killed, and no
/// run is waited for any longer.
pub(super) async fn stop(reports: &Path, programs: &Programs, by: &str, at_once: impl Future) {
    let (mut halted, mut at_once) = (HashSet::new(), pin!(at_once));
    let end = Instant::now() + LONGEST;
    programs.end(Signal::TERM);
    loop {
        let runs = going_on(reports);
        if runs.is_empty() && !programs.go_on() {
            return;
        }
        if halted.is_empty() && !runs.is_empty() {
            errln!("the run ends, and puts everything back; a second Ctrl-C does not wait for it");
        }
        let next = async {
            for run in &runs {
                if !halted.contains(run) && matches!(halt(run, by).await, Halted::Ends | Halted::Over) {
                    halted.insert(run.clone());
                }
            }
            sleep(AGAIN).await;
        };
        tokio::select! {
            () = next => {}
            _ = &mut at_once => break,
        }
        if Instant::now() > end {
            errln!("a run has not ended within {} s; it loses its hosts", LONGEST.as_secs());
            break;
        }
    }
    programs.end(Signal::KILL);
}

/// Returns the runs of a directory whose logs are being written now.
fn going_on(reports: &Path) -> Vec<RunId> {
    let folders = match fs::read_dir(reports) {
        Ok(folders) => Some(folders),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            errln!("cannot look for runs in {}: {error}", reports.display());
            None
        }
    };
    let runs = folders.into_iter().flatten().flatten().filter_map(|folder| {
        let run = folder.file_name().to_str()?.parse().ok()?;
        is_written(&folder.path().join(LOG)).then_some(run)
    });
    runs.collect()
}
