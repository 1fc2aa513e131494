//! The one thing that the prober does with a probe, whatever its kind, and whoever made it.

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::outcome::{Failure, Phases};

/// A probe that can be asked.
pub trait Ask: Send + Sync {
    /// Asks once. Whoever calls drops it when the time is up.
    fn ask(&self, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>>;
}
