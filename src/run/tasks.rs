//! The background tasks of a run. Each tells the run what it sees, by the run's inbox, and all of them end with the run.

use std::future::Future;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    inbox::{Inbox, Mail, inbox},
    input::Input,
};

/// Starts background tasks, and is their way to the run's inbox.
#[derive(Clone)]
pub(super) struct Tasks {
    mail: Mail,
    stop: CancellationToken,
}

impl Tasks {
    /// Returns this and the inbox, of which there is one for each run.
    pub(super) fn new() -> (Self, Inbox) {
        let (mail, inbox) = inbox();
        (Self { mail, stop: CancellationToken::new() }, inbox)
    }

    /// Starts a task that ends with the run at the latest.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(task).await });
    }

    /// Puts an input into the inbox. Returns whether the run still reads it.
    pub(super) fn send(&self, input: Input) -> bool {
        self.mail.send(input)
    }

    /// Returns a starter of tasks that end when the guard is dropped, or with the run.
    pub(super) fn until_dropped(&self) -> (Self, DropGuard) {
        let stop = self.stop.child_token();
        (Self { mail: self.mail.clone(), stop: stop.clone() }, stop.drop_guard())
    }

    /// Returns the way to the inbox alone.
    pub(super) fn mail(&self) -> Mail {
        self.mail.clone()
    }

    /// Ends all tasks.
    pub(super) fn end(&self) {
        self.stop.cancel();
    }
}
