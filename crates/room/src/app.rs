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

/// Time after which an address that failed too often asks again, in seconds.
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
    /// The places of pages that take long.
    pub(crate) slow: Arc<Semaphore>,
    /// Held while all scenarios are checked: one request does it, and others wait for that without one of these places.
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
    /// Writes into the audit log what somebody did. A failure is told on standard error too: whoever runs the server must see it.
    pub(crate) fn record(&self, deed: &Deed) -> std::io::Result<()> {
        self.audit.write(deed).map(|_| ()).inspect_err(|error| {
            eprintln!("firedrill: the audit log {} cannot be written: {error}", self.audit.path().display());
        })
    }

    /// Records that an address failed to prove who asks. Whoever fails too often gets an answer that says so, and is not recorded.
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

    /// Returns what somebody did.
    pub(crate) fn deed(of: impl Into<Actor>, what: &'static str, on: &str, outcome: &str) -> Deed {
        let Actor { by, via, .. } = of.into();
        Deed { by, via, what, on: on.to_owned(), outcome: outcome.to_owned() }
    }
}
