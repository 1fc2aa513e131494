//! Probes of runs on this host: started, stopped, and what they measured kept until it was read. Measures nothing itself.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use firedrill_probe::{Running, Spool, start_on};
use firedrill_wire::{
    RunId,
    api::{Problem, StartProbes},
    probe::Bin,
};

use crate::{control::Feed, fault::refuse, wiring::Prober};

/// Of so many runs the measurements are kept.
const RUNS: usize = 4;

/// The probes of the last few runs.
#[derive(Default)]
pub struct Probes {
    runs: Mutex<VecDeque<(RunId, Running)>>,
}

impl Prober for Probes {
    fn start(&self, run: &RunId, ask: &StartProbes) -> Result<(), Problem> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let at = runs.iter().position(|(known, _)| known == run);
        // The numbers of the bins go on, so that who reads them notices nothing but the other probes.
        let spool =
            at.and_then(|at| runs.get(at)).map_or_else(Spool::new, |(_, before)| before.spool.clone());
        let running = start_on(spool, ask.probes.clone(), ask.at_most.0).map_err(|error| {
            refuse("bad-probe", format!("cannot start the probes: {error}"), "correct the probe")
        })?;
        if let Some((_, before)) = at.and_then(|at| runs.remove(at)) {
            before.stop();
        }
        runs.push_back((run.clone(), running));
        while runs.len() > RUNS {
            if let Some((_, oldest)) = runs.pop_front() {
                oldest.stop();
            }
        }
        Ok(())
    }

    fn stop(&self, run: &RunId) {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, running)) = runs.iter().find(|(known, _)| known == run) {
            running.stop();
        }
    }

    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = runs.iter().find(|(known, _)| known == run);
        let Some((_, running)) = found else {
            let hint = "the agent was restarted, or other runs came since";
            return Err(refuse("unknown-run", format!("run {run} has no probes here"), hint));
        };
        Ok(Box::pin(running.spool.feed(after)))
    }
}
