//! The calls that stream: events, bins and counts of logs, as server-sent events.
//!
//! Each item's id is its number, so that a reader that was disconnected can continue with `?after=` or `Last-Event-ID`.
//! A comment is sent at once and then every second. A complete stream ends with an end mark. A stream that ends because the server
//! stops has no end mark, because more items may follow.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use firedrill_wire::{RefusalCode, api::END};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    app::{App, Run},
    identity::Look,
    problem::Refusal,
};
use crate::control::Feed;

/// The number after which a reader continues.
pub(super) struct Resume(u64);

impl<S: Send + Sync> FromRequestParts<S> for Resume {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Wanted {
            #[serde(default)]
            after: u64,
        }
        let bad = |why: String| Refusal::new(RefusalCode::BadAfter, why, "give a whole number");
        // A reader that reconnects repeats its first address, so the header is newer.
        if let Some(header) = parts.headers.get("last-event-id") {
            let text = header.to_str().unwrap_or("");
            return text.parse().map(Self).map_err(|error| bad(format!("last-event-id `{text}`: {error}")));
        }
        let Query(wanted) = Query::<Wanted>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad(error.body_text()))?;
        Ok(Self(wanted.after))
    }
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    _: Look,
    Resume(after): Resume,
) -> Result<impl IntoResponse, Refusal> {
    let turn = app.lanes.look("events").await?;
    let asked = Arc::clone(&app);
    let feed = turn.run("events", move || asked.control.events(after)).await?;
    Ok(answer(app.stop.clone(), feed, |event| event.seq))
}

pub(super) async fn bins(
    State(app): State<Arc<App>>,
    _: Look,
    Run(run): Run,
    Resume(after): Resume,
) -> Result<impl IntoResponse, Refusal> {
    let turn = app.lanes.look("bins").await?;
    let asked = Arc::clone(&app);
    let feed = turn.run("bins", move || asked.control.bins(&run, after)).await??;
    Ok(answer(app.stop.clone(), feed, |bin| bin.seq))
}

pub(super) async fn log_bins(
    State(app): State<Arc<App>>,
    _: Look,
    Run(run): Run,
    Resume(after): Resume,
) -> Result<impl IntoResponse, Refusal> {
    let turn = app.lanes.look("log-bins").await?;
    let asked = Arc::clone(&app);
    let feed = turn.run("log-bins", move || asked.control.log_bins(&run, after)).await??;
    Ok(answer(app.stop.clone(), feed, |bin| bin.seq))
}

/// Makes a stream of the items of a feed; `seq` returns the number of an item.
fn answer<T: Serialize + Send + 'static>(
    stop: CancellationToken,
    feed: Feed<T>,
    seq: impl Fn(&T) -> u64 + Send + 'static,
) -> impl IntoResponse {
    let first = stream::iter([Ok(Event::default().comment("open"))]);
    let last = stream::iter([Ok(Event::default().event(END).data("{}"))]);
    let items = feed.map(move |item| Event::default().id(seq(&item).to_string()).json_data(item));
    let stop = stop.cancelled_owned();
    let results = first.chain(items).chain(last).take_until(Box::pin(stop));
    // An item that cannot be encoded as JSON would leave a hole in the numbers: the stream ends there, without its end
    // mark.
    let events = results.map(Result::ok).take_while(|event| std::future::ready(event.is_some()));
    let events = events.filter_map(|event| std::future::ready(event.map(Ok::<_, Infallible>)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(1)))
}
