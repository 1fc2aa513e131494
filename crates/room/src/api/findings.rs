//! `/api/v1/findings`: the findings of drills, as `firedrill findings` tells them.

use std::sync::Arc;

use axum::{Json, extract::State};
use firedrill_history::{Finding, State as Standing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bearer::Bearer, query::Asked};
use crate::{
    app::App,
    web::{answer::Answer, who::slow},
};

/// The keys of a list of findings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindingKeys {
    /// Only findings of this scenario.
    scenario: Option<String>,
    /// Also findings that are closed or withdrawn.
    all: Option<bool>,
}

/// An objective that a drill violated.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FindingAnswer {
    /// The name of the finding. It never changes.
    id: String,
    /// `open`, `closed` or `withdrawn`.
    state: &'static str,
    /// The scenario.
    scenario: String,
    /// The environment of the plan.
    environment: Option<String>,
    /// The attack.
    attack: String,
    /// The objective; empty for the attack as a whole.
    objective: String,
    /// The goal that was missed by the last run that showed the finding, in words.
    goal: String,
    /// The figure that this run measured, in words.
    measured: String,
    /// The time of the first run that showed it, RFC 3339 UTC.
    opened: String,
    /// The last run that showed it.
    seen_in: String,
    /// Number of runs that showed it.
    runs: usize,
    /// The person or team that takes care of it; empty if nobody was named.
    owner: String,
    /// The ticket about it; empty if there is none.
    ticket: String,
    /// A note that a person wrote about it; may be empty.
    note: String,
}

/// The answer to a request for findings.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FindingsAnswer {
    /// In the order of `firedrill findings`.
    findings: Vec<FindingAnswer>,
    /// The reason why the file of findings was not kept up to date, if it was not.
    why_not_kept: Option<String>,
}

impl From<Finding> for FindingAnswer {
    fn from(finding: Finding) -> Self {
        Self {
            id: finding.id,
            state: finding.state.word(),
            scenario: finding.scenario,
            environment: finding.environment,
            attack: finding.attack,
            objective: finding.objective,
            goal: finding.goal,
            measured: finding.measured,
            opened: finding.opened,
            seen_in: finding.seen_in,
            runs: finding.runs,
            owner: finding.owner,
            ticket: finding.ticket,
            note: finding.note,
        }
    }
}

/// `GET /api/v1/findings`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Asked(keys): Asked<FindingKeys>,
) -> Result<Json<FindingsAnswer>, Answer> {
    slow(&app, move |app| {
        let found = app.runs.with(|history| history.findings())?;
        let wanted = |finding: &Finding| {
            (keys.all == Some(true) || finding.state == Standing::Open)
                && keys.scenario.as_ref().is_none_or(|name| *name == finding.scenario)
        };
        let findings = found.all.into_iter().filter(wanted).map(FindingAnswer::from).collect();
        Ok(Json(FindingsAnswer { findings, why_not_kept: found.why_not_kept }))
    })
    .await
}
