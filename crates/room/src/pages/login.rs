//! `/login`: begins a session by a login link or a passkey. A GET of a link only shows a form, because mail and chat programs open links
//! for a preview; only the POST uses the link up.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    Extension, Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use firedrill_wire::origin::rp_id;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use minijinja::context;
use serde::Deserialize;

use crate::{
    app::App,
    audit::Deed,
    clock::now_s,
    template::PASSKEYS,
    web::{
        accept::From,
        answer::{Answer, page, see, typed},
        passkey::{Fields, bad},
        who::{Who, blocking, fields},
    },
};

/// The field of a login link, both behind `?` and in the form.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Link {
    /// The link's secret; empty if there is none.
    #[serde(default)]
    link: String,
}

/// `GET /login`
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    asked: Result<Query<Link>, QueryRejection>,
) -> Result<Response, Answer> {
    let link = asked.map(|Query(asked)| asked.link).unwrap_or_default();
    let origin = app.passkey_origin.as_ref().ok();
    let rp = origin.map(|origin| rp_id(origin));
    page("login", ("Log in", ""), None, context! { link, origin, rp, script => &PASSKEYS.path })
}

/// The purpose of a challenge for a login.
const PURPOSE: &str = "login";

/// `POST /login/challenge`
pub(crate) async fn challenge(State(app): State<Arc<App>>) -> Result<Response, Answer> {
    Ok(typed("text/plain; charset=utf-8", app.challenges.fresh(PURPOSE, now_s())?))
}

/// `POST /login/passkey`
pub(crate) async fn by_passkey(
    State(app): State<Arc<App>>,
    Extension(From(from)): Extension<From>,
    headers: HeaderMap,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Answer> {
    let passkey = fields(form)?;
    let (agent, from) = (browser(&headers), from.ip().to_canonical());
    blocking(&app, move |app| Ok(entered(begin_by_passkey(app, &passkey, &agent, from)?))).await
}

/// Begins a session for the owner of a passkey, and returns the cookie. A refusal reveals neither the owner's name nor whether the passkey is known.
fn begin_by_passkey(app: &App, form: &Fields, agent: &str, from: IpAddr) -> Result<HeaderValue, Answer> {
    let origin = app.passkey_origin.as_ref().map_err(|why| bad(why.clone()))?;
    let parts = form.parts()?;
    let found = app.store.passkey(&form.credential)?;
    let deed = |by: &str, outcome: String| {
        let via =
            found.as_ref().map_or_else(|| "passkey".to_owned(), |found| format!("passkey {}", found.id));
        Deed {
            by: by.to_owned(),
            via: format!("{via}, from {from}"),
            what: "login",
            outcome,
            ..Deed::default()
        }
    };
    let verified = match &found {
        None => Err("there is no such passkey".to_owned()),
        Some(found) => parts.verify(&found.public_key, &parts.challenge, origin).and_then(|()| {
            // The signature is checked first. Otherwise anybody could use up the challenges of other people.
            let taken = app.challenges.take(&parts.challenge, PURPOSE, now_s());
            taken.then_some(found).ok_or_else(|| "its challenge was used, or its time is over".to_owned())
        }),
    };
    let passkey = match verified {
        Ok(found) => found,
        Err(why) => {
            failed(app, from, || deed("", format!("refused: {why}")))?;
            return Err(Answer::new(
                StatusCode::FORBIDDEN,
                "This passkey does not log in: it is not known here, it took more than 5 minutes, or it was not verified.",
                "Try again. If that does not help, ask an admin for a login link.",
            ));
        }
    };
    // The audit log comes first: if it cannot be written, there is no login.
    app.record(&deed(&passkey.person, format!("logged in as {}", passkey.role.word())))?;
    app.store.passkey_used(passkey.id, now_s())?;
    let secret = app.store.begin((&passkey.person, passkey.role), agent, now_s())?;
    cookie(app, &secret)
}

/// Returns the header `User-Agent` of a browser; empty if there is none.
fn browser(headers: &HeaderMap) -> String {
    headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("").to_owned()
}

/// Returns the answer for a session that has begun: it sets the cookie, and sends the browser to the start page.
fn entered(cookie: HeaderValue) -> Response {
    let mut response = see("/");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// Records a failed login, unless the address has failed too often. Only failures are limited: behind a proxy all people may have the same address, and
/// a person with a valid link or passkey can always log in.
///
/// # Errors
/// Too many logins from this address have failed.
fn failed(app: &App, from: IpAddr, deed: impl FnOnce() -> Deed) -> Result<(), Answer> {
    let now = Instant::now();
    if !app.tries.may(from, now) {
        let text = "Too many logins from this address have failed.";
        return Err(Answer::new(StatusCode::TOO_MANY_REQUESTS, text, "Wait a minute, and try again."));
    }
    app.tries.failed(from, now);
    app.record(&deed())?;
    Ok(())
}

/// `POST /login`
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    Extension(From(from)): Extension<From>,
    headers: HeaderMap,
    form: Result<Form<Link>, FormRejection>,
) -> Result<Response, Answer> {
    let Link { link } = fields(form)?;
    let (agent, from) = (browser(&headers), from.ip().to_canonical());
    blocking(&app, move |app| Ok(entered(begin(app, &link, &agent, from)?))).await
}

/// Begins a session by a login link, and returns the cookie.
fn begin(app: &App, link: &str, agent: &str, from: IpAddr) -> Result<HeaderValue, Answer> {
    let deed = |by: &str, outcome: &str| Deed {
        by: by.to_owned(),
        via: format!("login link, from {from}"),
        what: "login",
        outcome: outcome.to_owned(),
        ..Deed::default()
    };
    let Some((name, role)) = app.store.use_link(link, now_s())? else {
        failed(app, from, || deed("", "refused: no such link, or it was used, or its time is over"))?;
        return Err(Answer::new(
            StatusCode::FORBIDDEN,
            "This link does not log in: it was used, its time is over, or it is none of this control room.",
            "Ask for a new one: `firedrill serve link --as NAME --role ROLE` on the server makes it.",
        ));
    };
    // The audit log comes first: if it cannot be written, there is no login.
    app.record(&deed(&name, &format!("logged in as {}", role.word())))?;
    let secret = app.store.begin((&name, role), agent, now_s())?;
    cookie(app, &secret)
}

/// Returns the cookie with a session's secret; an empty secret deletes the cookie. The cookie has no end of its own: the store decides when a session ends.
fn cookie(app: &App, secret: &str) -> Result<HeaderValue, Answer> {
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
        response.headers_mut().insert(header::SET_COOKIE, cookie(app, "")?);
        Ok(response)
    })
    .await
}
