//! The session of a request's cookie, and the things that it may do.

use std::sync::Arc;

use axum::{
    Form,
    extract::{FromRequestParts, rejection::FormRejection},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header, request::Parts};

use super::answer::{Answer, see};
use crate::{app::App, clock::now_s, role::Role, store::Session};

/// The session that a request belongs to.
pub(crate) struct Who(pub(crate) Session);

/// Returns the value of a cookie.
fn cookie<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let all = parts.headers.get_all(header::COOKIE).iter();
    let pairs = all.filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value)
}

/// Does what blocks: a database, files.
pub(crate) async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Answer> + Send + 'static,
) -> Result<T, Answer> {
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    done.map_err(|error| Answer::failed(&error))?
}

impl FromRequestParts<Arc<App>> for Who {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let found = match cookie(parts, &app.cookie).map(str::to_owned) {
            Some(secret) => blocking(app, move |app| Ok(app.store.session(&secret, now_s())?)).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(session)) => Ok(Self(session)),
            // A page that was asked for leads to the login; nothing else does.
            Ok(None) if parts.method == Method::GET => Err(see("/login")),
            Ok(None) => Err(Answer::new(
                StatusCode::UNAUTHORIZED,
                "Nobody is logged in, or the session has ended; nothing was done.",
                "Log in by a link, and try again.",
            )
            .into_response()),
            Err(answer) => Err(answer.into_response()),
        }
    }
}

impl Who {
    /// Whether the person may do what takes that role. A refusal is written into the audit log.
    pub(crate) async fn may(
        &self,
        app: &Arc<App>,
        role: Role,
        what: &'static str,
        on: &str,
    ) -> Result<(), Answer> {
        if self.0.role >= role {
            return Ok(());
        }
        let deed = App::deed(&self.0, what, on, &format!("refused: it takes the role {}", role.word()));
        let _told = blocking(app, move |app| Ok(app.record(&deed)?)).await;
        Err(Answer::new(
            StatusCode::FORBIDDEN,
            format!("{} may not do that: it takes the role {}.", self.0.name, role.word()),
            "Ask an admin of this control room for a login link with that role.",
        ))
    }
}

/// Returns the fields of a form.
pub(crate) fn fields<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Answer> {
    form.map(|Form(fields)| fields).map_err(|rejection| {
        let text = format!("The form was not understood: {}.", rejection.body_text());
        Answer::new(rejection.status(), text, "Go back, and send it again.")
    })
}
