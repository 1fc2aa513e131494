//! `/findings`: the objectives that drills violated and that no later drill has shown to hold.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{Finding, Findings, Severity, State as Standing, address};
use minijinja::context;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    runs::find,
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Maximum number of findings on the page.
const MOST: usize = 200;

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// Any text but the empty one asks for closed findings, too.
    #[serde(default)]
    all: String,
}

/// A finding, as pages show it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: String,
    /// The finding, in words.
    what: String,
    state: &'static str,
    scenario: String,
    environment: String,
    measured: String,
    goal: String,
    /// The day on which it was opened.
    since: String,
    /// Number of runs that showed it.
    runs: usize,
    /// The last run that showed it.
    seen_in: String,
    /// The name of that run in an address; `None` if the run has no page.
    page: Option<String>,
    owner: String,
    ticket: String,
    note: String,
    /// Empty if nobody named one.
    severity: &'static str,
    follow_up: String,
    /// The person who found it; empty if a run did.
    by: String,
}

/// Returns a finding as pages show it.
pub(super) fn row(app: &App, finding: &Finding) -> Row {
    let page = find(app.runs.reports(), &finding.seen_in).map(|_| address(&finding.seen_in));
    Row {
        id: finding.id.clone(),
        what: finding.what(),
        state: finding.state.word(),
        scenario: finding.scenario.clone(),
        environment: finding.environment.clone().unwrap_or_default(),
        measured: finding.measured.clone(),
        goal: finding.goal.clone(),
        since: finding.opened.get(..10).unwrap_or(&finding.opened).to_owned(),
        runs: finding.runs,
        seen_in: finding.seen_in.clone(),
        page,
        owner: finding.owner.clone(),
        ticket: finding.ticket.clone(),
        note: finding.note.clone(),
        severity: finding.severity.map_or("", Severity::word),
        follow_up: finding.follow_up.clone(),
        by: finding.by.clone(),
    }
}

/// `GET /findings`
pub(crate) async fn findings(
    State(app): State<Arc<App>>,
    Who(session): Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let wants_all = asked.is_ok_and(|Query(asked)| !asked.all.is_empty());
    slow(&app, move |app| {
        let Findings { all, why_not_kept } = app.runs.with(|history| history.findings())?;
        let open = all.iter().filter(|finding| finding.state == Standing::Open).count();
        let shown: Vec<&Finding> =
            all.iter().filter(|finding| wants_all || finding.state == Standing::Open).collect();
        let rows: Vec<Row> = shown.iter().take(MOST).map(|finding| row(app, finding)).collect();
        let values = context! {
            rows => value(&rows),
            fewer => shown.len().saturating_sub(MOST),
            open,
            total => all.len(),
            wants_all,
            why_not_kept,
        };
        page("findings", ("Findings", "findings"), Some(&session), values)
    })
    .await
}
