//! Lanes: each kind of blocking calls has a bounded number of places to run in. So slow calls of one kind never delay renewals and undos.
//! Never decides who may call.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::problem::Refusal;

/// Maximum time for which a call waits for a place. Then it is refused, and may be tried again. Undos wait without limit.
const WAIT: Duration = Duration::from_secs(4);

type Job = Box<dyn FnOnce() + Send>;

/// The lanes of one server.
pub(super) struct Lanes {
    /// Calls that could harm.
    harm: Arc<Semaphore>,
    /// Calls that only read.
    look: Arc<Semaphore>,
    /// Only undos, so that no other calls can fill it.
    undo: Arc<Semaphore>,
    /// Comparisons with snapshots: slow, and open to everybody who may look.
    finish: Arc<Semaphore>,
    /// Calls that end or free something quickly.
    brief: Arc<Semaphore>,
    /// Trials of paths, which may take long.
    exchange: Arc<Semaphore>,
    /// The queue of the thread for renewals.
    renewals: mpsc::Sender<Job>,
}

/// A place in a lane. It is kept until the work is done, even if the caller disconnects.
pub(super) struct Turn(OwnedSemaphorePermit);

impl Lanes {
    /// Starts one blocking thread for renewals, which ends when the lanes are dropped.
    pub(super) fn new() -> Self {
        let (renewals, mut jobs) = mpsc::channel::<Job>(256);
        tokio::task::spawn_blocking(move || {
            while let Some(job) = jobs.blocking_recv() {
                // If a job panics, `renew` answers with an error, and the thread continues.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            }
        });
        let lane = |places| Arc::new(Semaphore::new(places));
        Self {
            harm: lane(8),
            look: lane(8),
            undo: lane(16),
            finish: lane(4),
            brief: lane(8),
            exchange: lane(8),
            renewals,
        }
    }

    pub(super) async fn harm(&self, what: &str) -> Result<Turn, Refusal> {
        turn(&self.harm, what).await
    }

    pub(super) async fn look(&self, what: &str) -> Result<Turn, Refusal> {
        turn(&self.look, what).await
    }

    pub(super) async fn exchange(&self, what: &str) -> Result<Turn, Refusal> {
        turn(&self.exchange, what).await
    }

    pub(super) async fn finish(&self, what: &str) -> Result<Turn, Refusal> {
        turn(&self.finish, what).await
    }

    pub(super) async fn brief(&self, what: &str) -> Result<Turn, Refusal> {
        turn(&self.brief, what).await
    }

    pub(super) async fn undo(&self, what: &str) -> Result<Turn, Refusal> {
        Arc::clone(&self.undo).acquire_owned().await.map(Turn).map_err(|_| Refusal::busy(what))
    }

    /// Runs a job on the thread for renewals.
    pub(super) async fn renew<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        // If the caller has disconnected, the answer is dropped. The lease was renewed nevertheless.
        let job: Job = Box::new(move || drop(answer.send(work())));
        self.renewals.try_send(job).map_err(|_| Refusal::busy("renew"))?;
        answered.await.map_err(|_| Refusal::bug("renew", "it panicked"))
    }
}

/// Waits for a place in a lane. `what` is the name of the call, for the refusal.
async fn turn(lane: &Arc<Semaphore>, what: &str) -> Result<Turn, Refusal> {
    match timeout(WAIT, Arc::clone(lane).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(Turn(permit)),
        _ => Err(Refusal::busy(what)),
    }
}

impl Turn {
    /// Runs a job on a blocking thread, to its end even if the caller disconnects.
    pub(super) async fn run<T: Send + 'static>(
        self,
        what: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let job = move || {
            let _place = self.0;
            work()
        };
        tokio::task::spawn_blocking(job).await.map_err(|error| Refusal::bug(what, &error.to_string()))
    }
}
