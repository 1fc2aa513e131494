//! `junit.xml`: a suite for each attack, with a case for each objective. A violation is a failure, `unknown` is an error, the cases of an
//! attack that did not run are skipped. The steps between attacks are one more suite, and so are the verdict of the run and the final states of
//! the hosts.
//!
//! This module chooses the cases and their results; [`xml`] writes them.

pub mod xml;

use std::fmt::Write as _;

use firedrill_wire::api::HostState;

use self::xml::{Status, Suite, document};
use super::{
    input::Input,
    view::{measured, range},
};
use crate::{
    log::StepOutcome,
    score::{
        card::{AttackCard, ObjectiveCard, StepCard, Unit, phase_word, state_word},
        causes, format,
        metric_card::MetricCard,
    },
    verdict::Verdict,
};

/// Renders the file.
pub(super) fn render(input: &Input<'_>) -> Vec<u8> {
    let card = &input.card;
    let name = if card.name.is_empty() { "firedrill" } else { &card.name };
    let mut suites: Vec<Suite> = card.attacks.iter().map(|attack| suite(input, attack)).collect();
    suites.extend(steps(&card.steps));
    let mut run = Suite::new("run");
    let facts = &input.facts;
    run.properties = vec![
        ("run", card.run.clone().unwrap_or_default()),
        ("started", facts.wall.to_owned()),
        ("operator", facts.operator.to_owned()),
        ("firedrill", facts.version.to_owned()),
        ("plan", facts.plan.map(|plan| plan.digest()).unwrap_or_default()),
        ("environment", input.environment().unwrap_or_default().to_owned()),
        ("score", card.score.map(|score| score.to_string()).unwrap_or_default()),
    ];
    run.add("verdict", status(card.verdict, &card.story)).output = Some(card.why.join("\n"));
    for host in &card.hosts {
        let word = state_word(host.state).to_owned();
        let status = match host.state {
            HostState::Clean => Status::Success,
            HostState::Gone | HostState::Unproven => Status::Error(word),
            HostState::Dirty | HostState::Stuck => Status::Failure(word),
        };
        run.add(&format!("{} ended clean", host.host), status).output = Some(host.ours.join("\n"));
    }
    suites.push(run);
    document(name, card.end_us, &suites).into_bytes()
}

/// Returns the suite of the steps between attacks: a case for each step, and one more for each step that must be put back. `None` if there are
/// no steps.
fn steps(cards: &[StepCard]) -> Option<Suite> {
    let mut suite = Suite::new("steps");
    for card in cards {
        let result = match (card.verdict, card.outcome) {
            (Some(verdict), _) => status(verdict, &card.why),
            (None, Some(StepOutcome::Done)) => Status::Success,
            (None, _) => Status::Skipped(card.why.clone()),
        };
        let lines = card.program.as_ref().map(|end| end.lines.join("\n")).unwrap_or_default();
        suite.add(&card.name, result).output =
            Some(format!("{}: {}\n{lines}", card.kind, card.says).trim_end().to_owned());
        if let Some(back) = &card.back {
            let result = if back.is_back { Status::Success } else { Status::Error(back.why.clone()) };
            suite.add(&format!("{} was put back", card.name), result).output = Some(back.says.clone());
        }
    }
    (!cards.is_empty()).then_some(suite)
}

/// Returns the suite of an attack. If it was not judged, the cases of its planned objectives are skipped.
fn suite(input: &Input<'_>, attack: &AttackCard) -> Suite {
    let mut suite = Suite::new(&attack.name);
    if let (Some(first), Some(last)) = (attack.phases.first(), attack.phases.last()) {
        suite.took_us = Some(last.until_us.saturating_sub(first.from_us));
    }
    let Some(verdict) = attack.verdict else {
        let Some(plan) = input.facts.plan else { return suite };
        for name in plan.attacks.get(attack.index).into_iter().flat_map(|planned| &planned.judge) {
            let case =
                suite.add(name, Status::Skipped(format!("{}: {}", attack.word(), attack.why.join("; "))));
            let objective = plan.objectives.iter().find(|objective| objective.name == *name);
            let failed = objective.map(|objective| failures(attack, &objective.probe));
            case.output = failed.filter(|text| !text.is_empty());
        }
        return suite;
    };
    suite.properties = vec![("score", attack.score.map(|score| score.to_string()).unwrap_or_default())];
    for objective in &attack.objectives {
        let case = suite.add(&objective.name, status(objective.verdict, &objective.why));
        case.properties = properties(objective);
        let failed = match &objective.metric {
            Some(metric) => samples(metric),
            None => failures(attack, &objective.probe),
        };
        case.output = Some(
            format!("{}: {}\n{failed}", objective.goal, measured(&objective.measured)).trim_end().to_owned(),
        );
    }
    // An attack can have a worse verdict than each of its objectives, for example because of a guard. This verdict gets its own case.
    if attack.objectives.iter().all(|objective| objective.verdict < verdict) {
        suite.add("attack", status(verdict, &attack.why.join("; ")));
    }
    suite
}

/// Returns the query to a source with its number of samples, and a line for each gap.
fn samples(metric: &MetricCard) -> String {
    let mut text = format!("{}: {}, {} samples", metric.source, metric.asks, metric.samples);
    for gap in &metric.gaps {
        let (from, until) = (format::clock(gap.from_us), format::clock(gap.until_us));
        let _ = write!(text, "\nnot known from {from} to {until}: {}", gap.why);
    }
    text
}

/// Returns the figures of an objective, in words and as numbers without a unit. As numbers, shares are from 0 to 1, times are in
/// seconds, and numbers of a source are in the unit of its query. A figure that is not known is empty.
fn properties(objective: &ObjectiveCard) -> Vec<(&'static str, String)> {
    let figure = &objective.measured;
    let number = |value: Option<f64>| match (value, figure.unit) {
        (None, _) => String::new(),
        (Some(value), Unit::Share | Unit::Number) => value.to_string(),
        (Some(value), Unit::Latency | Unit::Time) => (value / 1e6).to_string(),
    };
    vec![
        ("verdict", objective.verdict.word().to_owned()),
        ("probe", objective.probe.clone()),
        ("goal", objective.goal.clone()),
        ("measured", measured(figure)),
        ("range", range(figure)),
        (if objective.metric.is_some() { "samples" } else { "requests" }, figure.samples.to_string()),
        ("source", objective.metric.as_ref().map(|metric| metric.source.clone()).unwrap_or_default()),
        ("value", number(figure.value)),
        ("low", number(figure.low)),
        ("high", number(figure.high)),
    ]
}

/// Returns the failed requests of a probe and their causes, a line for each phase and vantage.
fn failures(attack: &AttackCard, probe: &str) -> String {
    let mut text = String::new();
    for one in attack.causes.iter().filter(|one| one.probe == probe) {
        let _ = write!(text, "{}, from {}: {} bad", phase_word(one.phase), one.vantage, one.bad);
        if !one.causes.is_empty() {
            let _ = write!(text, " ({})", causes::text(&one.causes));
        }
        if one.slipped > 0 {
            let _ = write!(text, ", {} slipped", one.slipped);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns the result of a case by a verdict and its reason.
fn status(verdict: Verdict, why: &str) -> Status {
    match verdict {
        Verdict::Held => Status::Success,
        Verdict::Violated => Status::Failure(why.to_owned()),
        Verdict::Unknown => Status::Error(why.to_owned()),
    }
}
