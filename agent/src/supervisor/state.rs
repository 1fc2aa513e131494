//! The supervisor's state: live injections, runs and their leases, claims, tombstones, the halt. Data only.

mod common;
mod run;
mod runs;

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use firedrill_wire::{
    InjectionId, RunId,
    api::{Claim, OpenOne, Problem},
    journal::{AgentEvent, HealReason, State},
};

pub(super) use run::{Asked, Run, plan_key};

use runs::{RUNS_MOST, Runs};

use super::past::{Past, PastList};
use crate::{
    config::Rules,
    control::Caller,
    decide,
    injection::CalledOff,
    journal::{Intent, Replayed, Tombstone, Tombstones},
    policy::Approved,
    time::Waker,
};

/// Maximum size in memory of the faults that were prepared, over all runs, in bytes.
pub(super) const ASKS_MOST_BYTES: usize = 64 << 20;

/// The rules that allowed an injection: each of them did.
pub(super) type Allowed = Vec<Arc<Rules>>;

/// Everything that the supervisor knows. Core keeps it behind one lock.
#[derive(Default)]
pub(super) struct SupervisorState {
    /// Injections that are open or were until recently.
    pub(super) live: BTreeMap<InjectionId, Entry>,
    /// Injections that are over, reduced to what comparisons need.
    pub(super) past: PastList,
    pub(super) runs: Runs,
    pub(super) tombstones: Tombstones,
    /// The person who halted the host; `None` if it is not halted.
    pub(super) halted_by: Option<String>,
    /// Whether the agent is stopping.
    pub(super) closing: bool,
    /// The latest end of an injection that was forgotten (CLOCK_BOOTTIME, microseconds).
    pub(super) forgot_boot_us: u64,
}

/// One injection, from arming on.
pub(super) struct Entry {
    pub(super) intent: Intent,
    pub(super) state: State,
    /// Whether the journal has its intent. Set only while the journal is locked.
    pub(super) journaled: bool,
    /// The reason to undo it; `None` while it is not to be undone.
    pub(super) wanted: Option<HealReason>,
    /// The rules that have allowed it.
    pub(super) allowed_by: Allowed,
    /// The people who had approved it when it was armed.
    pub(super) approved: Approved,
    /// The refusal by rules that came later; empty if there is none.
    pub(super) refusal: String,
    /// Whether the lease was renewed and the kernel's own switch has not been renewed yet.
    pub(super) renewed: bool,
    /// Whether the lease was renewed since it was armed.
    pub(super) due: bool,
    /// The number of the run's renewals when this was armed.
    pub(super) renewals_before: u64,
    /// The deadline for making the effect (CLOCK_BOOTTIME, microseconds); `None` before the start.
    pub(super) made_by: Option<u64>,
    /// The deadline for the thread's present work (CLOCK_BOOTTIME, microseconds), if it differs from the end of hold or lease.
    pub(super) act_by: Option<u64>,
    /// The reason why it is stuck; empty if it is not.
    pub(super) trouble: String,
    /// The journaled changes of its state. Extended only while the journal is locked.
    pub(super) story: Vec<AgentEvent>,
    /// Changes by others that its undo found.
    pub(super) foreign: Vec<String>,
    /// The time at which it ended, by the wall clock in microseconds.
    pub(super) ended_wall_us: Option<u64>,
    /// The time at which it ended (CLOCK_BOOTTIME, microseconds).
    pub(super) ended_boot_us: Option<u64>,
    waker: Arc<dyn Waker>,
    /// The injections whose start is called off. The code that makes the effect looks there.
    called_off: Arc<CalledOff>,
}

impl Entry {
    /// Makes the entry of an armed injection.
    pub(super) fn new(
        intent: Intent,
        renewals_before: u64,
        waker: Arc<dyn Waker>,
        called_off: Arc<CalledOff>,
    ) -> Self {
        Self {
            intent,
            state: State::Armed,
            journaled: false,
            wanted: None,
            allowed_by: Vec::new(),
            approved: Approved::default(),
            refusal: String::new(),
            renewed: false,
            due: false,
            renewals_before,
            made_by: None,
            act_by: None,
            trouble: String::new(),
            story: Vec::new(),
            foreign: Vec::new(),
            ended_wall_us: None,
            ended_boot_us: None,
            waker,
            called_off,
        }
    }

    /// Asks its thread to undo it; the first reason stays. If the effect is being made and can be undone, its start is called off.
    /// The deadline may change by this: [`Core::tell_guard`](super::core::Core::tell_guard) has to follow.
    pub(super) fn want(&mut self, reason: &HealReason, now: u64) {
        if !self.state.is_open() && self.state != State::Done {
            return;
        }
        self.wanted.get_or_insert_with(|| reason.clone());
        if matches!(self.state, State::Armed | State::Injecting) && self.intent.live.ask.fault.reversible() {
            self.called_off.add(self.intent.id());
            self.made_by = self.made_by.map(|by| decide::called_off_by(now, by));
        }
        self.waker.wake();
    }

    /// Notes that the effect is being made from `now` on, for at most `at_most_us` microseconds.
    pub(super) fn make(&mut self, at_most_us: u64, now: u64) {
        let called_off = self.wanted.is_some() && self.intent.live.ask.fault.reversible();
        let at_most_us = if called_off { 0 } else { at_most_us };
        self.made_by = Some(decide::made_by(now, at_most_us));
    }

    /// Keeps it from starting, because rules that changed since it was armed refuse it. If it has started, it stays.
    pub(super) fn disallow(&mut self, why: String, now: u64) {
        if self.state == State::Armed && self.wanted.is_none() {
            self.refusal = why;
            self.want(&HealReason::NotAllowed, now);
        }
    }

    /// Notes that the run's lease was renewed, and wakes the thread.
    pub(super) fn renew(&mut self) {
        self.renewed = true;
        self.due = true;
        self.waker.wake();
    }

    /// Returns the part of it that comparisons need.
    pub(super) fn past(&self) -> Past {
        Past::of(&self.intent, self.state, &self.foreign, self.ended_wall_us)
    }

    /// Whether its thread has nothing to do any more: it is closed, or stuck without a request for one more try.
    pub(super) fn is_settled(&self) -> bool {
        !self.state.is_open() || (self.state == State::Stuck && self.wanted.is_none())
    }

    /// Returns it as callers see it.
    pub(super) fn show(&self) -> OpenOne {
        OpenOne {
            id: self.intent.id().clone(),
            run: self.intent.run.clone(),
            kind: self.intent.live.ask.fault.kind().to_owned(),
            state: self.state,
            ends_boot_us: self.intent.live.ends_boot_us,
            effects: self.intent.live.prepared.effects.clone(),
            about: self.intent.about.clone(),
            due: self.due && self.state == State::Armed,
        }
    }
}

impl SupervisorState {
    /// Returns the state of a new agent, from the replayed journal.
    pub(super) fn after(replayed: &Replayed) -> Self {
        Self {
            tombstones: replayed.tombstones.preallocated(),
            halted_by: replayed.halted_by.clone(),
            ..Self::default()
        }
    }

    /// Returns the present state of an injection that was shown before; it may have ended since.
    pub(super) fn now(&self, before: OpenOne) -> OpenOne {
        match (self.live.get(&before.id), self.past.iter().find(|past| past.is_of(&before.id))) {
            (Some(entry), _) => entry.show(),
            (None, Some(past)) => OpenOne { state: past.state, ..before },
            // It was forgotten since, so it was put back: stuck injections are not forgotten.
            (None, None) if before.state == State::Armed => OpenOne { state: State::Disarmed, ..before },
            (None, None) => OpenOne { state: State::Undone, ..before },
        }
    }

    /// Whether an injection of that id was armed.
    pub(super) fn has(&self, id: &InjectionId) -> bool {
        self.live.contains_key(id) || self.past.iter().any(|past| past.is_of(id))
    }

    /// Whether this agent knows the run or injection of a tombstone.
    pub(super) fn knows(&self, stone: &Tombstone) -> bool {
        match stone {
            Tombstone::Run(run) => self.runs.contains_key(run),
            Tombstone::Injection(id) => {
                self.has(id) || self.runs.values().any(|run| run.asks.contains_key(id))
            }
        }
    }

    /// Returns the open injections of a run.
    pub(super) fn open_of<'a>(&'a self, run: &'a RunId) -> impl Iterator<Item = &'a Entry> {
        self.live.values().filter(move |entry| entry.intent.run == *run && entry.state.is_open())
    }

    /// Whether any injection is open.
    pub(super) fn has_open(&self) -> bool {
        self.live.values().any(|entry| entry.state.is_open())
    }

    /// Returns the open injections that the journal has.
    pub(super) fn journaled(&self) -> impl Iterator<Item = &Entry> {
        self.live.values().filter(|entry| entry.journaled && entry.state.is_open())
    }

    /// Returns the first open injection with a conflicting claim, and that claim.
    pub(super) fn conflict(&self, claims: &[Claim]) -> Option<(&Claim, &InjectionId)> {
        self.live.iter().filter(|(_, entry)| entry.state.is_open()).find_map(|(id, entry)| {
            let theirs = &entry.intent.live.prepared.claims;
            theirs.iter().find(|their| claims.iter().any(|our| clash(our, their))).map(|claim| (claim, id))
        })
    }

    /// Returns the earliest deadline of all injections (CLOCK_BOOTTIME, microseconds); `None` if there is none.
    pub(super) fn deadline(&self) -> Option<u64> {
        let deadline = |entry: &Entry| {
            let lease_until = self.runs.get(&entry.intent.run).map_or(u64::MAX, |run| run.lease_until);
            decide::deadline(
                entry.state,
                entry.act_by,
                entry.made_by,
                entry.intent.live.ends_boot_us,
                lease_until,
            )
        };
        self.live.values().filter_map(deadline).min()
    }

    /// Makes this person the owner of a run, and remembers the run from now on.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub(super) fn claim(&mut self, run: &RunId, caller: &Caller) -> Result<&mut Run, Problem> {
        let known = self.runs.get_or_new(run);
        caller.must_be(known.owner.get_or_insert_with(|| caller.name.as_str().into()), run)?;
        Ok(known)
    }

    /// Returns the runs whose snapshot may still be needed: those that are remembered, and those with an open injection.
    pub(super) fn needed(&self) -> impl Iterator<Item = RunId> {
        let open = self.live.values().filter(|entry| entry.state.is_open());
        self.runs.ids().chain(open.map(|entry| entry.intent.run.clone()))
    }

    /// Forgets entries that are over, and idle runs (nothing open, nothing measured) beyond the maximum. The runs of the person with the
    /// most runs go first, so that one person's runs never displace another's. `measured` are the runs for which something is measured.
    pub(super) fn prune(&mut self, measured: &[RunId], now: u64) {
        let mut forgot = self.forgot_boot_us;
        let over = self
            .live
            .extract_if(.., |_, entry| decide::is_over(now, entry.state, entry.intent.live.ends_boot_us));
        for (id, entry) in over {
            if let Some(ended) = self.past.keep(&id, &entry.past(), entry.ended_boot_us) {
                forgot = forgot.max(ended.unwrap_or(now));
            }
        }
        self.forgot_boot_us = forgot;
        if self.live.is_empty() {
            // An empty map keeps the memory of its first entries.
            self.live = BTreeMap::new();
        }
        while self.runs.len() > RUNS_MOST && self.forget_run(measured, |_| 1, None) {}
        self.share();
    }

    /// Forgets one idle run: the oldest run of the person whose runs have the largest total by `size`. With `for_run`, the room is for
    /// that run: it stays, and so do the runs of people who have less than its owner. Returns false if no run can be forgotten.
    fn forget_run(
        &mut self,
        measured: &[RunId],
        size: impl Fn(&Run) -> usize,
        for_run: Option<&RunId>,
    ) -> bool {
        let is_open = |id: &str| {
            self.live.values().any(|entry| entry.intent.run.as_str() == id && entry.state.is_open())
        };
        let is_idle = |id: &str| !measured.iter().any(|other| other.as_str() == id) && !is_open(id);
        let idle = || self.runs.iter().filter(|(id, _)| is_idle(id));
        // The run that gets the room counts for its owner even if it is not idle.
        let busy = for_run.and_then(|id| Some((id.as_str(), self.runs.get(id)?)));
        let busy = busy.filter(|(id, _)| !is_idle(id));
        let mut total_of = BTreeMap::<_, usize>::new();
        for (_, run) in idle().chain(busy) {
            *total_of.entry(&run.owner).or_default() += size(run);
        }
        let least = for_run.and_then(|id| total_of.get(&self.runs.get(id)?.owner)).copied().unwrap_or(0);
        let oldest = idle()
            .filter(|(id, run)| {
                Some(*id) != for_run.map(RunId::as_str) && total_of.get(&run.owner) >= Some(&least)
            })
            // Runs that armed approved faults go last: with the run the agent forgets that they were armed.
            .min_by_key(|(_, run)| {
                (Reverse(total_of.get(&run.owner)), !run.armed.is_empty(), run.heard_boot_us)
            })
            .and_then(|(id, _)| id.parse().ok());
        oldest.is_some_and(|id| self.runs.remove(&id))
    }

    /// Makes room for the faults `new`, which were just prepared for a run. If that is impossible, forgets these faults again.
    ///
    /// # Errors
    /// There is no room: the total size of all prepared faults, in bytes.
    pub(super) fn keep_asks<'a>(
        &mut self,
        run: &RunId,
        new: impl Iterator<Item = &'a InjectionId>,
        measured: &[RunId],
    ) -> Result<(), usize> {
        let total = |state: &Self| state.runs.values().map(|run| run.asks_bytes).sum::<usize>();
        while total(self) > ASKS_MOST_BYTES {
            if self.forget_run(measured, |run| run.asks_bytes, Some(run)) {
                continue;
            }
            let bytes = total(self);
            if let Some(known) = self.runs.get_mut(run) {
                new.for_each(|id| drop(known.asks.remove(id)));
                known.weigh();
            }
            return Err(bytes);
        }
        Ok(())
    }
}

/// Whether two claims are in conflict.
pub(super) fn clash(one: &Claim, other: &Claim) -> bool {
    one.what == other.what && !(one.shared && other.shared)
}

#[cfg(test)]
mod tests;
