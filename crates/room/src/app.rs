//! The state that all requests share.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::StatusCode;
use tokio::sync::{Mutex, Semaphore};

use crate::{
    actor::Actor,
    audit::{Audit, Deed},
    challenges::Challenges,
    live::{courses::Courses, feed::Feeds, places::Places},
    newest::Newest,
    options::Options,
    outside::Outside,
    runs::Runs,
    store::Store,
    web::{answer::Answer, tries::Tries},
};

/// Time after which an address that failed too often may ask again, in seconds.
const RETRY_AFTER_S: u32 = 60;

/// The control room while it serves.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) audit: Audit,
    pub(crate) runs: Runs,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) tries: Tries,
    pub(crate) newest: Newest,
    pub(crate) courses: Courses,
    pub(crate) feeds: Feeds,
    pub(crate) places: Places,
    /// Limits the number of slow pages that are made at once.
    pub(crate) slow: Arc<Semaphore>,
    /// Held while all scenarios are checked. One request does this; the others wait for its result here, and take no permit of `slow` meanwhile.
    pub(crate) checks: Arc<Mutex<()>>,
    /// The origin of its pages: `http://127.0.0.1:7788`, or that of the proxy.
    pub(crate) origin: String,
    /// The origin of pages on which passkeys work, or the reason why none do.
    pub(crate) passkey_origin: Result<String, String>,
    pub(crate) challenges: Challenges,
    /// The name of the session's cookie.
    pub(crate) cookie: String,
}

impl App {
    /// Writes a deed into the audit log. A failure is also printed on standard error, so that the server's administrator sees it.
    pub(crate) fn record(&self, deed: &Deed) -> std::io::Result<()> {
        self.audit.write(deed).map(|_| ()).inspect_err(|error| {
            eprintln!("firedrill: the audit log {} cannot be written: {error}", self.audit.path().display());
        })
    }

    /// Records a failed login or a failed token of an address. An address that fails too often gets the error 429 and is not recorded.
    pub(crate) fn turned_away(&self, from: IpAddr, via: &str, why: &str) -> Result<(), Answer> {
        let now = Instant::now();
        if !self.tries.may(from, now) {
            let answer = Answer::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many failed logins and requests came from this address.",
                "Wait a minute, and try again with a token or a secret that works.",
            );
            return Err(Answer { retry_after_s: Some(RETRY_AFTER_S), ..answer });
        }
        self.tries.failed(from, now);
        self.record(&Deed {
            via: format!("{via}, from {from}"),
            what: "login",
            outcome: format!("refused: {why}"),
            ..Deed::default()
        })?;
        Ok(())
    }

    /// Describes, for the audit log, what an actor did to `on`, and the outcome.
    pub(crate) fn deed(actor: impl Into<Actor>, what: &'static str, on: &str, outcome: &str) -> Deed {
        let Actor { by, via, .. } = actor.into();
        Deed { by, via, what, on: on.to_owned(), outcome: outcome.to_owned() }
    }
}
