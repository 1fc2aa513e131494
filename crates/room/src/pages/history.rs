//! `/history`: the runs of each scenario, and how they went over time.

use std::{path::Path, sync::Arc};

use axum::{extract::State, response::Response};
use firedrill_history::{Entry, Filter, address, once_each, scenarios};
use minijinja::context;
use serde::Serialize;

use super::row::{colours, glyph};
use crate::{
    app::App,
    template::{part, value},
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Number of the newest runs that are counted.
const NEWEST: usize = 1_000;
/// Number of the newest runs of a scenario that are drawn.
const DRAWN: usize = 20;
/// Maximum number of scenarios on the page.
const SCENARIOS: usize = 100;

/// A run in the trend of a scenario.
#[derive(Debug, Serialize)]
struct Step {
    address: String,
    word: &'static str,
    colours: &'static str,
    glyph: &'static str,
    score: Option<u8>,
    /// The day on which the run started; empty if that is unknown.
    day: String,
}

/// A scenario, and how its runs went.
#[derive(Debug, Serialize)]
struct Row {
    scenario: String,
    address: String,
    runs: usize,
    held: usize,
    violated: usize,
    /// Number of runs that were unknown, refused or stopped.
    unknown: usize,
    /// The number of runs whose verdict differs from that of other runs of the same plan, in words.
    flaky: String,
    /// The trend of its last runs, as HTML.
    trend: String,
}

/// Returns a run as the trend shows it.
fn step(entry: &Entry, reports: &Path) -> Step {
    let word = entry.ended_as(entry.is_running(reports));
    Step {
        address: address(&entry.folder),
        word,
        colours: colours(word),
        glyph: glyph(word),
        score: entry.score,
        day: entry.started.as_deref().and_then(|at| at.get(..10)).unwrap_or_default().to_owned(),
    }
}

/// Renders the trend of a scenario's last runs as HTML. `runs` are sorted by time, the oldest first.
pub(super) fn trend(scenario: &str, runs: &[&Entry], reports: &Path) -> Result<String, Answer> {
    let drawn = runs.iter().skip(runs.len().saturating_sub(DRAWN));
    let steps: Vec<Step> = drawn.map(|entry| step(entry, reports)).collect();
    part("trend", context! { of => scenario, steps => value(&steps) }).map_err(Answer::outside)
}

/// `GET /history`
pub(crate) async fn history(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let newest = app.runs.page(&Filter { limit: Some(NEWEST), ..Filter::default() })?;
        let runs = once_each(&newest.entries);
        let trend_of = |name: &str| {
            let own = runs.iter().copied().filter(|run| run.scenario.as_deref() == Some(name));
            trend(name, &own.collect::<Vec<_>>(), app.runs.reports())
        };
        let counted = scenarios(&newest.entries);
        let rows: Vec<Row> = counted
            .iter()
            .take(SCENARIOS)
            .map(|scenario| {
                Ok(Row {
                    trend: trend_of(&scenario.scenario)?,
                    address: address(&scenario.scenario),
                    scenario: scenario.scenario.clone(),
                    runs: scenario.runs,
                    held: scenario.held,
                    violated: scenario.violated,
                    unknown: scenario.unknown + scenario.refused_or_stopped,
                    flaky: scenario.flaky.to_string(),
                })
            })
            .collect::<Result<_, Answer>>()?;
        let values = context! {
            rows => value(&rows),
            fewer => counted.len().saturating_sub(SCENARIOS),
            counted => newest.entries.len(),
            folders => newest.folders,
        };
        page("history", ("History", "history"), Some(&session), values)
    })
    .await
}
