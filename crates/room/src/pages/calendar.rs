//! `/calendar`: the next slots of game days, with what is skipped, wrong or in another's way; `/calendar.ics`: the same for programs.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use minijinja::context;

use crate::{
    app::App,
    template::value,
    web::{
        answer::{Answer, page, typed},
        who::{Who, slow},
    },
};

/// `GET /calendar`
pub(crate) async fn calendar(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let calendar = app.newest.calendar(&*app.outside);
        let values = context! {
            slots => value(&calendar.slots),
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
