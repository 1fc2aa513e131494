//! The audit: a record of every request that could harm or heal, accepted or refused, with its caller and its result.
//!
//! A request goes to journald as structured fields, or to syslog if there is no journald, and to files in the state
//! directory, beside the events of injections. The files are rotated and bounded in bytes. Repeated or refused requests
//! can fill only a part of that space. Nothing here blocks a request or makes it fail.

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

/// A piece of work for the writer thread.
enum Work {
    /// Write an entry. The entry is in a box, because the queue allocates room for 32 messages at a time.
    Write(Box<Entry>),
    /// Return free memory to the kernel.
    Rest,
}

struct Inner {
    /// The queue of the writer thread; `None` if that thread could not be started.
    writer: Option<Sender<Work>>,
    limit: Mutex<Limit>,
}

impl Audit {
    /// Starts the writer thread, which writes to files in the state directory `state` and to this host's journald or
    /// syslog.
    #[must_use]
    pub fn start(state: &Path) -> Self {
        Self::with(state, Sinks::default())
    }

    fn with(state: &Path, sinks: Sinks) -> Self {
        // This queue takes memory only for the messages that are in it, and none in advance.
        let (sender, mut queue) = channel::<Work>(WAITING);
        let mut store = Store::new(state);
        let thread =
            std::thread::Builder::new().name("audit".into()).stack_size(256 << 10).spawn(move || {
                while let Some(work) = queue.blocking_recv() {
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
            tracing::error!("the audit thread cannot be started, so requests are not recorded: {error}");
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

    /// Asks the writer thread to return its free memory to the kernel. For times in which nothing is to be written.
    pub(crate) fn rest(&self) {
        // If the queue is full, the thread has much to write, and needs its memory.
        if let Some(writer) = &self.0.writer {
            drop(writer.try_send(Work::Rest));
        }
    }

    /// Queues an entry for the writer thread. Never waits.
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

/// Records a request that this process carries out itself, because no agent runs. Writes in the calling thread.
pub fn request_now(state: &Path, request: Request) {
    Sinks::default().send(&request);
    Store::new(state).append(&Entry::Request(request));
}

#[cfg(test)]
mod tests;
