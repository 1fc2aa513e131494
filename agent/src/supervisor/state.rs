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

/// Maximum number of bytes that the faults asked at prepare take, over all runs.
pub(super) const ASKS_MOST_BYTES: usize = 64 << 20;

/// The rules that allowed something; all of them must.
pub(super) type Allowed = Vec<Arc<Rules>>;

/// Everything that the supervisor knows. Core keeps it behind one lock.
#[derive(Default)]
pub(super) struct SupervisorState {
    pub(super) live: BTreeMap<InjectionId, Entry>,
    /// Injections that are over, reduced to what comparisons need.
    pub(super) past: PastList,
    pub(super) runs: Runs,
    pub(super) tombstones: Tombstones,
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
    /// The journal has its intent. Changes under the journal's lock.
    pub(super) journaled: bool,
    /// The reason to undo it; `None` while it is not to be undone.
    pub(super) wanted: Option<HealReason>,
    /// The rules that have allowed it.
    pub(super) allowed_by: Allowed,
    /// The people who had approved it when it was armed.
    pub(super) approved: Approved,
    /// The refusal by rules that came later; empty if there is none.
    pub(super) refusal: String,
    /// The lease was renewed, so the kernel's own switch is to be renewed.
    pub(super) renewed: bool,
    /// The lease was renewed since it was armed.
    pub(super) due: bool,
    /// The number of the run's renewals when this was armed.
    pub(super) renewals_before: u64,
    /// The deadline for making the effect.
    pub(super) made_by: Option<u64>,
    /// The deadline for the thread's present work, if it differs from the end of hold or lease.
    pub(super) act_by: Option<u64>,
    /// The reason why it is stuck.
    pub(super) trouble: String,
    /// The journaled changes of its state. Changes under the journal's lock.
    pub(super) story: Vec<AgentEvent>,
    /// Changes by others that its undo found.
    pub(super) foreign: Vec<String>,
    /// The time at which it ended, by the wall clock in microseconds.
    pub(super) ended_wall_us: Option<u64>,
    /// The time at which it ended (CLOCK_BOOTTIME, microseconds).
    pub(super) ended_boot_us: Option<u64>,
    waker: Arc<dyn Waker>,
    /// Tells the code that makes the effect.
    called_off: Arc<CalledOff>,
}

impl Entry {
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

    /// Asks its thread to undo it; the first reason stays. An effect that is being made is called off if it can be
    /// undone. The deadline may change: see `Core::watch`.
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

    /// Notes that the effect is being made, and the maximum time for that, in microseconds.
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

    pub(super) fn renew(&mut self) {
        self.renewed = true;
        self.due = true;
        self.waker.wake();
    }

    /// Returns the part of it that comparisons need.
    pub(super) fn past(&self) -> Past {
        Past::of(&self.intent, self.state, &self.foreign, self.ended_wall_us)
    }

    pub(super) fn is_settled(&self) -> bool {
        !self.state.is_open() || (self.state == State::Stuck && self.wanted.is_none())
    }

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
    /// Returns the state after a start, from the replayed journal.
    pub(super) fn after(replayed: &Replayed) -> Self {
        Self {
            tombstones: replayed.tombstones.preallocated(),
            halted_by: replayed.halted_by.clone(),
            ..Self::default()
        }
    }

    /// Returns the present state of an injection that was shown before; it may have ended since.
    pub(super) fn now(&self, before: OpenOne) -> OpenOne {
        match (self.live.get(&before.id), self.past.iter().find(|past| past.is(&before.id))) {
            (Some(entry), _) => entry.show(),
            (None, Some(past)) => OpenOne { state: past.state, ..before },
            // Only injections that were put back are forgotten; stuck ones are kept.
            (None, None) if before.state == State::Armed => OpenOne { state: State::Disarmed, ..before },
            (None, None) => OpenOne { state: State::Undone, ..before },
        }
    }

    /// Whether an injection of that id was armed.
    pub(super) fn has(&self, id: &InjectionId) -> bool {
        self.live.contains_key(id) || self.past.iter().any(|past| past.is(id))
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

    /// Returns the earliest deadline of all injections.
    pub(super) fn deadline(&self) -> Option<u64> {
        let of = |entry: &Entry| {
            let lease_until = self.runs.get(&entry.intent.run).map_or(u64::MAX, |run| run.lease_until);
            decide::deadline(
                entry.state,
                entry.act_by,
                entry.made_by,
                entry.intent.live.ends_boot_us,
                lease_until,
            )
        };
        self.live.values().filter_map(of).min()
    }

    /// Takes a run for this person, and remembers it from now on. If two people come first at the same time, one gets
    /// it.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub(super) fn claim(&mut self, run: &RunId, caller: &Caller) -> Result<&mut Run, Problem> {
        let known = self.runs.get_or_new(run);
        caller.must_be(known.owner.get_or_insert_with(|| caller.name.as_str().into()), run)?;
        Ok(known)
    }

    /// Returns the runs whose snapshot may still be needed: those that are remembered, and all with an open injection.
    pub(super) fn needed(&self) -> impl Iterator<Item = RunId> {
        let open = self.live.values().filter(|entry| entry.state.is_open());
        self.runs.ids().chain(open.map(|entry| entry.intent.run.clone()))
    }

    /// Forgets the oldest entries that are over. Of idle runs (nothing open, no probes), those of the person with the
    /// most go first, so that one person's runs never displace another's.
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

    /// Forgets one idle run (nothing open, no probes): the oldest of the person with the most by `size`. With `but`,
    /// that run stays, and so do those of people who have less than its owner. Returns false if there is none.
    fn forget_run(&mut self, measured: &[RunId], size: impl Fn(&Run) -> usize, but: Option<&RunId>) -> bool {
        let open =
            |id: &str| self.live.values().any(|one| one.intent.run.as_str() == id && one.state.is_open());
        let is_idle = |id: &str| !measured.iter().any(|other| other.as_str() == id) && !open(id);
        let idle = || self.runs.iter().filter(|(id, _)| is_idle(id));
        let mut of_owner = BTreeMap::<_, usize>::new();
        let asking = but.and_then(|id| Some((id.as_str(), self.runs.get(id)?)));
        let asking = asking.filter(|(id, _)| !is_idle(id));
        for (_, run) in idle().chain(asking) {
            *of_owner.entry(&run.owner).or_default() += size(run);
        }
        let least = but.and_then(|id| of_owner.get(&self.runs.get(id)?.owner)).copied().unwrap_or(0);
        let oldest = idle()
            .filter(|(id, run)| {
                Some(*id) != but.map(RunId::as_str) && of_owner.get(&run.owner) >= Some(&least)
            })
            // Runs that armed approved faults go last: with the run the agent forgets that they were armed.
            .min_by_key(|(_, run)| {
                (Reverse(of_owner.get(&run.owner)), !run.armed.is_empty(), run.heard_boot_us)
            })
            .and_then(|(id, _)| id.parse().ok());
        oldest.is_some_and(|id| self.runs.remove(&id))
    }

    /// Makes room for the faults that a run just asked; if that is impossible, forgets these again.
    ///
    /// # Errors
    /// The total size of all asked faults, in bytes.
    pub(super) fn keep_asks<'a>(
        &mut self,
        run: &RunId,
        new: impl Iterator<Item = &'a InjectionId>,
        measured: &[RunId],
    ) -> Result<(), usize> {
        let all = |state: &Self| state.runs.values().map(|run| run.asks_bytes).sum::<usize>();
        while all(self) > ASKS_MOST_BYTES {
            if self.forget_run(measured, |run| run.asks_bytes, Some(run)) {
                continue;
            }
            let bytes = all(self);
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
