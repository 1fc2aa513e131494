//! `POST /calendar/GAMEDAY/start`: a person starts a game day outside of its schedule. The form contains the key of the start, so sending it twice starts the
//! game day once.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use firedrill_history::moment;
use firedrill_wire::text::clean;
use http::StatusCode;
use serde::Deserialize;

use crate::{
    actor::Actor,
    app::App,
    clock::now_s,
    error::RoomError,
    outside::{HeldSlot, NotStarted},
    role::Role,
    secret::{fresh, sha256},
    web::{
        answer::{Answer, see},
        who::{Who, blocking, fields},
    },
};

/// Number of random hexadecimal digits of a key.
const DIGITS: usize = 8;

/// The form of a start.
#[derive(Debug, Deserialize)]
pub(crate) struct StartForm {
    /// The key of the start.
    key: String,
}

/// Returns a key for a form: the time, which people see in the name of the start, and random digits.
pub(super) fn fresh_key() -> Result<String, RoomError> {
    let random = sha256(fresh()?.as_bytes());
    Ok(format!("{}-{}", moment(now_s()), &random[..DIGITS]))
}

/// `POST /calendar/{gameday}/start`
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    who: Who,
    Path(gameday): Path<String>,
    form: Result<Form<StartForm>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "start", &gameday).await?;
    let StartForm { key } = fields(form)?;
    let actor = Actor::from(&who.0);
    blocking(&app, move |app| start_as(app, &actor, &gameday, &key)).await?;
    Ok(see("/calendar?done=start"))
}

/// Starts a game day for an actor whose right to do so was checked. The request is written into the audit log before the start, and the outcome
/// afterwards. Returns the start, and whether this call began it.
pub(crate) fn start_as(
    app: &App,
    actor: &Actor,
    gameday: &str,
    key: &str,
) -> Result<(HeldSlot, bool), Answer> {
    let record = |outcome: &str| app.record(&App::deed(actor, "start", gameday, outcome));
    let shown_key = clean(key, 80);
    record(&format!("asked for, with the key {shown_key}"))?;
    let started = app.outside.start(gameday, key).map_err(not_started);
    app.newest.forget();
    record(&match &started {
        Ok((_, true)) => format!("started, with the key {shown_key}"),
        Ok((_, false)) => format!("not started again: the key {shown_key} has a start"),
        Err(answer) => format!("refused: {}", answer.text),
    })?;
    started
}

/// Returns the answer to a request whose game day was not started.
fn not_started(reason: NotStarted) -> Answer {
    match reason {
        NotStarted::Off => Answer::new(
            StatusCode::CONFLICT,
            "This control room starts no game days; nothing was started.",
            "Start it with --start-gamedays and a certificate (docs/serve.md).",
        ),
        NotStarted::Key(why) => Answer::new(
            StatusCode::BAD_REQUEST,
            format!("The key of the start is wrong: {why}."),
            "Take another key.",
        ),
        NotStarted::Busy(other) => Answer::new(
            StatusCode::CONFLICT,
            format!("The game day is started already, as {}; nothing was started.", clean(&other, 80)),
            "Wait for its end: GET /api/v1/gamedays/GAMEDAY/START tells it.",
        ),
        NotStarted::Unknown(why) => Answer::new(
            StatusCode::NOT_FOUND,
            format!("Nothing was started: {why}."),
            "The page Calendar, and GET /api/v1/gamedays, have the game days and what is wrong with their files.",
        ),
        NotStarted::Failed(why) => Answer::outside(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_a_key_of_its_own() {
        let keys = [fresh_key().unwrap(), fresh_key().unwrap()];
        assert_ne!(keys[0], keys[1]);
        // The characters and the length that are allowed for the key of a start.
        for key in keys {
            assert!(
                key.len() <= 40
                    && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:.".contains(&byte)),
                "{key}"
            );
        }
    }
}
