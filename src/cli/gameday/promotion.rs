//! Promotions: decides by the runs of a directory whether a scenario has held in another environment, as a game day requires.

use std::path::Path;

use firedrill_gameday::{
    Requires,
    promotion::{Promotion, Run},
};
use firedrill_history::{Filter, minute};
use jiff::Timestamp;

use crate::{
    cli::{failure::Result, runs::history_of},
    plan::Plan,
};

/// Returns the runs of a directory, with the fields that promotions need.
pub(super) fn runs(reports: &Path) -> Result<Vec<Run>> {
    let mut history = history_of(reports)?;
    let entries = history.runs(&Filter::default())?;
    let runs = entries.into_iter().filter_map(|entry| {
        let result = entry.ended_as(entry.is_running(reports));
        Some(Run {
            id: entry.run?,
            began_s: entry.at_s,
            environment: entry.environment,
            held: entry.ended && entry.exit == Some(0),
            result,
            files: entry.files,
            scenario: entry.scenario,
        })
    });
    Ok(runs.collect())
}

/// Returns whether a scenario may be run at the time `at`, and a text about that for people.
pub(super) fn promoted(requires: &Requires, plan: &Plan, at: Timestamp, runs: &[Run]) -> (bool, String) {
    let files = plan.files.as_deref().unwrap_or_default();
    let found = Promotion::of(requires, &plan.name, files, at.as_second(), runs);
    let words = found.words(requires, &|at_s| minute(at_s).get(..10).unwrap_or_default().to_owned());
    (matches!(found, Promotion::Held(_)), words)
}
