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

/// Time after which an address that failed too often is told to try again, in seconds. All its failures are forgotten by then.
const RETRY_AFTER_S: u32 = 60;

/// The state of an open control room, which all its requests share.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) audit: Audit,
    pub(crate) runs: Runs,
    pub(crate) outside: Arc<dyn Outside>,
    /// The failed logins and failed tokens of each address.
    pub(crate) tries: Tries,
    /// The calendar that was read last.
    pub(crate) newest: Newest,
    /// The present states of the runs that go on.
    pub(crate) courses: Courses,
    /// The runs that have viewers, and the frames for these.
    pub(crate) feeds: Feeds,
    /// The open streams of each session and token.
    pub(crate) places: Places,
    /// Limits the number of slow pages that are made at once.
    pub(crate) slow: Arc<Semaphore>,
    /// Locked while a request checks all scenarios. Other requests wait here for its result. While they wait, they take no permit of `slow`.
    pub(crate) checks: Arc<Mutex<()>>,
    /// The origin of its pages: `http://127.0.0.1:7788`, or that of the proxy.
    pub(crate) origin: String,
    /// The origin of pages on which passkeys work, or the reason why none do.
    pub(crate) passkey_origin: Result<String, String>,
    /// The challenges for passkeys.
    pub(crate) challenges: Challenges,
    /// The name of the session's cookie.
    pub(crate) cookie: String,
}

impl App {
    /// Writes a deed into the audit log. If that fails, the error is returned and also printed on standard error, where the server's administrator sees it.
    pub(crate) fn record(&self, deed: &Deed) -> std::io::Result<()> {
        self.audit.write(deed).map(|_| ()).inspect_err(|error| {
            eprintln!("firedrill: the audit log {} cannot be written: {error}", self.audit.path().display());
        })
    }

    /// Records a failed login or a failed token of an address. If the address has failed too often, nothing is recorded, and the error is an answer
    /// with the status 429. `via` is the way by which it came, `why` the reason of the failure.
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

    /// Returns the deed of an actor for the audit log: the action `what`, its object `on`, and its outcome.
    pub(crate) fn deed(actor: impl Into<Actor>, what: &'static str, on: &str, outcome: &str) -> Deed {
        let Actor { by, via, .. } = actor.into();
        Deed { by, via, what, on: on.to_owned(), outcome: outcome.to_owned() }
    }
}
