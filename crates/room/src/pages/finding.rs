//! `/findings/ID`: one finding, and what people write about it. `POST /runs/ID/findings`: a finding of a person. A finding of a run is neither opened
//! nor closed here.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Form,
    extract::{Path, Query, State, rejection::FormRejection, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{Finding, HistoryError, NewFinding, Severity, address};
use firedrill_judge::notes::{self, Note};
use firedrill_wire::text::{NAME_MOST, clean_lines, cleaned};
use http::StatusCode;
use minijinja::context;
use serde::Deserialize;

use super::{
    findings::row,
    note::{line, place},
};
use crate::{
    actor::Actor,
    app::App,
    role::Role,
    template::value,
    web::{
        answer::{Answer, page, see},
        who::{Who, blocking, fields, slow},
    },
};

/// Maximum length of the note that people write about a finding, in characters. It is the same as for the note about a run.
const NOTE_MOST: usize = notes::TEXT_MOST;

/// The form of a finding that a person writes.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    text: String,
    /// Empty if the person names none.
    #[serde(default)]
    severity: String,
    /// Empty if the person names nobody.
    #[serde(default)]
    owner: String,
}

/// A change of the texts that people write about a finding. A text that is not named stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) owner: Option<String>,
    /// `Some(None)` takes the severity away.
    pub(crate) severity: Option<Option<Severity>>,
    pub(crate) ticket: Option<String>,
    pub(crate) follow_up: Option<String>,
    pub(crate) note: Option<String>,
    /// True closes the finding, false opens it again. A finding of a run is closed by runs alone.
    pub(crate) closed: Option<bool>,
}

/// Reads a severity of a form; `None` for an empty text.
fn severity(text: &str) -> Result<Option<Severity>, Answer> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: String| {
        let why = format!("The severity was not understood: {error}.");
        Answer::new(StatusCode::BAD_REQUEST, why, "Go back, and choose another one.")
    })
}

/// `POST /runs/{id}/findings`
pub(crate) async fn write(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    form: Result<Form<Written>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "finding", &name).await?;
    let Written { text, severity: how_bad, owner } = fields(form)?;
    let severity = severity(&how_bad)?;
    let actor = Actor::from(&who.0);
    let done = format!("/runs/{}?done=finding", address(&name));
    blocking(&app, move |app| add(app, &actor, &name, &text, (severity, &owner))).await?;
    Ok(see(&done))
}

/// Writes down what somebody found in the run with this name, and returns the finding. A new finding is also written as a note of the run, which has
/// the time.
pub(crate) fn add(
    app: &App,
    actor: &Actor,
    name: &str,
    text: &str,
    (severity, owner): (Option<Severity>, &str),
) -> Result<Finding, Answer> {
    let folder = place(app, name)?;
    let line = line(text)?;
    fits("owner", owner, NAME_MOST)?;
    let owner = cleaned(owner.trim().to_owned(), NAME_MOST);
    let new = NewFinding { by: &actor.name, found: &line, severity, owner: &owner };
    // `with` returns `None` if the directory of runs does not exist.
    let added = app.runs.with(|history| history.add_finding(name, &new).map(Some));
    let outcome = match &added {
        Ok(Some((finding, true))) => format!("written: {}", finding.id),
        Ok(Some((finding, false))) => format!("was there: {}", finding.id),
        Ok(None) => "failed: there are no runs".to_owned(),
        Err(error) => format!("failed: {error}"),
    };
    let recorded = app.record(&App::deed(actor, "finding", name, &outcome));
    let (finding, is_new) = added.map_err(answer)?.ok_or_else(|| Answer::no_run(name))?;
    if is_new {
        notes::add(&folder, &Note::new(SystemTime::now(), &actor.name, &line).of_finding(&finding.id))?;
    }
    recorded?;
    Ok(finding)
}

/// Refuses a text that is longer than some number of characters: a part of it would say something else.
fn fits(name: &str, text: &str, most: usize) -> Result<(), Answer> {
    if text.chars().count() <= most {
        return Ok(());
    }
    let why = format!("The {name} is longer than {most} characters, so nothing was written.");
    Err(Answer::new(StatusCode::BAD_REQUEST, why, "Shorten it, or put a link into it."))
}

/// Returns the answer to an error of the history.
fn answer(error: HistoryError) -> Answer {
    match error {
        HistoryError::NoRun { folder, .. } => Answer::no_run(&folder),
        HistoryError::NoFinding { id, .. } => none(&id),
        other => Answer::from(other),
    }
}

/// Returns the answer for a finding that does not exist.
fn none(id: &str) -> Answer {
    Answer::new(
        StatusCode::NOT_FOUND,
        format!("There is no finding {}.", firedrill_wire::text::clean(id, NAME_MOST)),
        "The page Findings has those that there are.",
    )
}

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    done: String,
}

/// `GET /findings/{id}`
pub(crate) async fn finding(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let is_done = asked.is_ok_and(|Query(asked)| asked.done == "set");
    slow(&app, move |app| {
        let all = app.runs.with(|history| history.findings())?.all;
        let found = all.iter().find(|finding| finding.id == id).ok_or_else(|| none(&id))?;
        let values = context! {
            one => value(&row(app, found)),
            course => found.course(),
            by_person => found.is_by_person(),
            severities => Severity::ALL.map(Severity::word),
            is_done,
            note_most => NOTE_MOST,
            name_most => NAME_MOST,
            may_act => session.role >= Role::Operator,
        };
        page("finding", (&found.id, "findings"), Some(&session), values)
    })
    .await
}

/// The form of a change.
#[derive(Debug, Deserialize)]
pub(crate) struct Changed {
    owner: String,
    severity: String,
    ticket: String,
    follow_up: String,
    note: String,
    /// `close`, `open`, or nothing.
    #[serde(default)]
    state: String,
}

/// `POST /findings/{id}`
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    form: Result<Form<Changed>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "finding", &id).await?;
    let form = fields(form)?;
    let change = Change {
        severity: Some(severity(&form.severity)?),
        owner: Some(form.owner),
        ticket: Some(form.ticket),
        follow_up: Some(form.follow_up),
        note: Some(form.note),
        closed: match form.state.as_str() {
            "close" => Some(true),
            "open" => Some(false),
            _ => None,
        },
    };
    let actor = Actor::from(&who.0);
    let done = format!("/findings/{}?done=set", address(&id));
    blocking(&app, move |app| change_as(app, &actor, &id, change)).await?;
    Ok(see(&done))
}

/// Changes what people write about a finding, and returns the finding.
pub(crate) fn change_as(app: &App, actor: &Actor, id: &str, change: Change) -> Result<Finding, Answer> {
    for (name, text, most) in [
        ("owner", &change.owner, NAME_MOST),
        ("ticket", &change.ticket, NAME_MOST),
        ("follow-up", &change.follow_up, NAME_MOST),
        ("note", &change.note, NOTE_MOST),
    ] {
        fits(name, text.as_deref().unwrap_or_default(), most)?;
    }
    let now = SystemTime::now();
    let mut refused = None;
    let edited = app.runs.with(|history| {
        // Pages and programs have the whole id, so a part of an id is not accepted.
        if !history.findings()?.all.iter().any(|finding| finding.id == id) {
            return Ok(None);
        }
        let edited = history.edit_finding(id, |finding| {
            if let Some(closed) = change.closed {
                refused = finding.set_closed(closed, &actor.by, now).err();
            }
            if refused.is_none() {
                apply(finding, change);
            }
        });
        edited.map(Some)
    });
    let outcome = match (&edited, refused) {
        (_, Some(why)) => format!("refused: {why}"),
        (Ok(Some(finding)), None) => format!("written; {}", finding.state.word()),
        (Ok(None), None) => "failed: there is no such finding".to_owned(),
        (Err(error), None) => format!("failed: {error}"),
    };
    let recorded = app.record(&App::deed(actor, "finding", id, &outcome));
    let finding = edited.map_err(answer)?.ok_or_else(|| none(id))?;
    if let Some(why) = refused {
        let text = format!("Finding {} was not changed: {why}.", finding.id);
        return Err(Answer::new(
            StatusCode::CONFLICT,
            text,
            "Its owner, severity, ticket and note can be changed.",
        ));
    }
    recorded?;
    Ok(finding)
}

/// Writes the texts of a change into a finding.
fn apply(finding: &mut Finding, change: Change) {
    let words = [
        (&mut finding.owner, change.owner),
        (&mut finding.ticket, change.ticket),
        (&mut finding.follow_up, change.follow_up),
    ];
    for (place, word) in words {
        if let Some(word) = word {
            *place = cleaned(word.trim().to_owned(), NAME_MOST);
        }
    }
    if let Some(note) = change.note {
        finding.note = clean_lines(note.trim()).replace('\r', "");
    }
    if let Some(severity) = change.severity {
        finding.severity = severity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let mut finding: Finding = known();
        apply(&mut finding, Change { owner: Some(" payments ".to_owned()), ..Change::default() });
        assert_eq!((finding.owner.as_str(), finding.ticket.as_str()), ("payments", "OPS-7"));
        apply(&mut finding, Change { severity: Some(Some(Severity::High)), ..Change::default() });
        apply(&mut finding, Change { note: Some("a\r\nb".to_owned()), ..Change::default() });
        assert_eq!((finding.severity, finding.note.as_str()), (Some(Severity::High), "a\nb"));
        apply(&mut finding, Change { severity: Some(None), ..Change::default() });
        assert_eq!(finding.severity, None);
    }

    /// Returns an open finding of a run, with the ticket `OPS-7`.
    fn known() -> Finding {
        let text = serde_json::json!({
            "id": "f-1", "state": "open", "ticket": "OPS-7", "scenario": "friday", "attack": "a",
            "opened": "2026-11-20T14:02:00Z", "opened_in": "r", "seen": "2026-11-20T14:02:00Z", "seen_in": "r",
        });
        serde_json::from_value(text).expect("a finding")
    }

    #[test]
    fn a_severity_is_one_of_four_or_none() {
        assert_eq!(severity("").ok(), Some(None));
        assert_eq!(severity("critical").ok(), Some(Some(Severity::Critical)));
        assert!(severity("bad").is_err());
    }
}
