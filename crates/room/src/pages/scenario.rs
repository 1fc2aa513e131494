//! `/scenarios/ID`: one scenario with its text, its parameters, its runs, and a preview of its plan for a fleet. Contacts no host.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{Entry, Filter, address, once_each};
use firedrill_wire::text::clean;
use http::StatusCode;
use minijinja::context;
use serde::Deserialize;

use super::{history, row::Row, scenarios::NEWEST};
use crate::{
    app::App,
    template::{part, value},
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The id of the game day or the fleet that the plan is made for; empty for the first one.
    #[serde(default)]
    with: String,
}

/// `GET /scenarios/{id}`
pub(crate) async fn scenario(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let with = asked.map(|Query(asked)| asked.with).ok().filter(|with| !with.is_empty());
    slow(&app, move |app| {
        let found = app.outside.inventory().scenario(&id, with.as_deref()).ok_or_else(|| {
            Answer::new(
                StatusCode::NOT_FOUND,
                format!(
                    "There is no scenario {} here, or nothing of that name to plan it for.",
                    clean(&id, 80)
                ),
                "The page Scenarios has all that are known.",
            )
        })?;
        let name = found.row.name.as_str();
        let filter = Filter {
            scenario: Some(name.to_owned()).filter(|name| !name.is_empty()),
            limit: Some(NEWEST),
            ..Filter::default()
        };
        let entries = if name.is_empty() { Vec::new() } else { app.runs.page(&filter)?.entries };
        let runs: Vec<&Entry> = once_each(&entries);
        let reports = app.runs.reports();
        let title = if name.is_empty() { &found.row.file } else { name };
        let preview = found.preview.as_ref().map(|plan| part("plan", context! { plan => value(plan) }));
        let plan = preview.transpose().map_err(Answer::outside)?;
        let values = context! {
            one => value(&*found),
            title,
            runs => runs.len(),
            many => entries.len() >= NEWEST,
            runs_address => address(name),
            last => value(&runs.last().map(|entry| Row::of(entry, reports))),
            trend => history::trend(title, &runs, reports)?,
            plan,
        };
        page("scenario", (title, "scenarios"), Some(&session), values)
    })
    .await
}
