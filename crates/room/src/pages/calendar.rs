//! `/calendar`: the next slots of game days with their skips, problems and conflicts, and the starts that have a record. `/calendar.ics`: the next slots
//! for calendar programs. Decisions about slots are in `decide.rs` and `begin.rs`.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::address;
use firedrill_wire::text::{NAME_MOST, clean};
use http::StatusCode;
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::begin::fresh_key;
use crate::{
    app::App,
    outside::{HeldSlot, Slot},
    role::Role,
    runs::find,
    store::Session,
    template::value,
    web::{
        answer::{Answer, page, typed},
        who::{Who, slow},
    },
};

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The word of an action that was done ([`said`]).
    #[serde(default)]
    done: String,
}

/// A slot, and the decisions that the person of the session may take about it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    slot: &'a Slot,
    /// The beginning of the addresses of its forms.
    address: String,
    /// The address of the game day's page.
    page: String,
    may_agree: bool,
    may_withdraw: bool,
    may_skip: bool,
}

/// A start that has a record.
#[derive(Serialize)]
struct Past<'a> {
    #[serde(flatten)]
    held: &'a HeldSlot,
    /// Its runs that have a page: the name of each as part of an address, and as people see it.
    pages: Vec<(String, Cow<'a, str>)>,
}

/// Returns a slot as the page shows it to the person of a session.
fn row<'a>(slot: &'a Slot, session: &Session) -> Row<'a> {
    let may_act = session.role >= Role::Operator && slot.held && slot.open;
    let has_agreed = slot.agreed.contains(&session.name);
    Row {
        slot,
        address: format!("/calendar/{}/{}", address(&slot.gameday), address(&slot.slot)),
        page: format!("/calendar/{}", address(&slot.gameday)),
        may_agree: may_act && !has_agreed && slot.asks.contains(&session.name),
        may_withdraw: may_act && has_agreed,
        may_skip: may_act,
    }
}

/// A game day that this person may start.
#[derive(Serialize)]
struct Startable<'a> {
    gameday: &'a str,
    /// The game day's name in an address.
    address: String,
    /// The key of the start that the form asks for.
    key: String,
}

/// Returns the game days that have slots, each once and with a new key for its form.
fn startable(slots: &[Slot]) -> Result<Vec<Startable<'_>>, Answer> {
    let names: BTreeSet<&str> = slots.iter().map(|slot| slot.gameday.as_str()).collect();
    let with_key = |gameday| Ok(Startable { gameday, address: address(gameday), key: fresh_key()? });
    names.into_iter().map(with_key).collect()
}

/// Returns a start as the page shows it. Runs whose folders are gone have no page.
fn past<'a>(app: &App, held: &'a HeldSlot) -> Past<'a> {
    let there = held.runs.iter().filter(|run| find(app.runs.reports(), run).is_some());
    Past { held, pages: there.map(|run| (address(run), clean(run, NAME_MOST))).collect() }
}

/// Returns the sentence about an action that was done, by the word behind `?done=`; `None` for an unknown word.
pub(super) fn said(done: &str) -> Option<&'static str> {
    match done {
        "agree" => Some("Your agreement is written."),
        "withdraw" => Some("Your agreement is taken back."),
        "skip" => Some("The slot is skipped. Nobody can start it."),
        "start" => Some(
            "The game day is asked to start. It is among the starts so far once its conditions are checked.",
        ),
        _ => None,
    }
}

/// `GET /calendar`
pub(crate) async fn calendar(
    State(app): State<Arc<App>>,
    Who(session): Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let done = asked.ok().and_then(|Query(asked)| said(&asked.done));
    slow(&app, move |app| {
        let calendar = app.newest.calendar(&*app.outside);
        let (held, wrong) = match app.outside.held() {
            Ok(held) => (held, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let slots: Vec<Row<'_>> = calendar.slots.iter().map(|slot| row(slot, &session)).collect();
        let past: Vec<Past<'_>> = held.iter().map(|held| past(app, held)).collect();
        let may_start = calendar.starts && session.role >= Role::Operator;
        let startable = if may_start { startable(&calendar.slots)? } else { Vec::new() };
        let values = context! {
            done,
            startable => value(&startable),
            starts => calendar.starts,
            slots => value(&slots),
            past => value(&past),
            wrong,
            problems => &calendar.problems,
            has_ics => calendar.ics.is_some(),
        };
        page("calendar", ("Calendar", "calendar"), Some(&session), values)
    })
    .await
}

/// `GET /calendar.ics`
pub(crate) async fn ics(State(app): State<Arc<App>>, Who(_): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let calendar = app.newest.calendar(&*app.outside);
        let text = calendar.ics.clone().ok_or_else(|| {
            let help = "The page Calendar says what it is.";
            Answer::new(
                StatusCode::CONFLICT,
                "There is no calendar, because something is wrong with a game day.",
                help,
            )
        })?;
        Ok(typed("text/calendar; charset=utf-8", text))
    })
    .await
}
