//! Locks that outlive a panic. Never waits for anything else.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also where a thread that held it panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
