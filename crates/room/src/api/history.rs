//! `/api/v1/history`: runs as `firedrill history --json` prints them.

use std::sync::Arc;

use axum::{Json, extract::State};
use firedrill_history::{Filter, Listing, Shown};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    bearer::Bearer,
    query::Asked,
    runs::{MOST, limit},
};
use crate::{
    app::App,
    web::{answer::Answer, who::slow},
};

/// The keys of the history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryKeys {
    /// Only runs of this scenario.
    scenario: Option<String>,
    /// Only runs with this verdict.
    verdict: Option<Wanted>,
    /// Only runs that started then or later, in seconds since 1970.
    since_s: Option<i64>,
    /// Number of runs, from 1 to 500.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<usize>,
    /// Number of the newest runs to skip.
    skip: Option<usize>,
}

/// A verdict; `damaged` means a run that cannot be judged.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Held,
    Violated,
    Unknown,
    Damaged,
}

impl From<Wanted> for Shown {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Held => Self::Held,
            Wanted::Violated => Self::Violated,
            Wanted::Unknown => Self::Unknown,
            Wanted::Damaged => Self::Damaged,
        }
    }
}

/// `GET /api/v1/history`
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Asked(keys): Asked<HistoryKeys>,
) -> Result<Json<Listing>, Answer> {
    let filter = Filter {
        limit: Some(limit(keys.limit)?),
        skip: keys.skip.unwrap_or(0),
        scenario: keys.scenario,
        shown: keys.verdict.map(Shown::from),
        since_s: keys.since_s,
    };
    slow(&app, move |app| {
        // The second value says why findings could not be read. `open_findings` is `null` then, which tells the client enough.
        let (listing, _) = app.runs.with(|history| Listing::of(history, &filter))?;
        Ok(Json(listing))
    })
    .await
}
