//! `/login`: a login link becomes a session. Opening a link does nothing: programs that look at links beforehand must not use them up.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    Extension, Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use minijinja::context;
use serde::Deserialize;

use crate::{
    app::App,
    audit::Deed,
    clock::now_s,
    web::{
        accept::From,
        answer::{Answer, page, see},
        who::{Who, blocking, fields},
    },
};

/// The link's secret.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    link: String,
}

/// `GET /login`
pub(crate) async fn ask(asked: Result<Query<Link>, QueryRejection>) -> Result<Response, Answer> {
    let link = asked.map(|Query(asked)| asked.link).unwrap_or_default();
    page("login", ("Log in", ""), None, context! { link })
}

/// `POST /login`
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    Extension(From(from)): Extension<From>,
    headers: HeaderMap,
    form: Result<Form<Link>, FormRejection>,
) -> Result<Response, Answer> {
    let Link { link } = fields(form)?;
    let agent =
        headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("").to_owned();
    let from = from.ip().to_canonical();
    blocking(&app, move |app| {
        let cookie = begin(app, &link, &agent, from)?;
        let mut response = see("/");
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    })
    .await
}

fn begin(app: &App, link: &str, agent: &str, from: IpAddr) -> Result<HeaderValue, Answer> {
    let deed = |by: &str, outcome: &str| Deed {
        by: by.to_owned(),
        via: format!("login link, from {from}"),
        what: "login",
        outcome: outcome.to_owned(),
        ..Deed::default()
    };
    // Behind a proxy all people have one address: failures of somebody there do not keep out who has a link.
    let Some((name, role)) = app.store.use_link(link, now_s())? else {
        let now = Instant::now();
        if !app.tries.may(from, now) {
            let text = "Too many logins from this address have failed.";
            return Err(Answer::new(StatusCode::TOO_MANY_REQUESTS, text, "Wait a minute, and try again."));
        }
        app.tries.failed(from, now);
        app.record(&deed("", "refused: no such link, or it was used, or its time is over"))?;
        return Err(Answer::new(
            StatusCode::FORBIDDEN,
            "This link does not log in: it was used, its time is over, or it is none of this control room.",
            "Ask for a new one: `firedrill serve link --as NAME --role ROLE` on the server makes it.",
        ));
    };
    // Nobody is let in whom the audit log does not have.
    app.record(&deed(&name, &format!("logged in as {}", role.word())))?;
    let secret = app.store.begin((&name, role), agent, now_s())?;
    set(app, &secret)
}

/// Returns the cookie. Its time is the store's to decide.
fn set(app: &App, secret: &str) -> Result<HeaderValue, Answer> {
    let secure = if app.options.public.is_some() { "; Secure" } else { "" };
    let age = if secret.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", app.cookie);
    HeaderValue::from_str(&text).map_err(|error| Answer::failed(&error))
}

/// `POST /logout`
pub(crate) async fn logout(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    blocking(&app, move |app| {
        app.store.end(session.id)?;
        app.record(&App::deed(&session, "logout", "", "done"))?;
        let mut response = see("/login");
        response.headers_mut().insert(header::SET_COOKIE, set(app, "")?);
        Ok(response)
    })
    .await
}
