//! `/fleets`: the fleets that game days name, and the last answers of their hosts in numbers. Contacts no host.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use minijinja::context;
use serde::Serialize;

use super::{
    fleet::ago,
    scenarios::{TOLD_MOST, beginning},
};
use crate::{
    app::App,
    clock::now_s,
    inventory::FleetRow,
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Maximum number of fleets that are listed.
const ROWS: usize = 100;
/// Maximum number of roles, and of providers, that a row names.
const NAMED: usize = 12;

/// A fleet, as the page shows it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    fleet: &'a FleetRow,
    /// The time since its hosts were asked, in words; `None` if they never were.
    ago: Option<String>,
    providers: String,
    roles: String,
    /// The beginning of its problems.
    told: &'a str,
    /// Whether there are more problems.
    cut: bool,
}

/// Joins the first [`NAMED`] names, and counts the others.
fn first_names(names: &[String]) -> String {
    let shown = names.get(..NAMED).unwrap_or(names).join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `GET /fleets`
pub(crate) async fn fleets(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let found = app.outside.inventory().fleets();
        let now = now_s();
        let rows: Vec<Row<'_>> = found
            .all
            .iter()
            .take(ROWS)
            .map(|fleet| {
                let told = beginning(&fleet.told, TOLD_MOST);
                Row {
                    fleet,
                    ago: fleet.asked.as_ref().map(|asked| ago(now - asked.at_s)),
                    providers: first_names(&fleet.providers),
                    roles: first_names(&fleet.roles),
                    told,
                    cut: told.len() < fleet.told.trim_end().len(),
                }
            })
            .collect();
        let values = context! {
            rows => value(&rows),
            fewer => found.all.len().saturating_sub(ROWS),
            problems => found.problems,
        };
        page("fleets", ("Fleets", "fleets"), Some(&session), values)
    })
    .await
}
