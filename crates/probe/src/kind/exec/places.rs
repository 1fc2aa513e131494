//! Bounds of how many programs run at once: of one probe, and of this process. Never waits: where no place is free, nothing is started.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The most programs of a probe at once, also those that are being ended. A program that no signal ends (it waits for a disk) must not fill the machine with
/// its kind.
const AT_ONCE: usize = 64;

/// The most programs of this process at once, over all probes of all runs.
const IN_ALL: usize = 128;

/// The places of all programs of this process.
static ALL: Semaphore = Semaphore::const_new(IN_ALL);

/// The places of one probe's programs.
pub(super) struct Places(Arc<Semaphore>);

/// A place among the programs of a probe, and one among those of this process. Both are free again when this is dropped.
pub(super) struct Place {
    _of_probe: OwnedSemaphorePermit,
    _of_process: SemaphorePermit<'static>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Returns a place, or `None` if there is none left.
    pub(super) fn take(&self) -> Option<Place> {
        let of_probe = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Place { _of_probe: of_probe, _of_process: ALL.try_acquire().ok()? })
    }
}
