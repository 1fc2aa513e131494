//! `/runs`: all runs, page by page.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{Filter, address};
use minijinja::context;
use serde::Deserialize;

use super::row::Row;
use crate::{
    app::App,
    runs::Page,
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Number of runs on a page.
const ROWS: usize = 50;
/// The highest number of a page.
const PAGES: usize = 1_000_000;

/// The part of the address behind `?`. A part that is not understood is ignored.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    /// Only runs of this scenario; empty for all.
    #[serde(default)]
    scenario: String,
}

/// `GET /runs`
pub(crate) async fn runs(
    State(app): State<Arc<App>>,
    Who(session): Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let Asked { page: number, scenario } = asked.map(|Query(asked)| asked).unwrap_or_default();
    let number = number.parse::<usize>().unwrap_or(1).clamp(1, PAGES);
    let scenario = Some(scenario).filter(|name| !name.is_empty());
    slow(&app, move |app| {
        let reports = app.runs.reports();
        let skip = (number - 1) * ROWS;
        // One row more than a page shows: it tells whether there is a next page.
        let filter = Filter { scenario: scenario.clone(), limit: Some(ROWS + 1), skip, ..Filter::default() };
        let Page { mut entries, folders, damaged } = app.runs.page(&filter)?;
        let more = entries.len() > ROWS;
        entries.truncate(ROWS);
        let rows: Vec<Row> = entries.iter().map(|entry| Row::of(entry, reports)).collect();
        let of = scenario.as_deref().map(|name| format!("&scenario={}", address(name))).unwrap_or_default();
        let values = context! {
            rows => value(&rows), number, more, folders, damaged, scenario, of,
            from => skip + 1,
            until => skip + rows.len(),
            reports => reports.display().to_string(),
        };
        page("runs", ("Runs", "runs"), Some(&session), values)
    })
    .await
}
