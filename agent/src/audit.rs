//! The audit: a record of every request that could harm or heal, accepted or refused, with its caller and its result.
//!
//! A request goes to journald as structured fields, or to syslog if there is no journald, and to files in the state
//! directory, beside the events of injections. The files are rotated and bounded in bytes, and so is the part that
//! repeated or refused requests can fill. Nothing here blocks a request or makes it fail.

mod limit;
mod record;
mod sinks;
mod store;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use firedrill_wire::journal::{AgentEvent, What};
use futures_util::StreamExt as _;
use tokio::sync::mpsc::{Sender, channel, error::TrySendError};

pub use self::{
    record::{Entry, Outcome, Request, undone},
    store::{last_copied_seq, read},
};

use self::{limit::Limit, sinks::Sinks, store::Store};
use crate::{control::Feed, heap};

/// Maximum number of entries that wait for the disk. Further entries go to the log only.
const WAITING: usize = 1024;

/// Takes requests and events. Cheap to clone; all clones write to the same files.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

/// The work of the thread that writes.
enum Work {
    /// In a box, because the queue keeps blocks of 32 places.
    Write(Box<Entry>),
    /// Gives back its memory.
    Rest,
}

struct Inner {
    writer: Option<Sender<Work>>,
    limit: Mutex<Limit>,
}

impl Audit {
    /// Starts a thread that writes to files in that state directory and to the sockets of this machine.
    #[must_use]
    pub fn start(state: &Path) -> Self {
        Self::with(state, Sinks::default())
    }

    fn with(state: &Path, sinks: Sinks) -> Self {
        // It takes memory for what waits, and none in advance for what may wait.
        let (sender, mut works) = channel::<Work>(WAITING);
        let mut store = Store::new(state);
        let thread =
            std::thread::Builder::new().name("audit".into()).stack_size(256 << 10).spawn(move || {
                while let Some(work) = works.blocking_recv() {
                    let Work::Write(entry) = work else {
                        heap::rest();
                        continue;
                    };
                    if let Entry::Request(request) = &*entry {
                        sinks.send(request);
                    }
                    store.append(&entry);
                }
            });
        let writer = thread.map(|_| sender).inspect_err(|error| {
            tracing::error!("no thread is left, so requests are not recorded: {error}");
        });
        Self(Arc::new(Inner { writer: writer.ok(), limit: Mutex::default() }))
    }

    /// Records a request. Of similar requests in the same minute the first is recorded and the others are counted.
    pub fn request(&self, request: Request) {
        let kept = self.0.limit.lock().unwrap_or_else(PoisonError::into_inner).take(request);
        if let Some(request) = kept {
            self.put(Entry::Request(request));
        }
    }

    /// Gives back the memory of the thread that writes, now that nothing is to be written.
    pub(crate) fn rest(&self) {
        // If the queue is full, it has no rest yet.
        if let Some(writer) = &self.0.writer {
            drop(writer.try_send(Work::Rest));
        }
    }

    fn put(&self, entry: Entry) {
        let Some(writer) = &self.0.writer else { return };
        if let Err(TrySendError::Full(Work::Write(entry))) = writer.try_send(Work::Write(Box::new(entry))) {
            tracing::warn!("the disk is slow, so this is not recorded in files: {entry}");
        }
    }

    /// Copies events as they are journaled, so that they are kept when the journal is rewritten.
    pub async fn follow(self, mut events: Feed<AgentEvent>) {
        while let Some(event) = events.next().await {
            // Evidence comes once a second for each fault. It would fill the files, and does not say who did what.
            if !matches!(event.what, What::Looked { .. }) {
                self.put(Entry::Event(event));
            }
        }
    }
}

/// Records a request that is carried out by another process, because there is no agent.
pub fn request_now(state: &Path, request: Request) {
    Sinks::default().send(&request);
    Store::new(state).append(&Entry::Request(request));
}

#[cfg(test)]
mod tests;
