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

/// The header that has the key of a start.
const KEY: &str = "idempotency-key";

/// Game days.
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
    /// Its civil time, which with the game day names it.
    slot: String,
    /// Its start, RFC 3339 UTC.
    starts: String,
    /// Whether it is held, as far as is known before.
    held: bool,
    /// The reason why it is skipped, or what else there is to know.
    told: String,
    /// The people whose agreement is asked for.
    asks: Vec<String>,
    /// Those of them who have agreed.
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
    /// The kind of the reason, if it was not held.
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
    fn from(of: &Slot) -> Self {
        Self {
            gameday: of.gameday.clone(),
            slot: of.slot.clone(),
            starts: moment(of.starts_s),
            held: of.held,
            told: of.told.clone(),
            asks: of.asks.clone(),
            agreed: of.agreed.clone(),
        }
    }
}

impl From<HeldSlot> for StartAnswer {
    fn from(of: HeldSlot) -> Self {
        Self {
            gameday: of.gameday,
            slot: of.slot,
            state: of.state,
            reason: of.reason,
            told: of.told,
            exit_code: of.exit,
            runs: of.runs,
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
        let found = app.outside.held_slot(&gameday, &slot).map_err(Answer::outside)?;
        let found = found.ok_or_else(|| {
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
    let key = the_key(&headers);
    // Not `slow`: a start is no page, and has to find a thread.
    blocking(&app, move |app| {
        may_start(app, &token, &gameday)?;
        let key = key.inspect_err(|answer| {
            let _told =
                app.record(&App::deed(&actor, "start", &gameday, &format!("refused: {}", answer.text)));
        })?;
        let (start, started_now) = start_as(app, &actor, &gameday, &key)?;
        Ok(Json(StartAnswer { started_now, ..StartAnswer::from(start) }))
    })
    .await
}

/// Returns the key of a start.
fn the_key(headers: &HeaderMap) -> Result<String, Answer> {
    let mut all = headers.get_all(KEY).iter();
    let text = match (all.next(), all.next()) {
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

/// Whether a token names a game day that it may start. A refusal is written into the audit log.
fn may_start(app: &App, token: &Token, gameday: &str) -> Result<(), Answer> {
    if token.starts.iter().any(|name| name == gameday) {
        return Ok(());
    }
    let text = format!(
        "The token {} does not name the game day {}, so it may not start it.",
        token.name,
        clean(gameday, 80)
    );
    let _told = app.record(&App::deed(Actor::from(token), "start", gameday, &format!("refused: {text}")));
    let help =
        "`firedrill serve token new NAME --role operator --start GAMEDAY` on the server makes one that may.";
    Err(Answer::new(StatusCode::FORBIDDEN, text, help))
}
