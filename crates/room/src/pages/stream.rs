//! `/runs/ID/live`: the progress of a run as server-sent events for the page. Events `state` and `axis` have parts of the page as HTML; the event `over`
//! says that no program writes the log any more.

use std::{
    collections::VecDeque,
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
use firedrill_history::address;
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use tokio::{sync::watch, time::timeout};

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
        who::{Who, blocking},
    },
};

/// A stream without news sends a comment after this time, so that proxies do not close it. After the same time the session
/// is checked again.
const COMMENT: Duration = Duration::from_secs(15);

/// One stream, with the state that its viewer already has.
struct Viewer {
    app: Arc<App>,
    /// The name of the run's folder in an address.
    run: String,
    frames: watch::Receiver<Arc<Frame>>,
    /// The number of the viewer's session.
    session: i64,
    /// The number of the last time axis that was queued; 0 before the first.
    axis: u64,
    /// Events that are ready to be sent.
    waiting: VecDeque<Event>,
    /// True if no more frames come.
    over: bool,
    /// The time at which the session was last checked.
    checked: Instant,
    /// The place of this stream among those that one session may have open. It is free again when the stream is dropped.
    _place: Place,
}

impl Viewer {
    /// Returns the next event; `None` after the last.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over || self.checked.elapsed() >= COMMENT && !self.goes_on().await {
                return None;
            }
            match timeout(COMMENT, self.frames.changed()).await {
                Ok(Ok(())) => self.newest(),
                Ok(Err(_gone)) => self.over = true,
                Err(_quiet) => self.waiting.push_back(Event::default().comment("no news")),
            }
        }
    }

    /// Returns true if the session goes on.
    async fn goes_on(&mut self) -> bool {
        self.checked = Instant::now();
        let session = self.session;
        let found = blocking(&self.app, move |app| Ok(app.store.goes_on(session, now_s())?)).await;
        matches!(found, Ok(true))
    }

    /// Takes the newest frame, and queues its events.
    fn newest(&mut self) {
        let frame = Arc::clone(&self.frames.borrow_and_update());
        self.put(&frame);
    }

    /// Queues the events of a frame.
    fn put(&mut self, frame: &Frame) {
        if frame.seq > 0 {
            let id = format!("{}/{}", self.run, frame.seq);
            self.waiting.push_back(Event::default().event("state").id(id).data(&frame.state));
        }
        if frame.axis.0 > self.axis {
            self.axis = frame.axis.0;
            self.waiting.push_back(Event::default().event("axis").data(&frame.axis.1));
        }
        if frame.over {
            self.over = true;
            self.waiting.push_back(Event::default().event("over").data("over"));
        }
    }
}

/// Returns the number of the record that the viewer's browser already has, from the header `Last-Event-ID`; 0 if there is none for this run.
fn seen(headers: &HeaderMap, run: &str) -> u64 {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or("");
    let number = last
        .rsplit_once('/')
        .filter(|(seen_run, _)| *seen_run == run)
        .and_then(|(_, number)| number.parse().ok());
    number.unwrap_or(0)
}

/// `GET /runs/{id}/live`
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let wanted = name.clone();
    let folder =
        blocking(&app, move |app| find(app.runs.reports(), &wanted).ok_or_else(|| Answer::no_run(&wanted)))
            .await?;
    let place = app.places.take(Owner::Session(session.id)).ok_or_else(|| {
        let help = "Close some of them; their pages show the newest state when they are loaded anew.";
        Answer::new(StatusCode::TOO_MANY_REQUESTS, "This session watches in too many tabs at once.", help)
    })?;
    let mut viewer = Viewer {
        app: Arc::clone(&app),
        run: address(&name),
        frames: app.feeds.follow(&folder),
        session: session.id,
        axis: 0,
        waiting: VecDeque::new(),
        over: false,
        checked: Instant::now(),
        _place: place,
    };
    // A frame has the whole state. A browser that reconnects and has this frame's number needs nothing before the next frame.
    let (seq, over) = {
        let now = viewer.frames.borrow();
        (now.seq, now.over)
    };
    if seq > seen(&headers, &viewer.run) || over {
        viewer.newest();
    }
    Ok(unbuffered(Sse::new(events(viewer)).into_response()))
}

/// Returns the events of a viewer as a stream.
fn events(viewer: Viewer) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok(event), viewer))
    })
}
