//! The registry of known peers' connections: counts them, knows which are idle, and chooses one to close when there are too many. Never
//! closes a connection itself.
//!
//! A new connection is always accepted, because its peer may come to heal. If there is no place for it, a connection of the peer with
//! the most connections is closed, so that a peer that leaks connections cannot lock others out.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::mutex::lock;

/// All connections of one server.
#[derive(Debug)]
pub(super) struct Registry {
    limit: usize,
    open: Mutex<Open>,
}

/// The open connections.
#[derive(Debug, Default)]
struct Open {
    /// The newest id.
    last_id: u64,
    /// By id, and so in the order in which they were opened.
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// The entry of one connection.
#[derive(Debug)]
struct Slot {
    /// The name of the peer.
    owner: String,
    used: Mutex<Used>,
    /// Cancelled when the connection has to close.
    leave: CancellationToken,
}

/// The use of a connection.
#[derive(Debug)]
struct Used {
    /// Number of calls in progress.
    calls: u32,
    /// The end of the last call, or the start of the connection.
    since: Instant,
}

/// A connection's place; freed when dropped.
#[derive(Debug)]
pub(super) struct Place {
    registry: Arc<Registry>,
    id: u64,
    slot: Arc<Slot>,
}

/// A call in progress on a connection.
#[derive(Debug)]
pub(super) struct Call(Arc<Slot>);

impl Registry {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    /// Takes a place for a new connection. If none is free, tells another connection to close.
    pub(super) fn admit(self: &Arc<Self>, owner: &str) -> Place {
        let mut open = lock(&self.open);
        if open.slots.len() >= self.limit
            && let Some(id) = open.first_to_go()
            && let Some(slot) = open.slots.remove(&id)
        {
            slot.leave.cancel();
        }
        let slot = Arc::new(Slot {
            owner: owner.to_owned(),
            used: Mutex::new(Used { calls: 0, since: Instant::now() }),
            leave: CancellationToken::new(),
        });
        open.last_id += 1;
        let id = open.last_id;
        open.slots.insert(id, Arc::clone(&slot));
        Place { registry: Arc::clone(self), id, slot }
    }
}

impl Open {
    /// Chooses a connection of the peer with the most connections: the one that was idle for longest, or the oldest if none is
    /// idle.
    fn first_to_go(&self) -> Option<u64> {
        let mut held: HashMap<&str, usize> = HashMap::new();
        for slot in self.slots.values() {
            *held.entry(&slot.owner).or_default() += 1;
        }
        let (most, _) = held.into_iter().max_by_key(|(_, count)| *count)?;
        let theirs = self.slots.iter().filter(|(_, slot)| slot.owner == most);
        theirs.map(|(id, slot)| (slot.idle(), Reverse(*id))).max().map(|(_, Reverse(id))| id)
    }
}

impl Slot {
    /// Returns the time since the last call; `None` during a call.
    fn idle(&self) -> Option<Duration> {
        let used = lock(&self.used);
        (used.calls == 0).then(|| used.since.elapsed())
    }
}

impl Place {
    /// Begins a call, which ends when the returned value is dropped.
    pub(super) fn call(&self) -> Call {
        lock(&self.slot.used).calls += 1;
        Call(Arc::clone(&self.slot))
    }

    /// Returns the time since the last call; `None` during a call.
    pub(super) fn idle(&self) -> Option<Duration> {
        self.slot.idle()
    }

    /// Waits until the connection has to close.
    pub(super) async fn sent_away(&self) {
        self.slot.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.registry.open).slots.remove(&self.id);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut used = lock(&self.0.used);
        used.calls = used.calls.saturating_sub(1);
        used.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn must_close(place: &Place) -> bool {
        place.slot.leave.is_cancelled()
    }

    #[test]
    fn the_peer_with_the_most_connections_loses_its_idle_ones_first() {
        let registry = Registry::new(4);
        let other = registry.admit("olga");
        let [first, second, third] = std::array::from_fn(|_| registry.admit("clumsy"));
        let busy = (first.call(), third.call());
        let healer = registry.admit("vera");
        assert!(must_close(&second), "the idle one of three");
        drop(registry.admit("vera"));
        assert!(must_close(&first) && !must_close(&third), "all busy: the oldest");
        assert!(!must_close(&other) && !must_close(&healer));
        drop(busy);
        drop((other, first, second, third, healer));
        assert!(lock(&registry.open).slots.is_empty());
    }
}
