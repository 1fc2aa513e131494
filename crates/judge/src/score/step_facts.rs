//! The records of a step between attacks.

use firedrill_plan::plan::model::Step;

use crate::log::{Event, ProgramEnd, StepOutcome};

/// The records of one step of the plan.
#[derive(Debug)]
pub(crate) struct StepFacts<'a> {
    pub(crate) planned: &'a Step,
    /// The time at which it began.
    pub(super) began_us: Option<i64>,
    pub(super) ended: Option<End<'a>>,
    pub(super) program: Option<&'a ProgramEnd>,
    /// The time at which a person was asked to put it back.
    pub(super) back_asked_us: Option<i64>,
    /// The answer of that person.
    pub(super) back: Option<End<'a>>,
}

/// The end of a step, or of putting it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) at_us: i64,
    pub(super) outcome: StepOutcome,
    /// The person who said so.
    pub(super) by: Option<&'a str>,
    pub(super) why: &'a str,
}

impl<'a> StepFacts<'a> {
    pub(super) const fn new(planned: &'a Step) -> Self {
        Self { planned, began_us: None, ended: None, program: None, back_asked_us: None, back: None }
    }

    /// Takes a record about the step; other records are ignored.
    pub(super) fn take(&mut self, at_us: i64, event: &'a Event) {
        match event {
            Event::StepBegan { .. } => self.began_us = Some(at_us),
            Event::StepEnded { outcome, by, why, program, .. } => {
                self.ended = Some(End { at_us, outcome: *outcome, by: by.as_deref(), why });
                self.program = program.as_ref();
            }
            Event::PutBackAsked { .. } => self.back_asked_us = Some(at_us),
            Event::PutBackEnded { outcome, by, why, .. } => {
                self.back = Some(End { at_us, outcome: *outcome, by: by.as_deref(), why });
            }
            _ => {}
        }
    }

    /// Whether something of it may be left that a person has to put back.
    pub(super) fn may_be_left(&self) -> bool {
        let was_done =
            self.began_us.is_some() && self.ended.is_none_or(|end| end.outcome != StepOutcome::Skipped);
        let is_back = self.back.is_some_and(|back| back.outcome == StepOutcome::Done);
        was_done && !is_back && self.planned.does.undo().is_some()
    }
}

impl End<'_> {
    /// Returns the end in words: `done, says bob: it was stuck`.
    pub(super) fn words(&self) -> String {
        let mut text = self.outcome.word().to_owned();
        if let Some(by) = self.by {
            text.push_str(&format!(", says {by}"));
        }
        if !self.why.is_empty() {
            text.push_str(&format!(": {}", self.why));
        }
        text
    }
}
