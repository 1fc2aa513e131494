//! `/`: the runs that go on, and the newest runs.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use firedrill_history::{Entry, Filter, address};
use minijinja::context;
use serde::Serialize;

use super::row::Row;
use crate::{
    app::App,
    role::Role,
    runs::{Course, Page},
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Number of the newest runs on the page.
const LAST: usize = 10;

/// A run that goes on.
#[derive(Debug, Serialize)]
struct Now {
    folder: String,
    address: String,
    scenario: String,
    operator: String,
    stage: String,
    in_force: usize,
}

/// Returns a run that goes on, as the page shows it.
fn now(entry: &Entry, course: &Course) -> Now {
    Now {
        folder: entry.folder.clone(),
        address: address(&entry.folder),
        scenario: course.scenario().to_owned(),
        operator: course.operator.clone(),
        stage: course.stage(),
        in_force: course.in_force().count(),
    }
}

/// `GET /`
pub(crate) async fn home(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let reports = app.runs.reports();
        let going_on = app.courses.of(&app.runs.going_on()?, now);
        let Page { entries, folders, .. } =
            app.runs.page(&Filter { limit: Some(LAST), ..Filter::default() })?;
        let rows: Vec<Row> = entries.iter().map(|entry| Row::of(entry, reports)).collect();
        let values = context! {
            now => value(&going_on),
            rows => value(&rows),
            folders,
            reports => reports.display().to_string(),
            may_halt => session.role >= Role::Operator,
        };
        page("home", ("Now", "now"), Some(&session), values)
    })
    .await
}
