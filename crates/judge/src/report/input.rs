//! The input of reports: the judged log, and the charts that are drawn while the log is read.

use std::{path::Path, time::SystemTime};

use super::{
    found::Found,
    judged::{Judged, beside},
    view::sketch::{Drawn, Sketch},
};
use crate::{
    log::Log,
    notes::{self, Note, Notes},
    score::{self, Facts, Scorecard},
};

/// The input of reports.
pub struct Input<'a> {
    pub(crate) log: &'a Log,
    pub(crate) facts: Facts<'a>,
    pub(crate) card: Scorecard,
    pub(super) drawn: Drawn,
    /// The findings about the run.
    pub(super) findings: Vec<Found>,
    /// This judgement and the earlier ones, oldest first; `None` unless [`Self::beside`] was called.
    pub(super) judged: Option<(Judged, Vec<Judged>)>,
    /// The notes that people wrote about the run.
    pub(super) notes: Vec<Note>,
    /// A sentence about defects of the file of notes.
    notes_warning: Option<String>,
}

impl<'a> Input<'a> {
    /// Judges a log and prepares it for rendering. Measurements are read once, one block at a time; the charts are drawn from them
    /// at the same time.
    #[must_use]
    pub fn new(log: &'a Log) -> Self {
        let facts = Facts::of(log);
        let mut sketch = Sketch::new(facts.plan, facts.last_us);
        let card = score::of(&facts, log, &mut sketch);
        let drawn = sketch.drawn(&card);
        Self {
            log,
            facts,
            card,
            drawn,
            findings: Vec::new(),
            judged: None,
            notes: Vec::new(),
            notes_warning: None,
        }
    }

    /// Adds the findings about this run.
    #[must_use]
    pub fn with_findings(self, findings: Vec<Found>) -> Self {
        Self { findings, ..self }
    }

    /// Adds this judgement, the earlier judgements in the `report.json` of a folder, and the notes in that folder.
    #[must_use]
    pub fn beside(self, folder: &Path, now: SystemTime) -> Self {
        let judged = Some(beside(folder, &self.card, self.log.records.len(), now));
        let (notes, notes_warning) = match notes::read(folder) {
            Ok(Notes { all, damaged: 0 }) => (all, None),
            Ok(Notes { all, damaged }) => {
                let (s, are) = if damaged == 1 { ("", "is no note") } else { ("s", "are no notes") };
                (all, Some(format!("{damaged} line{s} of {} {are}", notes::FILE)))
            }
            Err(error) => (Vec::new(), Some(format!("the notes of people cannot be read: {error}"))),
        };
        Self { judged, notes, notes_warning, ..self }
    }

    /// Returns the defects of the log and of the notes, for people.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.log.warnings.iter().chain(&self.notes_warning).cloned().collect()
    }

    /// Returns one sentence for each earlier judgement.
    pub(super) fn judged_before(&self) -> Vec<String> {
        let Some((now, before)) = &self.judged else { return Vec::new() };
        before.iter().map(|judged| judged.sentence(now)).collect()
    }

    /// Returns the environment for which the plan was made; `None` if it names none or the log has no plan.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.facts.plan?.environment.as_deref()
    }

    /// Returns the start of the run as the log has it, RFC 3339 UTC; empty if the beginning of the log is missing.
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
