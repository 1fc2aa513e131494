//! `/api/v1/runs/{id}/events`: the progress of a run as server-sent events. Each event `run` has the whole run, as `GET /api/v1/runs/{id}`
//! returns it. The last event tells the run's end. A stream that ends before the run sends an event `gone` with the reason as its last one.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Path, State},
    response::{
        IntoResponse as _, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use http::StatusCode;
use tokio::{sync::watch, time::timeout};

use super::{
    bearer::Bearer,
    query::{Asked, Nothing},
    runs::read,
};
use crate::{
    app::App,
    clock::now_s,
    live::{
        frame::Frame,
        places::{Owner, Place},
    },
    runs::find,
    web::{
        answer::{Answer, unbuffered},
        who::blocking,
    },
};

/// A stream without news sends a comment after this time, so that proxies do not close it. After the same time the token is
/// checked again.
const COMMENT: Duration = Duration::from_secs(15);

/// One stream: a client that follows a run.
struct Follower {
    app: Arc<App>,
    /// The name of the run's folder.
    run: String,
    /// The number of the client's token.
    token: i64,
    /// Tells when the run has changed.
    frames: watch::Receiver<Arc<Frame>>,
    /// The data of the last event that was sent; empty before the first.
    last: String,
    /// True once no event comes after the one that is being made or was made last.
    over: bool,
    /// The time at which the token was last checked.
    checked: Instant,
    /// The place of this stream among those that one token may have open. It is free again when the stream is dropped.
    _place: Place,
}

impl Follower {
    /// Returns the next event; `None` after the last.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.over {
                return None;
            }
            if self.checked.elapsed() >= COMMENT && !self.works().await {
                return Some(self.gone("the token has ended or was revoked"));
            }
            // The first event is sent at once. It waits for no new frame: if others already follow the run, the next frame may be far off.
            if !self.last.is_empty() {
                match timeout(COMMENT, self.frames.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_gone)) => return Some(self.gone("the server has stopped following this run")),
                    Err(_quiet) => return Some(Event::default().comment("no news")),
                }
            }
            self.over |= self.frames.borrow_and_update().over;
            let Some(text) = self.read().await else { return Some(self.gone("the run cannot be read")) };
            if text != self.last {
                self.last.clone_from(&text);
                return Some(Event::default().event("run").data(text));
            }
        }
    }

    /// Returns the event of a stream that ends before the run does.
    fn gone(&mut self, why: &str) -> Event {
        self.over = true;
        Event::default().event("gone").data(why)
    }

    /// Returns true if the token is still valid.
    async fn works(&mut self) -> bool {
        self.checked = Instant::now();
        let token = self.token;
        matches!(blocking(&self.app, move |app| Ok(app.store.token_works(token, now_s())?)).await, Ok(true))
    }

    /// Reads the present state of the run as JSON; `None` if it cannot be read any more.
    async fn read(&self) -> Option<String> {
        let run = self.run.clone();
        let read = blocking(&self.app, move |app| read(app, &run)).await.ok()?;
        serde_json::to_string(&read).ok()
    }
}

/// `GET /api/v1/runs/{id}/events`
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Bearer(token): Bearer,
    Path(name): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Answer> {
    let wanted = name.clone();
    let folder = blocking(&app, move |app| {
        read(app, &wanted)?;
        find(app.runs.reports(), &wanted).ok_or_else(|| Answer::no_run(&wanted))
    })
    .await?;
    let place = app.places.take(Owner::Token(token.id)).ok_or_else(|| {
        let help = "End some of them. GET /api/v1/runs/{id} tells the state at any time.";
        Answer::new(StatusCode::TOO_MANY_REQUESTS, "This token follows too many runs at once.", help)
    })?;
    let follower = Follower {
        app: Arc::clone(&app),
        run: name,
        token: token.id,
        frames: app.feeds.follow(&folder),
        last: String::new(),
        over: false,
        checked: Instant::now(),
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(unbuffered(Sse::new(events).into_response()))
}
