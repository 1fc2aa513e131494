//! Describes the log's records as rows of a table.

use firedrill_wire::journal::What;
use serde::Serialize;

use super::super::input::Input;
use crate::{
    log::{Event, StepOutcome},
    notes::Note,
    score::{
        card::{phase_word, state_word},
        format,
    },
};

/// A row: an event or a note.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    /// The time on the run's clock, formatted.
    pub(crate) at: String,
    /// The same time in milliseconds.
    pub(crate) at_ms: i64,
    /// The host, the person or the part of Firedrill that it is from.
    pub(crate) who: String,
    pub(crate) what: String,
}

/// Returns the rows of all events and notes. Events keep the order of the log. A note comes after the last event that is not later.
pub(super) fn events(input: &Input<'_>) -> Vec<EventView> {
    let mut all: Vec<EventView> = input.log.records.iter().filter_map(event_view).collect();
    for (mut note, of) in notes(input).into_iter().zip(&input.notes) {
        if of.finding.is_none() {
            note.what = format!("note: {}", note.what);
        }
        let after = all.iter().rposition(|event| event.at_ms <= note.at_ms).map_or(0, |last| last + 1);
        all.insert(after, note);
    }
    all
}

/// Returns the notes of people as rows. A note whose time cannot be read gets the time of the end of the run.
pub(super) fn notes(input: &Input<'_>) -> Vec<EventView> {
    let row = |note: &Note| {
        let at = note.at_us(input.started()).unwrap_or(input.facts.last_us);
        EventView { at: format::clock(at), at_ms: at / 1000, who: note.by.clone(), what: note.told() }
    };
    input.notes.iter().map(row).collect()
}

/// Returns the row of an event; `None` for measurements and checks, which are shown elsewhere.
fn event_view(record: &crate::log::Record) -> Option<EventView> {
    let row = |at: i64, who: &str, what: String| {
        Some(EventView { at: format::clock(at), at_ms: at / 1000, who: who.to_owned(), what })
    };
    let at = record.at_us;
    match &record.event {
        Event::Bin { .. }
        | Event::Bins { .. }
        | Event::Clock { .. }
        | Event::Prepared { .. }
        | Event::Sampled { .. }
        | Event::AlertSeen { .. }
        | Event::HostLog(_)
        | Event::WritesRead(_)
        | Event::Exchanged { .. } => None,
        Event::RunStarted { operator, .. } => row(at, "coordinator", format!("run started by {operator}")),
        Event::Phase { attack, phase, .. } => {
            row(at, "coordinator", format!("attack {}: {}", attack + 1, phase_word(*phase)))
        }
        Event::Armed { host, kind, injection, .. } => row(at, host, format!("armed {kind} ({injection})")),
        Event::Agent { host, happened_us, what } => match &what.what {
            What::Looked { .. } => None,
            What::AgentStarted { version, .. } => row(*happened_us, host, format!("agent {version} started")),
            What::Changed { injection, to, reason, detail, foreign, .. } => {
                let mut text = format!("{injection}: {}", json_word(to));
                if let Some(reason) = reason {
                    text.push_str(&format!(" ({})", json_word(reason)));
                }
                for more in std::iter::once(detail).chain(foreign).filter(|more| !more.is_empty()) {
                    text.push_str(&format!("; {more}"));
                }
                row(*happened_us, host, text)
            }
            What::UndoRetry { injection, attempt, error, .. } => {
                row(*happened_us, host, format!("{injection}: attempt {attempt} to undo it failed: {error}"))
            }
            What::LeaseExpired { .. } => row(*happened_us, host, "the lease ran out".to_owned()),
            What::RunUndone { run, by } => row(*happened_us, host, format!("{by} undid run {run}")),
            What::Distrusted { name, serial, why, .. } => row(
                *happened_us,
                host,
                format!("the certificate {serial} of {name} is not trusted any more: {why}"),
            ),
            What::Halted { by } => row(*happened_us, host, format!("halted by {by}")),
            What::Unknown { text } => row(*happened_us, host, format!("not known: {text}")),
            What::Released { by } => row(*happened_us, host, format!("halt released by {by}")),
        },
        Event::LinkLost { host, why } => row(at, host, format!("link lost: {why}")),
        Event::LinkBack { host, rebooted } => {
            row(at, host, if *rebooted { "link back, after a reboot" } else { "link back" }.to_owned())
        }
        Event::ApprovalAsked { attack, people } => {
            row(at, "coordinator", format!("attack {}: asked for {people} approvals", attack + 1))
        }
        Event::ApprovalGiven { attack, by, yes, means, .. } => {
            let word = if *yes { "approved" } else { "not approved" };
            let means = means.map_or_else(String::new, |means| format!(" by {means}"));
            row(at, by, format!("attack {}: {word}{means}", attack + 1))
        }
        Event::PauseAsked { attack, by, longest } => {
            row(at, by, format!("asked for a pause before attack {}, for at most {longest}", attack + 1))
        }
        Event::Paused { attack, by, until, .. } => row(
            at,
            "coordinator",
            format!("paused by {by} before attack {}, at most until {until}", attack + 1),
        ),
        Event::Resumed { attack, by } => {
            row(at, by, format!("lets the run go on with attack {}, or wants no pause before it", attack + 1))
        }
        Event::SkipAsked { attack, by } => row(at, by, format!("asked to skip attack {}", attack + 1)),
        Event::StepBegan { step, until, .. } => {
            row(at, "coordinator", format!("step {} began, at most until {until}", step + 1))
        }
        Event::StepEnded { step, outcome, by, why, .. } => row(
            at,
            by.as_deref().unwrap_or("coordinator"),
            ended(&format!("step {}", step + 1), *outcome, why),
        ),
        Event::PutBackAsked { step, until, .. } => {
            let text = format!("asked a person to put back step {}, at most until {until}", step + 1);
            row(at, "coordinator", text)
        }
        Event::PutBackEnded { step, outcome, by, why } => {
            let what = format!("putting back step {}", step + 1);
            row(at, by.as_deref().unwrap_or("coordinator"), ended(&what, *outcome, why))
        }
        Event::LeaderAsked(asked) => row(at, "coordinator", asked.words()),
        Event::GuardTripped { why, .. } => row(at, "guard", why.clone()),
        Event::Gap { from_us, to_us } => row(
            at,
            "coordinator",
            format!("was not running for {}", format::time(to_us.saturating_sub(*from_us))),
        ),
        Event::AttackEnded { attack, outcome, .. } => {
            let how = match outcome {
                crate::log::Outcome::Ran => "ended".to_owned(),
                crate::log::Outcome::Aborted(why) => format!("aborted: {why}"),
                crate::log::Outcome::NotRun(why) => format!("not run: {why}"),
                crate::log::Outcome::Spared(why) => format!("spared: {why}"),
            };
            row(at, "coordinator", format!("attack {} {how}", attack + 1))
        }
        Event::HostEnded { host, end } => row(at, host, format!("ended {}", state_word(end.state))),
        Event::Note { text } => row(at, "note", text.clone()),
        Event::Unknown { text, .. } => row(at, "not known", text.clone()),
        Event::RunEnded { .. } => row(at, "coordinator", "run ended".to_owned()),
    }
}

/// Describes the end of an action of a person or a program, with its reason if there is one.
fn ended(what: &str, outcome: StepOutcome, why: &str) -> String {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{what}: {}{why}", outcome.word())
}

/// Returns the words for a value that the log has as JSON: `hold-over` for a plain word, `asked by bob` or `guard: users` for a word with
/// fields.
fn json_word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(serde_json::Value::Object(map)) => map
            .into_iter()
            .next()
            .map(|(word, inner)| {
                let text = |key| inner.get(key).and_then(serde_json::Value::as_str);
                match text("name") {
                    Some(name) => format!("{word}: {name}"),
                    None => format!("{word} by {}", text("by").unwrap_or_default()),
                }
            })
            .unwrap_or_default(),
        _ => String::new(),
    }
}
