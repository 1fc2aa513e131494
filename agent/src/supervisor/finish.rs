//! `finish`: compares the host with its snapshot from before the run, and distinguishes changes by this run from changes by
//! other runs and by people. Never changes the host.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId, RefusalCode, RunId,
    api::{EndState, HostState, Problem},
    journal::State,
};

use super::{
    core::Core,
    past::{Kept, Past},
    snapshots,
};
use crate::{
    injection::refuse,
    journal::{Found, read},
    mutex::lock,
    snapshot::Parties,
    undo::is_left,
};

/// Maximum time from the beginning of a snapshot to the writing of its file, in microseconds.
const SNAPSHOT_US: u64 = 30_000_000;

/// Maximum number of comparisons while injections of other runs start.
const LOOKS_MOST: usize = 3;

impl Core {
    /// Compares the host with its snapshot from before a run.
    ///
    /// # Errors
    /// The snapshot or the host could not be read, or the run was never prepared here.
    pub(super) fn finish(&self, run: &RunId) -> Result<EndState, Problem> {
        let mut end = self.compare(run);
        for _ in 1..LOOKS_MOST {
            match &end {
                Ok((_, waiting)) if self.has_begun(waiting) => end = self.compare(run),
                _ => break,
            }
        }
        let measured = self.measured();
        {
            let mut state = lock(&self.state);
            if let Some(known) = state.runs.get_mut(run) {
                // An injection that is armed later has to be prepared again first.
                known.forget_asks();
            }
            state.prune(&measured, self.now());
        }
        self.rest();
        end.map(|(end, _)| end)
    }

    /// Whether one of these injections no longer waits for its start. Then its effect may have been taken for a change by this run or by
    /// somebody else, and the comparison has to be made again.
    fn has_begun(&self, waiting: &[InjectionId]) -> bool {
        let state = lock(&self.state);
        waiting.iter().any(|id| state.live.get(id).is_none_or(|entry| entry.state != State::Armed))
    }

    /// Compares the host with its snapshot. Also returns the injections that were waiting for their start meanwhile.
    fn compare(&self, run: &RunId) -> Result<(EndState, Vec<InjectionId>), Problem> {
        let cannot = |why: String| {
            refuse(
                RefusalCode::CannotCompare,
                format!("the host cannot be compared with its state before run {run}: {why}"),
                "",
            )
        };
        let state = &self.config.paths.state;
        let before =
            snapshots::load(state, run).map_err(|error| cannot(error.to_string()))?.ok_or_else(|| {
                refuse(RefusalCode::UnknownRun, format!("run {run} was never prepared here"), "")
            })?;
        let taken_wall_us = snapshots::taken_wall_us(state, run).saturating_sub(SNAPSHOT_US);
        let mut pasts: BTreeMap<InjectionId, Past> = BTreeMap::new();
        // Memory has all injections since the run began, if the run began in this process and none that ended since is forgotten.
        // Otherwise the journal has the missing ones.
        let memory_has_all = {
            let state = lock(&self.state);
            let began = state.runs.get(run).and_then(|run| run.began_boot_us);
            began.is_some_and(|began| state.forgot_boot_us < began)
        };
        if !memory_has_all {
            let replayed = read(&self.config.paths()).map_err(|error| cannot(error.chain()))?;
            pasts.extend(replayed.injections.iter().map(
                |Found { intent, state, foreign, ended_wall_us, .. }| {
                    (intent.id().clone(), Past::of(intent, *state, foreign, *ended_wall_us))
                },
            ));
        }
        let (open, stuck, waiting) = {
            let state = lock(&self.state);
            pasts.extend(state.past.iter().filter_map(Kept::past));
            pasts.extend(state.live.iter().map(|(id, entry)| (id.clone(), entry.past())));
            let open: Vec<String> = state
                .open_of(run)
                .map(|entry| format!("{} is {:?}", entry.intent.id(), entry.state))
                .collect();
            let waiting = state.live.values().filter(|entry| entry.state == State::Armed);
            let waiting: Vec<_> = waiting.map(|entry| entry.intent.id().clone()).collect();
            (open, state.open_of(run).any(|entry| entry.state == State::Stuck), waiting)
        };
        let (mut claims, mut foreign, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (id, past) in pasts {
            if past.run == *run {
                claims.extend(past.claims);
                foreign.extend(past.foreign);
            } else {
                others.push(past.into_other(id, taken_wall_us));
            }
        }
        claims.sort();
        claims.dedup();
        claims.retain(|claim| !is_left(claim, &foreign));
        let parties = Parties { claims: &claims, others: &others };
        let found = self.wiring.snapshot.compare(&self.host, &before, parties).map_err(cannot)?;
        let mut ours: Vec<String> = open.into_iter().chain(found.ours).collect();
        let state = if stuck {
            HostState::Stuck
        } else if !ours.is_empty() {
            HostState::Dirty
        } else if !found.unproven.is_empty() {
            HostState::Unproven
        } else {
            HostState::Clean
        };
        ours.extend(found.unproven);
        Ok((EndState { state, ours, foreign: found.foreign, compared: found.compared }, waiting))
    }
}
