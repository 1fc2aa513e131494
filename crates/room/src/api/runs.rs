//! `/api/v1/runs`: runs, how they ended, their reports, and what programs may do with them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    response::Response,
};
use firedrill_history::{Entry, Filter};
use firedrill_judge::notes::TEXT_MOST;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    bearer::Bearer,
    query::{Asked, Nothing, body},
};
use crate::{
    actor::Actor,
    app::App,
    pages::{halt::halt_as, note::write, report::report_file},
    role::Role,
    runs::{LOG, find},
    web::{
        answer::{Answer, typed},
        who::{blocking, may, slow},
    },
};

/// Number of runs in an answer to a request without the key `limit`.
const USUAL: usize = 50;
/// Maximum number of runs in an answer.
pub(super) const MOST: usize = 500;
/// The next step for a token whose role is not sufficient.
pub(super) const HELP: &str = "Ask an admin of this control room for a token with that role.";

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunAnswer {
    /// The name by which it is addressed: that of its folder.
    id: String,
    /// Its id in logs and on hosts; `null` if its log does not have it.
    run: Option<String>,
    /// The scenario.
    scenario: Option<String>,
    /// The environment of the plan.
    environment: Option<String>,
    /// The person who ran it.
    operator: Option<String>,
    /// Its start, RFC 3339 UTC.
    started: Option<String>,
    /// `running`, or how it ended: `held`, `violated`, `unknown`, `refused`, `stopped`, `unclean`, `records lost` or `damaged`.
    state: String,
    /// The verdict of a run that has ended.
    verdict: Option<String>,
    /// The exit code that `firedrill run` ended with.
    exit_code: Option<u8>,
    /// The score, 0 to 100, for trends; it decides nothing.
    score: Option<u8>,
    /// The objectives that were violated, as `attack: objective`.
    violated: Vec<String>,
    /// Number of attacks that were run.
    attacks_run: usize,
    /// Number of attacks in the plan.
    attacks_planned: usize,
    /// The reason why the folder cannot be judged.
    damage: Option<String>,
    /// The course of a run that goes on.
    course: Option<CourseAnswer>,
}

/// The course of a run that goes on, by its log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CourseAnswer {
    /// The phase in which the run is, in words.
    stage: String,
    /// Number of faults that are in force, or may be.
    in_force: usize,
    /// The hosts to which the run has lost the link.
    hosts_not_answering: Vec<String>,
}

/// The answer to a request for runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunsAnswer {
    /// The newest first.
    runs: Vec<RunAnswer>,
    /// Whether there are older ones.
    more: bool,
}

/// The keys of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListKeys {
    /// Only runs of this scenario.
    scenario: Option<String>,
    /// Number of runs, from 1 to 500.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<usize>,
    /// Number of the newest runs to skip.
    skip: Option<usize>,
}

/// A note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteBody {
    /// The text: 1 to 2,000 characters that are not all blank.
    #[schemars(length(min = 1, max = TEXT_MOST), regex(pattern = r"\S"))]
    text: String,
}

/// The answer to a request that did something.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DoneAnswer {
    /// The outcome: `note`; of a halt `ends`, `over` where the run had ended, or `claimed-ends-UID` and `claimed-over-UID` where the program of
    /// another user says so.
    done: String,
}

impl RunAnswer {
    /// Describes the run of an entry of the history.
    pub(super) fn of(app: &App, entry: Entry) -> Self {
        let running = entry.is_running(app.runs.reports());
        let course = if running { course(app, &entry) } else { None };
        let over = entry.ended && !running;
        Self {
            state: entry.ended_as(running).to_owned(),
            verdict: entry.verdict.filter(|_| over).map(|verdict| verdict.word().to_owned()),
            exit_code: entry.exit.filter(|_| over),
            score: entry.score.filter(|_| over),
            id: entry.folder,
            run: entry.run,
            scenario: entry.scenario,
            environment: entry.environment,
            operator: entry.operator,
            started: entry.started,
            violated: entry.violated,
            attacks_run: entry.ran,
            attacks_planned: entry.planned,
            damage: entry.damage,
            course,
        }
    }
}

/// Returns the course of a run that goes on; `None` if its log is gone or cannot be read.
fn course(app: &App, entry: &Entry) -> Option<CourseAnswer> {
    let log = find(app.runs.reports(), &entry.folder)?.join(LOG);
    // Each log is paired with a value that names its run. One log needs no name.
    let tell = |(): &(), course: &crate::runs::Course| CourseAnswer {
        stage: course.stage(),
        in_force: course.in_force().count(),
        hosts_not_answering: course.lost.iter().cloned().collect(),
    };
    app.courses.of(&[((), log)], tell).pop()
}

/// Returns the number of runs to list: the number that was asked for, or [`USUAL`]. A number out of its bounds is an error.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Answer> {
    let limit = asked.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) {
        return Ok(limit);
    }
    let text = format!("`limit` is {limit}, and has to be from 1 to {MOST}.");
    Err(Answer::new(StatusCode::BAD_REQUEST, text, "Ask for fewer, and for the next ones with `skip`."))
}

/// `GET /api/v1/runs`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Asked(keys): Asked<ListKeys>,
) -> Result<Json<RunsAnswer>, Answer> {
    let limit = limit(keys.limit)?;
    slow(&app, move |app| {
        let skip = keys.skip.unwrap_or(0);
        // One more than is shown: it tells whether there are older runs.
        let filter = Filter { scenario: keys.scenario, limit: Some(limit + 1), skip, ..Filter::default() };
        let mut entries = app.runs.page(&filter)?.entries;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let runs = entries.into_iter().map(|entry| RunAnswer::of(app, entry)).collect();
        Ok(Json(RunsAnswer { runs, more }))
    })
    .await
}

/// `GET /api/v1/runs/{id}`
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Path(name): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<RunAnswer>, Answer> {
    slow(&app, move |app| read(app, &name).map(Json)).await
}

/// Reads the present state of a run. The error is a 404 if there is no such run.
pub(super) fn read(app: &App, name: &str) -> Result<RunAnswer, Answer> {
    find(app.runs.reports(), name).ok_or_else(|| Answer::no_run(name))?;
    let entry = app.runs.with(|history| history.run(name))?.ok_or_else(|| Answer::no_run(name))?;
    Ok(RunAnswer::of(app, entry))
}

/// `GET /api/v1/runs/{id}/report`: `report.json` as it was written.
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Path(name): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let bytes = report_file(app, &name, "report.json")?;
        Ok(typed("application/json", bytes))
    })
    .await
}

/// `POST /api/v1/runs/{id}/halt`
pub(crate) async fn halt(
    State(app): State<Arc<App>>,
    Bearer(token): Bearer,
    Path(name): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<DoneAnswer>, Answer> {
    let actor = Actor::from(&token);
    may(&app, &actor, Role::Operator, ("halt", &name), HELP).await?;
    let done = halt_as(&app, actor, &name).await?;
    Ok(Json(DoneAnswer { done }))
}

/// `POST /api/v1/runs/{id}/notes`
pub(crate) async fn note(
    State(app): State<Arc<App>>,
    Bearer(token): Bearer,
    Path(name): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
    sent: Result<Json<NoteBody>, JsonRejection>,
) -> Result<Json<DoneAnswer>, Answer> {
    let actor = Actor::from(&token);
    may(&app, &actor, Role::Operator, ("note", &name), HELP).await?;
    let NoteBody { text } = body(sent, "{\"text\": \"…\"}")?;
    blocking(&app, move |app| write(app, &actor, &name, &text)).await?;
    Ok(Json(DoneAnswer { done: "note".to_owned() }))
}
