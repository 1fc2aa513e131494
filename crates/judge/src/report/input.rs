//! The input of reports: the judged log, and the charts that were drawn while it was read.

use super::{
    found::Found,
    view::sketch::{Drawn, Sketch},
};
use crate::{
    log::Log,
    score::{self, Facts, Scorecard},
};

/// The input of reports.
pub struct Input<'a> {
    pub(crate) log: &'a Log,
    pub(crate) facts: Facts<'a>,
    pub(crate) card: Scorecard,
    pub(super) drawn: Drawn,
    /// The findings that have to do with the run.
    pub(super) findings: Vec<Found>,
}

impl<'a> Input<'a> {
    /// Judges a log and prepares it for rendering. Measurements are read once, one block at a time, and drawn on the
    /// way.
    #[must_use]
    pub fn new(log: &'a Log) -> Self {
        let facts = Facts::of(log);
        let mut sketch = Sketch::new(facts.plan, facts.last_us);
        let card = score::of(&facts, log, &mut sketch);
        let drawn = sketch.drawn(&card);
        Self { log, facts, card, drawn, findings: Vec::new() }
    }

    /// Adds what is known of findings from this run and others.
    #[must_use]
    pub fn with_findings(self, findings: Vec<Found>) -> Self {
        Self { findings, ..self }
    }

    /// Returns the environment that the plan was for.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.facts.plan?.environment.as_deref()
    }

    /// Returns the start of the run, RFC 3339 UTC, as the log has it.
    #[must_use]
    pub fn started(&self) -> &str {
        self.facts.wall
    }

    /// Returns the verdicts and figures.
    #[must_use]
    pub const fn card(&self) -> &Scorecard {
        &self.card
    }
}
