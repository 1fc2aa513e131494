//! The one thing that the prober does with a probe, whatever its kind, and whoever made it.

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::{
    outcome::{Failure, Phases},
    writes::Reader,
};

/// One request that is due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The time at which it is due, by [`boot_us`](crate::clock::boot_us).
    pub us: u64,
}

/// A probe that can be asked.
pub trait Ask: Send + Sync {
    /// Asks once. The caller drops the future when the time is up.
    fn ask(&self, due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>>;

    /// Returns the reader that compares what the probe wrote with what is there; `None` for a probe that writes no records.
    fn reader(&self) -> Option<Reader> {
        None
    }
}
