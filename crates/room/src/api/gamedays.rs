//! `/api/v1/gamedays`: the next slots of game days, the last starts, and starts by programs.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use firedrill_history::moment;
use firedrill_wire::text::clean;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    bearer::Bearer,
    query::{Asked, Nothing},
    runs::HELP,
};
use crate::{
    actor::Actor,
    app::App,
    outside::{HeldSlot, Slot},
    pages::begin::start_as,
    role::Role,
    store::Token,
    web::{
        answer::Answer,
        who::{blocking, may, slow},
    },
};

/// The header with the key of a start. Requests with the same key start a game day only once.
const KEY: &str = "idempotency-key";

/// The answer to a request for game days.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GamedaysAnswer {
    /// Whether this server starts game days at their time.
    starts_gamedays: bool,
    /// The next slots, in the order of their starts.
    slots: Vec<SlotAnswer>,
    /// The last starts, the newest first.
    starts: Vec<StartAnswer>,
    /// The problems of the files, in words; empty if there is none.
    problems: String,
}

/// A slot of a game day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SlotAnswer {
    /// The game day.
    gameday: String,
    /// The slot's civil time. Game day and civil time together name a slot.
    slot: String,
    /// Its start, RFC 3339 UTC.
    starts: String,
    /// Whether the slot will be held, as far as is known before its start.
    held: bool,
    /// The reason why the slot is skipped, or another remark about it; may be empty.
    told: String,
    /// The people whose agreement is asked for.
    asks: Vec<String>,
    /// The people of `asks` who have agreed.
    agreed: Vec<String>,
}

/// A start of a game day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StartAnswer {
    /// The game day.
    gameday: String,
    /// The civil time of the slot, or the name of a start by hand.
    slot: String,
    /// `starting`, `goes-on`, `ended`, `not-held`, `missed`, `died` or `unreadable`.
    state: &'static str,
    /// The kind of the reason, if the game day was not held.
    reason: Option<&'static str>,
    /// The result, or the reason, in words.
    told: String,
    /// The exit code of `firedrill gameday start`, if it has ended.
    exit_code: Option<u8>,
    /// The ids of its runs.
    runs: Vec<String>,
    /// Whether this request started it.
    started_now: bool,
}

impl From<&Slot> for SlotAnswer {
    fn from(slot: &Slot) -> Self {
        Self {
            gameday: slot.gameday.clone(),
            slot: slot.slot.clone(),
            starts: moment(slot.starts_s),
            held: slot.held,
            told: slot.told.clone(),
            asks: slot.asks.clone(),
            agreed: slot.agreed.clone(),
        }
    }
}

impl From<HeldSlot> for StartAnswer {
    fn from(held: HeldSlot) -> Self {
        Self {
            gameday: held.gameday,
            slot: held.slot,
            state: held.state,
            reason: held.reason,
            told: held.told,
            exit_code: held.exit,
            runs: held.runs,
            started_now: false,
        }
    }
}

/// `GET /api/v1/gamedays`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<GamedaysAnswer>, Answer> {
    slow(&app, |app| {
        let calendar = app.newest.calendar(&*app.outside);
        let held = app.outside.held().map_err(Answer::outside)?;
        Ok(Json(GamedaysAnswer {
            starts_gamedays: calendar.starts,
            slots: calendar.slots.iter().map(SlotAnswer::from).collect(),
            starts: held.into_iter().map(StartAnswer::from).collect(),
            problems: calendar.problems.clone(),
        }))
    })
    .await
}

/// `GET /api/v1/gamedays/{gameday}/{slot}`
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Path((gameday, slot)): Path<(String, String)>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<StartAnswer>, Answer> {
    slow(&app, move |app| {
        let record = app.outside.held_slot(&gameday, &slot).map_err(Answer::outside)?;
        let found = record.ok_or_else(|| {
            let text = format!("{} has no record of {}.", clean(&gameday, 80), clean(&slot, 80));
            let help = "A slot has a record from its start on. GET /api/v1/gamedays has the last ones.";
            Answer::new(StatusCode::NOT_FOUND, text, help)
        })?;
        Ok(Json(StartAnswer::from(found)))
    })
    .await
}

/// `POST /api/v1/gamedays/{gameday}/starts`
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    Bearer(token): Bearer,
    Path(gameday): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Json<StartAnswer>, Answer> {
    let actor = Actor::from(&token);
    may(&app, &actor, Role::Operator, ("start", &gameday), HELP).await?;
    let key = idempotency_key(&headers);
    // `blocking` and not `slow`: only a few requests may be `slow` at once, and a start must not be refused because of them.
    blocking(&app, move |app| {
        may_start(app, &token, &gameday)?;
        let key = key.inspect_err(|answer| {
            // The refusal stands, even if it cannot be recorded. `record` prints the error.
            let _recorded =
                app.record(&App::deed(&actor, "start", &gameday, &format!("refused: {}", answer.text)));
        })?;
        let (start, started_now) = start_as(app, &actor, &gameday, &key)?;
        Ok(Json(StartAnswer { started_now, ..StartAnswer::from(start) }))
    })
    .await
}

/// Returns the key of a start; an error if there is no such header, or more than one.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Answer> {
    let mut values = headers.get_all(KEY).iter();
    let text = match (values.next(), values.next()) {
        (Some(key), None) => match key.to_str() {
            Ok(key) => return Ok(key.to_owned()),
            Err(_) => "The header Idempotency-Key has signs that no key has; nothing was started.",
        },
        (None, _) => "The request has no header Idempotency-Key; nothing was started.",
        (Some(_), Some(_)) => "The request has more than one header Idempotency-Key; nothing was started.",
    };
    let help = "Send one that is new for each start that is meant, such as the number of a build.";
    Err(Answer::new(StatusCode::BAD_REQUEST, text, help))
}

/// Checks that a token may start a game day. A refusal is written into the audit log.
fn may_start(app: &App, token: &Token, gameday: &str) -> Result<(), Answer> {
    if token.starts.iter().any(|name| name == gameday) {
        return Ok(());
    }
    let text = format!(
        "The token {} does not name the game day {}, so it may not start it.",
        token.name,
        clean(gameday, 80)
    );
    // The refusal stands, even if it cannot be recorded. `record` prints the error.
    let _recorded = app.record(&App::deed(Actor::from(token), "start", gameday, &format!("refused: {text}")));
    let help =
        "`firedrill serve token new NAME --role operator --start GAMEDAY` on the server makes one that may.";
    Err(Answer::new(StatusCode::FORBIDDEN, text, help))
}
