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

/// Number of the newest runs that are counted, and of those of a scenario that are drawn.
const NEWEST: usize = 1_000;
const DRAWN: usize = 20;
/// Number of scenarios that are shown.
const SCENARIOS: usize = 100;

/// A run of a scenario, the oldest first.
#[derive(Debug, Serialize)]
struct Step {
    address: String,
    word: &'static str,
    colours: &'static str,
    glyph: &'static str,
    score: Option<u8>,
    day: String,
}

#[derive(Debug, Serialize)]
struct Row {
    scenario: String,
    address: String,
    runs: usize,
    held: usize,
    violated: usize,
    unknown: usize,
    flaky: String,
    /// Its last runs, as a part of a page.
    trend: String,
}

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

/// Returns a part of a page with the last of a scenario's runs, which are sorted by time.
pub(super) fn trend(scenario: &str, runs: &[&Entry], reports: &Path) -> Result<String, Answer> {
    let drawn = runs.iter().skip(runs.len().saturating_sub(DRAWN));
    let steps: Vec<Step> = drawn.map(|entry| step(entry, reports)).collect();
    part("trend", context! { of => scenario, steps => value(&steps) }).map_err(Answer::outside)
}

/// `GET /history`
pub(crate) async fn history(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let asked = app.runs.page(&Filter { limit: Some(NEWEST), ..Filter::default() })?;
        let runs = once_each(&asked.entries);
        let of = |name: &str| {
            let own = runs.iter().copied().filter(|run| run.scenario.as_deref() == Some(name));
            trend(name, &own.collect::<Vec<_>>(), app.runs.reports())
        };
        let all = scenarios(&asked.entries);
        let rows: Vec<Row> = all
            .iter()
            .take(SCENARIOS)
            .map(|one| {
                Ok(Row {
                    trend: of(&one.scenario)?,
                    address: address(&one.scenario),
                    scenario: one.scenario.clone(),
                    runs: one.runs,
                    held: one.held,
                    violated: one.violated,
                    unknown: one.unknown + one.refused_or_stopped,
                    flaky: one.flaky.to_string(),
                })
            })
            .collect::<Result<_, Answer>>()?;
        let values = context! {
            rows => value(&rows),
            fewer => all.len().saturating_sub(SCENARIOS),
            counted => asked.entries.len(),
            folders => asked.folders,
        };
        page("history", ("History", "history"), Some(&session), values)
    })
    .await
}
