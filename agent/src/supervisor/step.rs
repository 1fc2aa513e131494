//! Steps in the life of an injection: each is journaled, then shown to others. Never decides about a step.

use firedrill_wire::{
    InjectionId,
    journal::{HealReason, State, What},
};

use super::core::Core;
use crate::{
    active, crash_point,
    mutex::lock,
    transition::{Step, next},
};

impl Core {
    /// Journals a step if it is legal, then shows it to others. With `safe`, waits until it is safe from a power loss. Only the
    /// injection's own thread calls this.
    pub(super) fn step(
        &self,
        id: &InjectionId,
        step: Step,
        reason: Option<HealReason>,
        detail: String,
        foreign: Vec<String>,
        safe: bool,
    ) {
        let Some((run, from, kind)) = lock(&self.state)
            .live
            .get(id)
            .map(|entry| (entry.intent.run.clone(), entry.state, entry.intent.live.ask.fault.kind()))
        else {
            return;
        };
        let to = match next(from, step) {
            Ok(to) => to,
            Err(illegal) => {
                tracing::error!("{id}: {illegal}; this is a bug in the agent");
                return;
            }
        };
        if to == State::Stuck {
            tracing::error!("{id} is stuck: {detail}");
            active::syslog(&format!("{id} of run {run} could NOT be put back: {detail}"));
        }
        let trouble = if to == State::Stuck { detail.clone() } else { String::new() };
        let what = What::Changed { injection: id.clone(), run, to, reason, detail, foreign: foreign.clone() };
        let (now, wall_us) = self.change(id, what);
        if !to.is_open() {
            crash_point::at(&self.config.paths.run, "end-journaled");
        }
        if safe {
            self.sync();
        }
        self.metrics.ended(kind, to);
        {
            let mut state = lock(&self.state);
            if let Some(entry) = state.live.get_mut(id) {
                entry.state = to;
                entry.trouble = trouble;
                entry.foreign.extend(foreign);
                entry.ended_wall_us = (!to.is_open()).then_some(wall_us);
                entry.ended_boot_us = (!to.is_open()).then_some(now);
                if to == State::InForce {
                    entry.intent.in_force_at(now);
                }
                if matches!(to, State::Stuck) || !to.is_open() {
                    entry.wanted = None;
                    entry.act_by = None;
                }
            }
            self.tell_guard(&state);
        }
        // Also written before an effect is made: if the journal is cut meanwhile, only these files show that the start had begun. Not
        // written before an undo, which must not wait for files.
        if !to.is_open() || matches!(to, State::Injecting | State::InForce | State::Stuck) {
            self.write_status_files();
            self.settled.notify_all();
        }
    }

    /// Journals a change of an injection, and adds it to the injection's story. Both happen under the journal's lock, so
    /// that a journal that is made anew at any moment has the change. Returns its time by CLOCK_BOOTTIME and by the wall
    /// clock, in microseconds.
    fn change(&self, id: &InjectionId, what: What) -> (u64, u64) {
        let mut journal = lock(&self.journal);
        let event = journal.event(what);
        let times = (event.boot_us, event.wall_us);
        if let Some(entry) = lock(&self.state).live.get_mut(id) {
            entry.story.push(event);
        }
        times
    }
}
