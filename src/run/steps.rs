//! The state of the steps between attacks: the step that the run waits for, the answers of people, and the steps that people must put
//! back by hand. Only accepts or refuses answers; `phases/step.rs` acts on them.

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
    /// The step's index in the plan.
    pub(super) step: usize,
    /// Whether the person is asked to put the step back, and not to do it.
    pub(super) back: bool,
}

/// The state of a run's steps.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// The question that waits for an answer.
    asks: Option<Asks>,
    /// The answer to the last question; `None` until it is answered.
    answered: Option<StepOutcome>,
    /// The step whose program runs.
    runs: Option<usize>,
    /// The end of that program; `None` until it has ended.
    ended: Option<End>,
    /// The steps that a person must put back, in the order in which they were done.
    left: Vec<usize>,
    /// Whether a step may have changed the system.
    acted: bool,
    /// Whether a person skipped a step.
    skipped: bool,
    /// Number of signals since the run began to wait for people who put steps back.
    signals: usize,
}

impl Steps {
    /// Notes that a step begins. For a step by hand, a person is asked to do it.
    pub(super) fn begins(&mut self, step: usize, does: &Does) {
        (self.answered, self.ended) = (None, None);
        self.runs = does.argv().map(|_| step);
        match does {
            Does::Manual { undo, .. } => {
                self.asks = Some(Asks { step, back: false });
                self.acted = true;
                // A person may do the step and not answer, so it must be put back in any case.
                self.left.extend(undo.as_ref().map(|_| step));
            }
            Does::Command { .. } => self.acted = true,
            Does::Check { .. } => {}
        }
    }

    /// Notes that a person is asked to put a step back.
    pub(super) fn asks_back(&mut self, step: usize) {
        self.answered = None;
        // After people have ended one wait by signals, the run does not wait for the other steps; it only names them.
        if !self.is_given_up() {
            self.signals = 0;
        }
        self.asks = Some(Asks { step, back: true });
    }

    /// Withdraws the question: no answer is accepted any more.
    pub(super) fn withdraw_question(&mut self) {
        self.asks = None;
    }

    /// Accepts or refuses a person's answer to the question. `meant` is the step that the person named, if any. Returns the record for
    /// the log (`None` if the answer is refused), and the reply to the person.
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

    /// Returns the answer to the last question; `None` until it is answered.
    pub(super) const fn answered(&self) -> Option<StepOutcome> {
        self.answered
    }

    /// Notes that the program of a step has ended. The end of an earlier step's program is ignored.
    pub(super) fn program_ended(&mut self, step: usize, end: End) {
        if self.runs == Some(step) {
            self.ended = Some(end);
        }
    }

    /// Whether the program of the current step has ended.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Takes the program's end out, so that the step has no program any more. `None` if no program has ended.
    pub(super) fn take_end(&mut self) -> Option<End> {
        self.runs = None;
        self.ended.take()
    }

    /// Notes that from now on people are asked to put back the steps by hand. Earlier signals were about the run and are not counted.
    pub(super) const fn begin_putting_back(&mut self) {
        self.signals = 0;
    }

    /// Returns the step that a person must put back next: steps are put back in reverse order. `None` if no step is left.
    pub(super) fn next_left(&self) -> Option<usize> {
        self.left.last().copied()
    }

    /// Removes the step of [`Self::next_left`]: the log has the outcome of putting it back.
    pub(super) fn remove_left(&mut self) {
        self.left.pop();
    }

    /// Whether a step may have changed the system: then the run cannot say that nothing was touched.
    pub(super) const fn have_acted(&self) -> bool {
        self.acted
    }

    /// Whether a person skipped a step. Then the run is not tried again.
    pub(super) const fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// Counts a signal.
    pub(super) const fn signal(&mut self) {
        self.signals += 1;
    }

    /// Whether people ended the wait for steps to be put back, by a second signal.
    pub(super) const fn is_given_up(&self) -> bool {
        self.signals > 1
    }

    /// Returns a sentence about the step that a person must put back; `None` if the run does not wait for that.
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

/// Returns a step's number and name, for people.
pub(super) fn named(plan: &Plan, step: usize) -> String {
    let number = step.saturating_add(1);
    plan.steps
        .get(step)
        .map_or_else(|| format!("step {number}"), |step| format!("step {number}, \"{}\"", step.name))
}
