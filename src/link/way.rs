//! Limits the number of links that are opened at a time, and decides when a failed link is tried again.
//!
//! A way is the command that leads to a group of hosts, such as an `ssh` to a bastion. A bastion's sshd drops new connections at random
//! while more than `MaxStartups` of them (10) have not logged in yet. So each way has a gate with a limited number of places: a link takes a
//! place before it is opened, and returns it after its TLS handshake, which is after the login. Links that are still rejected, because
//! others use the bastion too, are retried after a growing pause with jitter.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::plan::model::{Reach, Way};

/// Maximum number of direct links that this process opens at a time; with more handshakes at once, each could exceed
/// its time-out.
const DIRECT: usize = 512;

/// The gates, by way; `None` is the gate of direct links. They are shared by the whole process, because a bastion counts all its links.
static GATES: Mutex<BTreeMap<Option<Way>, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());

/// Takes a place at the gate of a way; waits until one is free, however long that takes.
pub(super) async fn place(via: Option<&Way>) -> Option<OwnedSemaphorePermit> {
    let places = via.map_or(DIRECT, |way| way.at_once.max(1));
    let gate = {
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(via.cloned());
        Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(places))))
    };
    gate.acquire_owned().await.ok()
}

/// Maximum duration of the attempts to open a link, without the time that it waits at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Persistence {
    /// For calls that are repeated soon anyway, or whose result a person waits for.
    Usual,
    /// For an undo.
    Undo,
}

impl Persistence {
    /// Returns the maximum, counted from the first attempt. The first attempt is always made.
    pub(super) const fn limit(self, reach: &Reach) -> Duration {
        Duration::from_secs(match (reach, self) {
            // A direct link that is refused will be refused again within a second, unless the agent is being
            // restarted.
            (Reach::Tcp(_), Self::Usual) => 0,
            (Reach::Tcp(_), Self::Undo) => 10,
            (Reach::Command(_), Self::Usual) => 8,
            (Reach::Command(_), Self::Undo) => 60,
        })
    }
}

/// The pauses between attempts: each twice as long as the one before, up to a limit, and varied at random between a half and one and a half.
/// Contains the next pause before it is varied.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(4);

    pub(super) const fn new() -> Self {
        Self(Self::FIRST)
    }

    /// Returns the next pause.
    pub(super) fn next(&mut self) -> Duration {
        let usual = self.0;
        self.0 = (usual * 2).min(Self::LONGEST);
        // Each `RandomState` has other keys, so its hash of anything is a random number.
        let thousandths = u32::try_from(RandomState::new().hash_one(()) % 1000).unwrap_or(500);
        usual / 2 + usual * thousandths / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let eight = || {
            let mut pauses = Pauses::new();
            (0..8).map(|_| pauses.next()).collect::<Vec<_>>()
        };
        let (one, other) = (eight(), eight());
        assert_ne!(one, other, "two links that were dropped together are not retried together");
        let mut usual = Pauses::FIRST;
        for pause in one {
            assert!(pause >= usual / 2 && pause <= usual * 3 / 2, "{pause:?} for {usual:?}");
            usual = (usual * 2).min(Pauses::LONGEST);
        }
    }

    #[test]
    fn opening_a_link_for_an_undo_is_retried_longest() {
        for reach in [Reach::Tcp(String::new()), Reach::Command(Vec::new())] {
            assert!(Persistence::Undo.limit(&reach) > Persistence::Usual.limit(&reach));
        }
    }
}
