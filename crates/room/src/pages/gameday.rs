//! `/calendar/GAMEDAY`: the page that invites people to a game day. It says who has which role, what the game day does and to which hosts, when, and how
//! to stop it.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use firedrill_wire::text::{NAME_MOST, clean};
use http::StatusCode;
use minijinja::context;
use serde_json::Value;

use crate::{
    app::App,
    outside::{NotShown, Slots},
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Number of slots that are shown.
const NEXT: usize = 5;

/// `GET /calendar/{gameday}`
pub(crate) async fn gameday(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(name): Path<String>,
) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let slots = Slots { from_s: None, from_day: None, next: NEXT };
        let shown = app.outside.gameday_file(&name, &slots).map_err(|reason| match reason {
            NotShown::Unknown(why) => Answer::new(
                StatusCode::NOT_FOUND,
                format!("It cannot be shown: {why}."),
                "The page Calendar has the game days that there are.",
            ),
            other => Answer::from(other),
        })?;
        let part = |key: &str| shown.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let calendar = app.newest.calendar(&*app.outside);
        let next = calendar.slots.iter().find(|slot| slot.gameday == name && slot.held && slot.open);
        let values = context! {
            name => clean(&name, NAME_MOST),
            text => part("text"),
            errors => part("errors"),
            next => next.map(|slot| slot.local.clone()),
            told => next.map(|slot| slot.told.clone()),
        };
        page("gameday", (&name, "calendar"), Some(&session), values)
    })
    .await
}
