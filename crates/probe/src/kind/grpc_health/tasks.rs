//! Tasks that drive a connection by HTTP/2. They end with the connection.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use crate::locked::lock;

/// The tasks of one connection. Dropping it ends them.
#[derive(Default)]
pub(super) struct Tasks(Executor);

/// Starts tasks of one connection.
#[derive(Clone, Default)]
pub(super) struct Executor(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(super) fn executor(&self) -> Executor {
        self.0.clone()
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0.0).spawn(task);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // Each task holds an executor, and so the set that it is in.
        lock(&self.0.0).abort_all();
    }
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        lock(&self.0).spawn(async move { drop(task.await) });
    }
}
