//! The steps between attacks: the one that the run waits for, what people say about it, and what is to be put back by hand. Decides about
//! answers; `phases/step.rs` acts.

use super::{
    program::End,
    wish::{Reply, StepAnswer},
};
use crate::{
    log::{Event, StepOutcome},
    plan::{Plan, model::Does},
};

/// A question to a person: the run waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asks {
    /// The step, by its place in the plan.
    pub(super) step: usize,
    /// Whether it is about putting back what was done.
    pub(super) back: bool,
}

/// The steps of a run.
#[derive(Debug, Default)]
pub(super) struct Steps {
    asks: Option<Asks>,
    /// The outcome of the step that was asked for last.
    answered: Option<StepOutcome>,
    /// The step whose program runs.
    runs: Option<usize>,
    /// The end of that program.
    ended: Option<End>,
    /// The steps that a person has to put back, in the order in which they were done.
    left: Vec<usize>,
    /// Whether a step may have changed something.
    acted: bool,
    skipped: bool,
    /// Number of signals since somebody was asked to put something back.
    signals: usize,
}

impl Steps {
    /// A step begins. A person is asked for one by hand.
    pub(super) fn begins(&mut self, step: usize, does: &Does) {
        (self.answered, self.ended) = (None, None);
        self.runs = does.argv().map(|_| step);
        match does {
            Does::Manual { undo, .. } => {
                self.asks = Some(Asks { step, back: false });
                self.acted = true;
                // Somebody may do it and say nothing.
                self.left.extend(undo.as_ref().map(|_| step));
            }
            Does::Command { .. } => self.acted = true,
            Does::Check { .. } => {}
        }
    }

    /// A person is asked to put a step back.
    pub(super) fn asks_back(&mut self, step: usize) {
        self.answered = None;
        // Once people have ended one wait, the run waits for no other step: it only names them.
        if !self.is_given_up() {
            self.signals = 0;
        }
        self.asks = Some(Asks { step, back: true });
    }

    /// Nobody is waited for any more.
    pub(super) fn waits_no_more(&mut self) {
        self.asks = None;
    }

    /// Takes what a person says. Returns the record of it, and the reply.
    pub(super) fn take(
        &mut self,
        (by, answer, note): (String, StepAnswer, String),
        meant: Option<usize>,
        plan: &Plan,
    ) -> (Option<Event>, Reply) {
        let refused = |why: String| (None, Reply::Refused(why));
        let Some(Asks { step, back }) = self.asks else {
            return refused("it waits for no step by hand".to_owned());
        };
        let name = named(plan, step);
        if let Some(meant) = meant.filter(|meant| *meant != step) {
            return refused(format!("it waits for {name}, and not for {}", named(plan, meant)));
        }
        let outcome = match (answer, back) {
            (StepAnswer::Done, false) | (StepAnswer::Back, true) => StepOutcome::Done,
            (StepAnswer::Failed, _) => StepOutcome::Failed,
            (StepAnswer::Skip, false) => StepOutcome::Skipped,
            (StepAnswer::Skip, true) => {
                return refused(format!(
                    "{name} is to be put back, which nobody can skip: say back when it is, or failed"
                ));
            }
            (StepAnswer::Done, true) => {
                return refused(format!("{name} is to be put back: say back when it is, or failed"));
            }
            (StepAnswer::Back, false) => {
                return refused(format!(
                    "{name} is to be done, and not to be put back yet: say done, failed or skip"
                ));
            }
        };
        (self.asks, self.answered) = (None, Some(outcome));
        let (by, why) = (Some(by), note);
        if back {
            let says = if outcome == StepOutcome::Done { "put back" } else { "not put back" };
            let reply = Reply::Taken(format!("it records {name} as {says}"));
            return (Some(Event::PutBackEnded { step, outcome, by, why }), reply);
        }
        if outcome == StepOutcome::Skipped {
            self.skipped = true;
            self.left.retain(|left| *left != step);
        }
        let reply = Reply::Taken(format!("it records {name} as {}", outcome.word()));
        (Some(Event::StepEnded { step, outcome, by, why, program: None }), reply)
    }

    /// Returns what a person has said about the step that was asked for last.
    pub(super) const fn answered(&self) -> Option<StepOutcome> {
        self.answered
    }

    /// The program of a step has ended. One of an earlier step says nothing about the step that goes on.
    pub(super) fn program_ended(&mut self, step: usize, end: End) {
        if self.runs == Some(step) {
            self.ended = Some(end);
        }
    }

    /// Whether the program of a step has ended.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Takes the end of the program.
    pub(super) fn take_end(&mut self) -> Option<End> {
        self.runs = None;
        self.ended.take()
    }

    /// People are asked from now on to put back what was done by hand. Signals until then were about the run.
    pub(super) const fn puts_back(&mut self) {
        self.signals = 0;
    }

    /// Returns the step that is to be put back next: the last one first.
    pub(super) fn next_left(&self) -> Option<usize> {
        self.left.last().copied()
    }

    /// The log has what became of putting back the step of [`Self::next_left`].
    pub(super) fn was_asked(&mut self) {
        self.left.pop();
    }

    /// Whether a step may have changed something, so that the run touched more than nothing.
    pub(super) const fn have_acted(&self) -> bool {
        self.acted
    }

    /// Whether a step was skipped. Then the run is not tried again.
    pub(super) const fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// A signal came.
    pub(super) const fn signal(&mut self) {
        self.signals += 1;
    }

    /// Whether people have sent signals twice while the run waits for somebody who puts something back.
    pub(super) const fn is_given_up(&self) -> bool {
        self.signals > 1
    }

    /// Returns in words what is waited for, if a person is to put something back.
    pub(super) fn waiting(&self, plan: &Plan, run: &str) -> Option<String> {
        let Asks { step, .. } = self.asks.filter(|asks| asks.back)?;
        let undo = plan.steps.get(step)?.does.undo()?;
        Some(format!(
            "nothing of firedrill is in force; a person is to put back {}: {undo}; then `firedrill step {run} back --step {}`. The next \
             signal ends the wait, and it counts as not put back",
            named(plan, step),
            step.saturating_add(1)
        ))
    }
}

/// Returns a step's number and name.
pub(super) fn named(plan: &Plan, step: usize) -> String {
    let number = step.saturating_add(1);
    plan.steps
        .get(step)
        .map_or_else(|| format!("step {number}"), |one| format!("step {number}, \"{}\"", one.name))
}
