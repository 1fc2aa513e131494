//! `finish`: compares the host with its snapshot from before the run, and tells this run's doing from that of other runs
//! and of people.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId, RunId,
    api::{About, Claim, EndState, HostState, Problem},
    journal::State,
};

use super::{Core, book::Entry, lock, snapshots};
use crate::{
    fault::refuse,
    journal::{Found, Intent, read},
    snapshot::{Other, Parties},
    undo::is_left,
};

/// So long before its file is written a snapshot may have been begun, in microseconds.
const LOOK_US: u64 = 30_000_000;

/// What the records tell of a run, and of those that were there at the same time.
#[derive(Default)]
struct Told {
    claims: Vec<Claim>,
    /// What others had done to what this run touched.
    foreign: Vec<String>,
    others: BTreeMap<InjectionId, Other>,
}

impl Told {
    /// `in_time`: whether it was open after the snapshot. What bears its name is its own at any time.
    fn take(&mut self, run: &RunId, intent: &Intent, state: State, foreign: &[String], in_time: bool) {
        let claims = &intent.live.prepared.claims;
        if intent.run == *run {
            // One that has nothing to undo found it as somebody else wanted it, and touched nothing.
            if !intent.live.prepared.undo.is_empty() || !intent.live.ask.fault.reversible() {
                self.claims.extend(claims.iter().cloned());
            }
            self.foreign.extend(foreign.iter().cloned());
            return;
        }
        let About { drill, operator, .. } = &intent.about;
        let other = Other {
            injection: intent.id().clone(),
            claims: if in_time { claims.clone() } else { Vec::new() },
            open: state.is_open(),
            whose: format!("run {} ({drill}, by {operator})", intent.run),
        };
        self.others.insert(intent.id().clone(), other);
    }
}

impl Core {
    pub(super) fn finish(&self, run: &RunId) -> Result<EndState, Problem> {
        let end = self.compare(run);
        self.rest();
        end
    }

    fn compare(&self, run: &RunId) -> Result<EndState, Problem> {
        let cannot = |why: String| {
            refuse(
                "cannot-compare",
                format!("the host cannot be compared with its state before run {run}: {why}"),
                "",
            )
        };
        let state = &self.config.paths.state;
        let before = snapshots::load(state, run)
            .map_err(|error| cannot(error.to_string()))?
            .ok_or_else(|| refuse("unknown-run", format!("run {run} was never prepared here"), ""))?;
        let taken_wall_us = snapshots::taken_wall_us(state, run).saturating_sub(LOOK_US);
        let mut told = Told::default();
        let in_time = |ended: Option<u64>| ended.is_none_or(|ended| ended >= taken_wall_us);
        // What this process has not seen itself stands in the journal only.
        let seen_all = {
            let book = lock(&self.book);
            book.runs.get(run).is_some_and(|run| run.began_here) && book.forgot_wall_us < taken_wall_us
        };
        if !seen_all {
            let replayed = read(&self.config.paths()).map_err(|error| cannot(error.chain()))?;
            for Found { intent, state, foreign, ended_wall_us, .. } in &replayed.injections {
                told.take(run, intent, *state, foreign, in_time(*ended_wall_us));
            }
        }
        let (open, stuck) = {
            let book = lock(&self.book);
            for Entry { intent, state, foreign, ended_wall_us, .. } in book.live.values() {
                told.take(run, intent, *state, foreign, in_time(*ended_wall_us));
            }
            let open: Vec<String> = book
                .open_of(run)
                .map(|entry| format!("{} is {:?}", entry.intent.id(), entry.state))
                .collect();
            (open, book.open_of(run).any(|entry| entry.state == State::Stuck))
        };
        let Told { mut claims, foreign, others } = told;
        claims.sort();
        claims.dedup();
        claims.retain(|claim| !is_left(claim, &foreign));
        let others: Vec<Other> = others.into_values().collect();
        let parties = Parties { claims: &claims, others: &others };
        let found = self.wiring.snapshot.compare(&self.host, &before, parties).map_err(cannot)?;
        let ours: Vec<String> = open.into_iter().chain(found.ours).collect();
        let state = if stuck {
            HostState::Stuck
        } else if ours.is_empty() {
            HostState::Clean
        } else {
            HostState::Dirty
        };
        Ok(EndState { state, ours, foreign: found.foreign, compared: found.compared })
    }
}
