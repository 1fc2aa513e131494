//! The session that belongs to a request's cookie, the check of its role, and the threads for blocking work.

use std::sync::Arc;

use axum::{
    Form,
    extract::{FromRequestParts, rejection::FormRejection},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header, request::Parts};

use super::answer::{Answer, see};
use crate::{actor::Actor, app::App, clock::now_s, role::Role, store::Session};

/// Maximum number of slow pages that are made at once.
pub(crate) const SLOW: usize = 16;
/// Time after which a client may ask again for a page that was not made, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// The session that a request belongs to.
pub(crate) struct Who(pub(crate) Session);

/// Returns the value of a cookie; `None` if the request does not have it.
fn cookie<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let headers = parts.headers.get_all(header::COOKIE).iter();
    let pairs = headers.filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value)
}

/// Runs blocking work (database, files) in a separate thread, and waits for its result.
pub(crate) async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Answer> + Send + 'static,
) -> Result<T, Answer> {
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    done.map_err(|error| Answer::failed(&error))?
}

/// Makes a slow page by [`blocking`]. At most [`SLOW`] pages are made at once, so that threads are left for logins and halts.
///
/// # Errors
/// The maximum number of pages is being made, or the work failed.
pub(crate) async fn slow<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Answer> + Send + 'static,
) -> Result<T, Answer> {
    let place = Arc::clone(&app.slow).try_acquire_owned().map_err(|_full| Answer {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Answer::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many pages are made at the moment.",
            "Try again in some seconds. Halts, notes and logins work meanwhile.",
        )
    })?;
    blocking(app, move |app| {
        // The permit moves into the thread, and is held until the work is done, even if the client closes the connection.
        let _place = place;
        work(app)
    })
    .await
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
            // Only a GET is sent to the login: the data of a POST would be lost there.
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
    /// Checks that the person has at least the role `role`, as [`may`] does.
    pub(crate) async fn may(
        &self,
        app: &Arc<App>,
        role: Role,
        what: &'static str,
        on: &str,
    ) -> Result<(), Answer> {
        let help = "Ask an admin of this control room for a login link with that role.";
        may(app, &Actor::from(&self.0), role, (what, on), help).await
    }
}

/// Checks that an actor has at least the role `role`. `what` and `on` are the action and its object, with which a refusal is written into the audit
/// log. `help` is the next step after a refusal.
pub(crate) async fn may(
    app: &Arc<App>,
    actor: &Actor,
    role: Role,
    (what, on): (&'static str, &str),
    help: &str,
) -> Result<(), Answer> {
    if actor.role >= role {
        return Ok(());
    }
    let deed = App::deed(actor, what, on, &format!("refused: it takes the role {}", role.word()));
    // The refusal stands, even if it cannot be recorded. `record` prints the error.
    let _recorded = blocking(app, move |app| Ok(app.record(&deed)?)).await;
    let text = format!("{} may not do that: it takes the role {}.", actor.name, role.word());
    Err(Answer::new(StatusCode::FORBIDDEN, text, help))
}

/// Returns the fields of a form.
pub(crate) fn fields<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Answer> {
    form.map(|Form(fields)| fields).map_err(|rejection| {
        let text = format!("The form was not understood: {}.", rejection.body_text());
        Answer::new(rejection.status(), text, "Go back, and send it again.")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use axum::{
        extract::{Path, State},
        response::IntoResponse as _,
    };

    use super::*;
    use crate::{
        pages::{halt::halt, home::home},
        role::Role,
        testing::{Willing, app, session},
    };

    #[tokio::test]
    async fn slow_pages_do_not_delay_a_halt() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(folder.path(), Arc::new(Willing)).await;
        std::fs::create_dir_all(app.runs.reports().join("friday-7f3a")).unwrap();
        let (mut ends, mut pages) = (Vec::new(), Vec::new());
        for _ in 0..SLOW {
            let (end, wait) = mpsc::channel::<()>();
            let (says, begins) = tokio::sync::oneshot::channel();
            let app = Arc::clone(&app);
            pages.push(tokio::spawn(async move {
                slow(&app, move |_| {
                    let _ = says.send(());
                    let _ = wait.recv();
                    Ok(())
                })
                .await
            }));
            begins.await.unwrap();
            ends.push(end);
        }
        // The thread of a client that goes away is still busy.
        let gone = pages.remove(0);
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        let refusal = home(State(Arc::clone(&app)), Who(session(Role::Viewer))).await.unwrap_err();
        let full = refusal.into_response();
        assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(full.headers()[header::RETRY_AFTER], "5");
        let name = Path("friday-7f3a".to_owned());
        let halted = halt(State(Arc::clone(&app)), Who(session(Role::Operator)), name).await.unwrap();
        assert_eq!(halted.status(), StatusCode::SEE_OTHER);
        drop(ends);
        for page in pages {
            page.await.unwrap().unwrap();
        }
    }
}
