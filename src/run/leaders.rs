//! The answers about the leaders of moving targets, as the run hears them. Asks nobody; `phases/leader.rs` does.

use crate::log::LeaderAsked;

/// The answers that have come.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    answer: Option<LeaderAsked>,
    /// The answers of a run that only shows its plan, one for each target.
    shown: Vec<LeaderAsked>,
}

impl Leaders {
    /// A question begins; an answer to an earlier one does not count.
    pub(super) fn asks(&mut self) {
        self.answer = None;
    }

    /// Takes an answer.
    pub(super) fn answered(&mut self, answer: LeaderAsked) {
        self.answer = Some(answer);
    }

    /// Whether the answer is there.
    pub(super) const fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Returns the answer, once.
    pub(super) fn take(&mut self) -> Option<LeaderAsked> {
        self.answer.take()
    }

    /// Keeps the answers for those who look at the plan.
    pub(super) fn show(&mut self, all: Vec<LeaderAsked>) {
        self.shown = all;
    }

    /// Returns the answers that were kept, once.
    pub(super) fn take_shown(&mut self) -> Vec<LeaderAsked> {
        std::mem::take(&mut self.shown)
    }
}
