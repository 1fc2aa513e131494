//! The token of a request: `Authorization: Bearer fdr_…`. The API reads neither cookies nor the address to learn who asks.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header, request::Parts};

use crate::{
    app::App,
    clock::now_s,
    secret::is_token,
    store::Token,
    web::{accept::From, answer::Answer, who::blocking},
};

/// The next step for a client without a valid token.
const HELP: &str = "`firedrill serve token new NAME --role viewer --expires 30d` on the server makes a token; send it as `Authorization: Bearer fdr_…`.";

/// The valid token of a request.
pub(crate) struct Bearer(pub(crate) Token);

/// Returns the token in the header without checking it; `None` if there is no such header, or more than one.
fn presented(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns the token of a secret. Failed attempts from an address are limited and recorded, as failed logins are.
fn token(app: &App, secret: &str, from: IpAddr) -> Result<Token, Answer> {
    let found = if is_token(secret) { app.store.token(secret, now_s())? } else { None };
    if let Some(token) = found {
        return Ok(token);
    }
    app.turned_away(from, "token", "no such token, or it was revoked, or its time is over")?;
    let text = if is_token(secret) {
        "This token does not work: it was revoked, its time is over, or it is none of this control room."
    } else {
        "This is no whole token: it was cut, or a character is wrong."
    };
    Err(Answer::new(StatusCode::UNAUTHORIZED, text, HELP))
}

impl FromRequestParts<Arc<App>> for Bearer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Some(secret) = presented(parts).map(str::to_owned) else {
            let text = "The request has no token; nothing was done.";
            return Err(Answer::new(StatusCode::UNAUTHORIZED, text, HELP).into_response());
        };
        let from = From::ip(parts.extensions.get::<From>().copied());
        let found = blocking(app, move |app| token(app, &secret, from)).await;
        found.map(Self).map_err(Answer::into_response)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::{
        role::Role,
        store::Wanted,
        testing::{Willing, app},
    };

    #[tokio::test]
    async fn a_token_that_has_ended_or_was_revoked_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let app = app(home.path(), Arc::new(Willing)).await;
        let ask = |secret: &str| {
            let (mut parts, ()) = Request::get("/")
                .header("authorization", format!("bearer {secret}"))
                .body(())
                .unwrap()
                .into_parts();
            let app = Arc::clone(&app);
            async move {
                let asked = Bearer::from_request_parts(&mut parts, &app).await;
                asked.map(|token| token.0.name).map_err(|answer| answer.status())
            }
        };
        let make = |name: &str, until_s| {
            let wanted = Wanted { name, role: Role::Operator, starts: &[] };
            app.store.make_token(wanted, "alice", (1, until_s)).unwrap().unwrap()
        };
        let (over, good) = (make("over", now_s()), make("good", now_s() + 600));
        assert_eq!(ask(&over).await, Err(StatusCode::UNAUTHORIZED));
        assert_eq!(ask(&good).await, Ok("good".to_owned()));
        app.store.revoke("good").unwrap();
        assert_eq!(ask(&good).await, Err(StatusCode::UNAUTHORIZED));
        let audit = std::fs::read_to_string(app.audit.path()).unwrap();
        assert_eq!(audit.matches("refused: no such token").count(), 2);
    }
}
