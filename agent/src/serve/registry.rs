//! The connections of known peers: how many there are, which are idle, and who has to go for a newcomer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// All connections of one server.
#[derive(Debug)]
pub(super) struct Registry {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    slots: HashMap<u64, Arc<Slot>>,
}

/// One connection's place.
#[derive(Debug)]
struct Slot {
    use_: Mutex<Use>,
    /// Cancelled when the connection has to go.
    leave: CancellationToken,
}

#[derive(Debug)]
struct Use {
    calls: u32,
    since: Instant,
}

/// A connection's place; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    registry: Arc<Registry>,
    id: u64,
    slot: Arc<Slot>,
}

/// A call under way on a connection.
#[derive(Debug)]
pub(super) struct Call(Arc<Slot>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    /// A place for a newcomer; where all are taken, the connection that was idle for longest is sent away. None where
    /// none is idle.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut open = locked(&self.open);
        if open.slots.len() >= self.limit {
            let idle = |(id, slot): (&u64, &Arc<Slot>)| slot.idle().map(|time| (time, *id));
            let (_, id) = open.slots.iter().filter_map(idle).max()?;
            if let Some(slot) = open.slots.remove(&id) {
                slot.leave.cancel();
            }
        }
        let slot = Arc::new(Slot {
            use_: Mutex::new(Use { calls: 0, since: Instant::now() }),
            leave: CancellationToken::new(),
        });
        open.next += 1;
        let id = open.next;
        open.slots.insert(id, Arc::clone(&slot));
        Some(Place { registry: Arc::clone(self), id, slot })
    }
}

impl Slot {
    /// For how long there was no call; none while there is one.
    fn idle(&self) -> Option<Duration> {
        let used = locked(&self.use_);
        (used.calls == 0).then(|| used.since.elapsed())
    }
}

impl Place {
    /// A call begins; it ends when what is returned is dropped.
    pub(super) fn call(&self) -> Call {
        locked(&self.slot.use_).calls += 1;
        Call(Arc::clone(&self.slot))
    }

    /// For how long there was no call; none while there is one.
    pub(super) fn idle(&self) -> Option<Duration> {
        self.slot.idle()
    }

    /// Until the connection has to go.
    pub(super) async fn sent_away(&self) {
        self.slot.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.registry.open).slots.remove(&self.id);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut used = locked(&self.0.use_);
        used.calls = used.calls.saturating_sub(1);
        used.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_pushes_out_the_longest_idle_and_nobody_who_is_busy() {
        let registry = Registry::new(2);
        let first = registry.admit().unwrap();
        let second = registry.admit().unwrap();
        let busy = first.call();
        let third = registry.admit().unwrap();
        assert!(second.slot.leave.is_cancelled() && !first.slot.leave.is_cancelled());
        let also_busy = third.call();
        assert!(registry.admit().is_none(), "all are busy");
        drop(busy);
        assert!(registry.admit().is_some());
        assert!(first.slot.leave.is_cancelled() && !third.slot.leave.is_cancelled());
        drop(also_busy);
        drop((first, second, third));
        assert!(locked(&registry.open).slots.is_empty());
    }
}
