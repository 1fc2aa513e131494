//! `/scenarios`: the scenarios that game days name and those in folders of scenarios, each with its problems and the result of its last run.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{Entry, Filter};
use minijinja::context;
use serde::Serialize;

use super::{paging::Paging, row::Row as RunRow};
use crate::{
    app::App,
    inventory::ScenarioRow,
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Number of scenarios on a page.
const ROWS: usize = 50;
/// The last run of a scenario is searched among this number of the newest runs.
pub(super) const NEWEST: usize = 1_000;
/// Maximum length of the problems of one file in a list, in bytes. The file's own page has all of them.
pub(super) const TOLD_MOST: usize = 1_500;

/// The part of the address behind `?`.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
}

/// A scenario, as the page shows it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    scenario: &'a ScenarioRow,
    /// The beginning of its problems.
    told: &'a str,
    /// Whether there are more problems.
    cut: bool,
    /// Its last run; `None` if there is none among the newest runs.
    last: Option<RunRow>,
}

/// Returns the beginning of a text: as many whole lines as fit into `most` bytes. If the first line is longer, it is cut.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let text = text.trim_end();
    if text.len() <= most {
        return text;
    }
    let start = &text[..text.floor_char_boundary(most)];
    start.rfind('\n').map_or(start, |end| &start[..end])
}

/// Returns the newest run of each scenario. `entries` are sorted, the newest first.
fn newest(entries: &[Entry]) -> HashMap<&str, &Entry> {
    let mut last: HashMap<&str, &Entry> = HashMap::new();
    for entry in entries {
        if let Some(name) = entry.scenario.as_deref() {
            last.entry(name).or_insert(entry);
        }
    }
    last
}

/// `GET /scenarios`
pub(crate) async fn scenarios(
    State(app): State<Arc<App>>,
    Who(session): Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let number = asked.map(|Query(asked)| asked.page).unwrap_or_default();
    let checks = Arc::clone(&app.checks).lock_owned().await;
    slow(&app, move |app| {
        // The lock moves into this thread. So it stays held if the client closes the connection, as the check goes on then.
        let checks = checks;
        let found = app.outside.inventory().scenarios();
        drop(checks);
        let runs = app.runs.page(&Filter { limit: Some(NEWEST), ..Filter::default() })?;
        let last = newest(&runs.entries);
        let wrong = found.all.iter().filter(|scenario| scenario.check.errors > 0).count();
        let paging = Paging::of(&number, ROWS, found.all.len());
        let rows: Vec<Row<'_>> = paging
            .part(&found.all)
            .iter()
            .map(|scenario| {
                let told = beginning(&scenario.check.told, TOLD_MOST);
                Row {
                    scenario,
                    told,
                    cut: told.len() < scenario.check.told.trim_end().len(),
                    last: last.get(scenario.name.as_str()).map(|entry| RunRow::of(entry, app.runs.reports())),
                }
            })
            .collect();
        let values = context! {
            rows => value(&rows),
            count => found.all.len(),
            wrong,
            newest => (runs.entries.len() >= NEWEST).then_some(NEWEST),
            paging => value(&paging),
            problems => found.problems,
        };
        page("scenarios", ("Scenarios", "scenarios"), Some(&session), values)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn problems_are_cut_between_lines_and_letters() {
        assert_eq!(beginning("all of it\n\n", 20), "all of it");
        assert_eq!(beginning("one line\nanother line\n", 12), "one line");
        assert_eq!(beginning("üüü", 3), "ü");
    }
}
