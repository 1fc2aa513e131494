//! The forms on `/people` by which an admin makes and revokes tokens.

use std::{sync::Arc, time::Duration};

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;
use minijinja::context;
use serde::Deserialize;

use crate::{
    app::App,
    role::Role,
    tokens::NewToken,
    web::{
        answer::{Answer, page, see},
        who::{Who, blocking, fields},
    },
};

/// The form of a new token.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    name: String,
    role: String,
    /// The time for which the token works, in days.
    days: String,
}

/// Returns the answer to a form with an error.
fn wrong(text: &str) -> Answer {
    Answer::new(StatusCode::BAD_REQUEST, format!("No token was made: {text}."), "Go back, and change it.")
}

/// Returns the token that a form asks for.
fn wanted(form: &Wanted) -> Result<NewToken, Answer> {
    let role: Role = form.role.parse().map_err(|error: String| wrong(&error))?;
    let days: u64 = form.days.trim().parse().map_err(|_| wrong("the number of days is no number"))?;
    let lasts = Duration::from_secs(days.saturating_mul(86_400));
    NewToken::new(&form.name, role, lasts).map_err(|error| wrong(&error.to_string()))
}

/// `POST /people/tokens`
pub(crate) async fn make(
    State(app): State<Arc<App>>,
    who: Who,
    form: Result<Form<Wanted>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Admin, "token", "").await?;
    let form = fields(form)?;
    let new = wanted(&form)?;
    blocking(&app, move |app| {
        let record = |name: &str, outcome: &str| {
            app.record(&App::deed(&who.0, "token", name, outcome)).map_err(Answer::from)
        };
        let (secret, until) = new.make(&app.store, &who.0.name, record)?;
        let values = context! { name => form.name.trim(), secret, until };
        page("token", ("A token", "people"), Some(&who.0), values)
    })
    .await
}

/// The form that names a token.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    name: String,
}

/// `POST /people/tokens/revoke`
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    who: Who,
    form: Result<Form<Named>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Admin, "revoke-token", "").await?;
    let Named { name } = fields(form)?;
    blocking(&app, move |app| {
        let outcome = if app.store.revoke(&name)? { "revoked" } else { "there was none" };
        app.record(&App::deed(&who.0, "revoke-token", &name, outcome))?;
        Ok(see("/people"))
    })
    .await
}
