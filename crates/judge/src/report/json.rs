//! `report.json`: all results, for programs. Readers ignore fields that they do not know.

use serde::Serialize;

use super::{error::ReportError, found::Found, input::Input, judged::Judged};
use crate::{notes::Note, score::Scorecard};

/// The version of the format that this build writes.
const SCHEMA: u32 = 1;

/// The whole file.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    started: &'a str,
    operator: &'a str,
    firedrill: &'a str,
    attempt: u32,
    plan: Option<PlanRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judged: Option<&'a Judged>,
    #[serde(skip_serializing_if = "<[Judged]>::is_empty")]
    previous: &'a [Judged],
    scorecard: &'a Scorecard,
    /// Defects of the log and of the notes.
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "<[Found]>::is_empty")]
    findings: &'a [Found],
    /// The notes of people, in the order of time.
    #[serde(skip_serializing_if = "<[Note]>::is_empty")]
    notes: &'a [Note],
}

/// The plan of the run.
#[derive(Serialize)]
struct PlanRef<'a> {
    digest: String,
    file: &'a str,
    environment: Option<&'a str>,
    params: &'a std::collections::BTreeMap<String, String>,
    meta: &'a std::collections::BTreeMap<String, String>,
    /// The draw, if a game day drew the attacks at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    drawn: Option<DrawnRef<'a>>,
}

/// The random draw of a run's attacks.
#[derive(Serialize)]
struct DrawnRef<'a> {
    seed: u64,
    /// Number of attacks from which it was drawn.
    of: usize,
    /// The file of the game day.
    gameday: &'a str,
}

/// Renders the file.
pub(super) fn render(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let facts = &input.facts;
    let report = Report {
        schema: SCHEMA,
        started: facts.wall,
        operator: facts.operator,
        firedrill: facts.version,
        attempt: facts.attempt,
        plan: facts.plan.map(|plan| PlanRef {
            digest: plan.digest(),
            file: &plan.file,
            environment: plan.environment.as_deref(),
            params: &plan.params,
            meta: &plan.meta,
            drawn: plan.drawn.as_ref().map(|drawn| DrawnRef {
                seed: plan.seed,
                of: drawn.of,
                gameday: &drawn.gameday,
            }),
        }),
        judged: input.judged.as_ref().map(|(now, _)| now),
        previous: input.judged.as_ref().map_or(&[], |(_, before)| before),
        scorecard: &input.card,
        warnings: input.warnings(),
        findings: &input.findings,
        notes: &input.notes,
    };
    let mut bytes = serde_json::to_vec_pretty(&report)?;
    bytes.push(b'\n');
    Ok(bytes)
}
