//! The answers about the leaders of moving targets. Asks nothing; `phases/leader.rs` does.

use crate::log::LeaderAsked;

/// The answers that have come.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    /// The answer to the current question.
    answer: Option<LeaderAsked>,
    /// The answers of a run that only shows its plan, one for each target.
    shown: Vec<LeaderAsked>,
}

impl Leaders {
    /// Notes that a question begins, and drops an answer to an earlier one.
    pub(super) fn asks(&mut self) {
        self.answer = None;
    }

    /// Takes an answer.
    pub(super) fn answered(&mut self, answer: LeaderAsked) {
        self.answer = Some(answer);
    }

    /// Whether the current question is answered.
    pub(super) const fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Takes the answer out; `None` if there is none.
    pub(super) fn take(&mut self) -> Option<LeaderAsked> {
        self.answer.take()
    }

    /// Keeps the answers that are shown with the plan.
    pub(super) fn show(&mut self, answers: Vec<LeaderAsked>) {
        self.shown = answers;
    }

    /// Takes the answers of [`Self::show`] out.
    pub(super) fn take_shown(&mut self) -> Vec<LeaderAsked> {
        std::mem::take(&mut self.shown)
    }
}
