//! The state of a run as pages show it: its attacks and present phase, the faults in force, and the states in which hosts were left.

use firedrill_judge::{
    log::Outcome,
    score::{Scorecard, card::state_word, format},
    verdict::Exit,
};
use firedrill_wire::api::HostState;
use minijinja::{Value, context};
use serde::Serialize;

use super::row::{colours, glyph};
use crate::{runs::Course, template::value};

/// Maximum number of hosts, and of injections, that are shown.
const NAMED: usize = 100;

/// An attack, as pages show it.
#[derive(Debug, Serialize)]
struct AttackRow {
    name: String,
    /// Its verdict, or its present state, in a word.
    word: &'static str,
    /// Remarks about it; may be empty.
    told: String,
    colours: &'static str,
}

/// An injection that may have left something to undo, as pages show it.
#[derive(Debug, Serialize)]
struct OpenRow {
    host: String,
    kind: String,
    attack: String,
    word: &'static str,
    since: String,
}

/// The state in which a host was left, as pages show it.
#[derive(Debug, Serialize)]
struct HostRow {
    host: String,
    word: &'static str,
    /// The remains of the run on the host, or the reasons why its state is not proven; may be empty.
    remains: String,
}

/// Returns the attacks of the plan.
fn attacks(course: &Course) -> Vec<AttackRow> {
    let plan = course.plan.iter().flat_map(|plan| plan.attacks.iter().enumerate());
    let current = course.phase.map(|(attack, ..)| attack).or(course.asked.map(|waits| waits.attack));
    let paused = course.paused.as_ref().map(|pause| pause.attack);
    plan.map(|(index, attack)| {
        let (word, remark) = match course.ended.get(&index) {
            Some((Outcome::Ran, verdict)) => {
                (verdict.map_or("unknown", |verdict| verdict.word()), String::new())
            }
            Some((Outcome::Aborted(why), _)) => ("aborted", why.clone()),
            Some((Outcome::NotRun(why), _)) => ("not run", why.clone()),
            Some((Outcome::Spared(why), _)) => ("spared", why.clone()),
            None if paused == Some(index) => ("paused", course.stage()),
            None if current == Some(index) => ("running", course.stage()),
            None => ("to come", String::new()),
        };
        let colours = match word {
            "not run" | "spared" | "to come" | "paused" => "notrun",
            word => colours(word),
        };
        let remarks: Vec<_> =
            [remark].into_iter().filter(|text| !text.is_empty()).chain(course.approvals(index)).collect();
        AttackRow { name: attack.name.clone(), word, told: remarks.join("; "), colours }
    })
    .collect()
}

/// Returns the injections that may have left something to undo.
fn open(course: &Course) -> Vec<OpenRow> {
    let rows = course.open.values().take(NAMED).map(|open| OpenRow {
        host: open.host.clone(),
        kind: open.kind.clone(),
        attack: course.attack(open.attack).to_owned(),
        word: open.word(),
        since: format::clock(open.since_us),
    });
    rows.collect()
}

/// Returns the hosts whose final state is known.
fn hosts(course: &Course) -> Vec<HostRow> {
    let mut all: Vec<_> = course.hosts.iter().collect();
    // Hosts that a person has to look at come first.
    all.sort_by_key(|(_, end)| end.state == HostState::Clean);
    let rows = all.into_iter().take(NAMED).map(|(host, end)| HostRow {
        host: host.clone(),
        word: state_word(end.state),
        remains: end.ours.join("; "),
    });
    rows.collect()
}

/// Returns the result of a run in a word, the same as in the history.
fn word(card: &Scorecard) -> &'static str {
    Exit::of_code(card.exit).above().unwrap_or_else(|| card.verdict.word())
}

/// Returns the values of a run for templates. `card` is its score; without one the run goes on.
pub(crate) fn values(course: &Course, card: Option<&Scorecard>) -> Value {
    let word = card.map_or("running", word);
    let (story, why) = card.map(|card| (card.story.clone(), card.why.clone())).unwrap_or_default();
    let plan = course.plan.as_ref();
    let paused_us = course.paused.as_ref().map(|pause| pause.until_us);
    let step_us = course.step.as_ref().map(|step| step.until_us);
    // The phase before an attack that waits for people is over.
    let phase_us = course.phase.map(|(_, _, until_us)| until_us).filter(|_| course.asked.is_none());
    let asked_us = course.asked.and_then(|waits| waits.until_us);
    // If there are several, the first one in this order is the end of the present stage.
    let until_us = step_us.or(asked_us).or(phase_us).or(paused_us);
    context! {
        scenario => course.scenario(),
        hypothesis => plan.map(|plan| plan.hypothesis.clone()),
        environment => plan.and_then(|plan| plan.environment.clone()),
        operator => &course.operator,
        started => course.wall.get(..19).unwrap_or_default().replace('T', " "),
        id => course.run.as_ref().map(ToString::to_string),
        stage => course.stage(),
        outcome => course.outcome.as_ref().map(|outcome| outcome.reason().to_owned()),
        until => until_us.map(format::clock),
        // In seconds.
        left => until_us.map(|until_us| (until_us - course.at_us).max(0) / 1_000_000),
        pauses => paused_us.is_some(),
        waits => course.asked.is_some() && step_us.is_none(),
        wishes => course.wishes(),
        next => value(&course.next()),
        asks => value(&course.asks()),
        clock => format::clock(course.at_us),
        word, story, why,
        going_on => card.is_none(),
        colours => colours(word),
        glyph => glyph(word),
        attacks => value(&attacks(course)),
        open => value(&open(course)),
        open_count => course.open.len(),
        lost => course.lost.iter().cloned().collect::<Vec<_>>().join(", "),
        hosts => value(&hosts(course)),
        host_count => course.hosts.len(),
    }
}
