//! Streams events: first those in the journal's file, then new ones. Never streams an event that is not synced to disk.

use std::time::Duration;

use firedrill_wire::journal::AgentEvent;
use futures_util::stream;
use tokio::sync::watch;

use crate::{control::Feed, journal::Tail};

/// Returns the events after the position of `tail`, as they are published.
pub(super) fn events(tail: Tail, published: watch::Receiver<u64>) -> Feed<AgentEvent> {
    let start = (tail, published, Vec::new().into_iter());
    Box::pin(stream::unfold(start, |(mut tail, mut published, mut read)| async move {
        loop {
            if let Some(event) = read.next() {
                return Some((event, (tail, published, read)));
            }
            let up_to = *published.borrow_and_update();
            if tail.after() < up_to {
                match tail.next(up_to) {
                    Ok(events) if !events.is_empty() => {
                        read = events.into_iter();
                        continue;
                    }
                    // The published number is not in the file: the journal was damaged.
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!("cannot read events: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        continue;
                    }
                }
            }
            published.changed().await.ok()?;
        }
    }))
}
