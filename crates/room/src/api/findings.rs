//! `/api/v1/findings`: the findings of drills, as `firedrill findings` tells them, and what people write about them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use firedrill_history::{Finding, Severity, State as Standing};
use firedrill_judge::notes::TEXT_MOST;
use firedrill_wire::text::NAME_MOST;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    bearer::Bearer,
    query::{Asked, Nothing, body},
    runs::HELP,
};
use crate::{
    actor::Actor,
    app::App,
    pages::finding::{Change, add, change_as},
    role::Role,
    web::{
        answer::Answer,
        who::{blocking, may, slow},
    },
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
    /// The first run that showed it.
    opened_in: String,
    /// The time of the last run that showed it, RFC 3339 UTC.
    seen: String,
    /// The last run that showed it.
    seen_in: String,
    /// The time at which it was closed, RFC 3339 UTC; none while it is open.
    closed: Option<String>,
    /// The run that closed it.
    closed_in: Option<String>,
    /// The person who closed it.
    closed_by: Option<String>,
    /// Number of runs that showed it.
    runs: usize,
    /// The person or team that takes care of it; empty if nobody was named.
    owner: String,
    /// The ticket about it; empty if there is none.
    ticket: String,
    /// A note that a person wrote about it; may be empty.
    note: String,
    /// `low`, `medium`, `high` or `critical`; none if nobody says so.
    severity: Option<&'static str>,
    /// The drill that will show whether it is mended, as people say.
    follow_up: String,
    /// The person or the token that found it; empty if a run did.
    by: String,
    /// The words of that person.
    found: String,
}

/// Returns the schema of a severity.
fn severity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Severity::ALL.map(Severity::word) })
}

/// Removes defaults of `null`: a key may be left out, and `null` is refused.
fn without_null(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(keys) = property.as_object_mut().filter(|keys| keys.get("default") == Some(&Value::Null))
        {
            keys.remove("default");
        }
    }
}

/// A finding in a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = without_null)]
pub(crate) struct FindingBody {
    /// The text: 1 to 2,000 characters that are not all blank.
    #[schemars(length(min = 1, max = TEXT_MOST), regex(pattern = r"\S"))]
    text: String,
    /// The severity.
    #[serde(default, deserialize_with = "there")]
    #[schemars(schema_with = "severity")]
    severity: Option<Severity>,
    /// The person or team that sees to it.
    #[serde(default)]
    #[schemars(length(max = NAME_MOST))]
    owner: String,
}

/// A change of a finding. A key that is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = without_null)]
pub(crate) struct FindingChange {
    /// The severity.
    #[serde(default, deserialize_with = "there")]
    #[schemars(schema_with = "severity")]
    severity: Option<Severity>,
    /// The person or team that sees to it.
    #[serde(default, deserialize_with = "there")]
    #[schemars(length(max = NAME_MOST), extend("type" = "string"))]
    owner: Option<String>,
    /// The ticket in which it is worked on.
    #[serde(default, deserialize_with = "there")]
    #[schemars(length(max = NAME_MOST), extend("type" = "string"))]
    ticket: Option<String>,
    /// The drill that will show whether it is mended.
    #[serde(default, deserialize_with = "there")]
    #[schemars(length(max = NAME_MOST), extend("type" = "string"))]
    follow_up: Option<String>,
    /// Anything else.
    #[serde(default, deserialize_with = "there")]
    #[schemars(length(max = TEXT_MOST), extend("type" = "string"))]
    note: Option<String>,
    /// Whether it is closed. A finding of a run is closed by runs alone.
    #[serde(default, deserialize_with = "there")]
    #[schemars(extend("type" = "boolean"))]
    closed: Option<bool>,
}

/// Reads the value of a key that may be left out. `null` is an error, unless the type has it.
fn there<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
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
            opened_in: finding.opened_in,
            seen: finding.seen,
            seen_in: finding.seen_in,
            closed: finding.closed,
            closed_in: finding.closed_in,
            closed_by: finding.closed_by,
            runs: finding.runs,
            owner: finding.owner,
            ticket: finding.ticket,
            note: finding.note,
            severity: finding.severity.map(Severity::word),
            follow_up: finding.follow_up,
            by: finding.by,
            found: finding.found,
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

/// `POST /api/v1/runs/{id}/findings`
pub(crate) async fn write(
    State(app): State<Arc<App>>,
    Bearer(token): Bearer,
    Path(name): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
    sent: Result<Json<FindingBody>, JsonRejection>,
) -> Result<Json<FindingAnswer>, Answer> {
    let actor = Actor::from(&token);
    may(&app, &actor, Role::Operator, ("finding", &name), HELP).await?;
    let FindingBody { text, severity, owner } = body(sent, "{\"text\": \"…\"}")?;
    let found = blocking(&app, move |app| add(app, &actor, &name, &text, (severity, &owner))).await?;
    Ok(Json(found.into()))
}

/// `POST /api/v1/findings/{finding}`
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Bearer(token): Bearer,
    Path(id): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
    sent: Result<Json<FindingChange>, JsonRejection>,
) -> Result<Json<FindingAnswer>, Answer> {
    let actor = Actor::from(&token);
    may(&app, &actor, Role::Operator, ("finding", &id), HELP).await?;
    let FindingChange { severity, owner, ticket, follow_up, note, closed } =
        body(sent, "{\"owner\": \"…\"}")?;
    let change = Change { severity: severity.map(Some), owner, ticket, follow_up, note, closed };
    let found = blocking(&app, move |app| change_as(app, &actor, &id, change)).await?;
    Ok(Json(found.into()))
}
