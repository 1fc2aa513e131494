//! `/people`: sessions, login links and tokens. An admin sees and ends all sessions; other people only those of their own name.

use std::{sync::Arc, time::Duration};

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use firedrill_history::minute;
use http::StatusCode;
use minijinja::context;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    clock::now_s,
    role::{Role, person},
    store::Session,
    template::value,
    tokens::rows as rows_of_tokens,
    web::{
        answer::{Answer, page, see},
        who::{Who, blocking, fields},
    },
};

/// A session, as the page shows it.
#[derive(Debug, Serialize)]
struct Row {
    id: i64,
    name: String,
    role: &'static str,
    began: String,
    /// The time since its last request, in words.
    idle: String,
    /// The header `User-Agent` of its browser.
    agent: String,
    /// True if it is the session of the request.
    own: bool,
}

/// Returns true if the person of a session may see and end another session.
fn may_manage(session: &Session, other: &Session) -> bool {
    session.role == Role::Admin || session.name == other.name
}

/// Returns the time since a session's last request in words. The store keeps the time of that request only to a minute.
fn idle(seconds: i64) -> String {
    let minutes = u64::try_from(seconds / 60).unwrap_or(0);
    if minutes < 2 {
        return "within two minutes".to_owned();
    }
    format!("{} ago", humantime::format_duration(Duration::from_secs(minutes * 60)))
}

/// `GET /people`
pub(crate) async fn people(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    blocking(&app, move |app| {
        let now = now_s();
        let visible = app.store.sessions(now)?.into_iter().filter(|other| may_manage(&session, other));
        let rows: Vec<Row> = visible
            .map(|other| Row {
                id: other.id,
                own: other.id == session.id,
                role: other.role.word(),
                began: minute(other.began_s),
                idle: idle(now - other.seen_s),
                name: other.name,
                agent: other.agent,
            })
            .collect();
        let is_admin = session.role == Role::Admin;
        let roles = Role::ALL.map(Role::word);
        let tokens = if is_admin { rows_of_tokens(&app.store)? } else { Vec::new() };
        let values =
            context! { rows => value(&rows), is_admin, roles => value(&roles), tokens => value(&tokens) };
        page("people", ("People", "people"), Some(&session), values)
    })
    .await
}

/// The form of a login link.
#[derive(Debug, Deserialize)]
pub(crate) struct Invited {
    name: String,
    role: String,
}

/// `POST /people/links`
pub(crate) async fn link(
    State(app): State<Arc<App>>,
    who: Who,
    form: Result<Form<Invited>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Admin, "link", "").await?;
    let Invited { name, role } = fields(form)?;
    let wrong = |text: String| {
        Answer::new(StatusCode::BAD_REQUEST, format!("No link was made: {text}."), "Go back, and change it.")
    };
    let name = person(&name).map_err(|error| wrong(error.to_string()))?;
    let role: Role = role.parse().map_err(wrong)?;
    blocking(&app, move |app| {
        // The audit log comes first: if it cannot be written, no link is made.
        app.record(&App::deed(&who.0, "link", &name, &format!("made, as {}", role.word())))?;
        let secret = app.store.make_link((&name, role), &who.0.name, now_s())?;
        let url = format!("{}/login?link={secret}", app.origin);
        page("link", ("A login link", "people"), Some(&who.0), context! { name, role => role.word(), url })
    })
    .await
}

/// `POST /people/sessions/{id}/end`
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Answer> {
    let Ok(id) = id.parse::<i64>() else { return Ok(see("/people")) };
    let found = blocking(&app, move |app| {
        Ok(app.store.sessions(now_s())?.into_iter().find(|session| session.id == id))
    })
    .await?;
    let Some(other) = found else { return Ok(see("/people")) };
    let on = format!("session {id} of {}", other.name);
    if !may_manage(&who.0, &other) {
        who.may(&app, Role::Admin, "end-session", &on).await?;
    }
    blocking(&app, move |app| {
        let outcome = if app.store.end(id)? { "ended" } else { "it had ended" };
        app.record(&App::deed(&who.0, "end-session", &on, outcome))?;
        Ok(see("/people"))
    })
    .await
}
