//! One run as the supervisor knows it: its lease, the people who took part, and the faults that were asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use firedrill_wire::{
    Fault, InjectionId, Span,
    fault::{PeerSet, list_bytes},
};

use crate::{control::Caller, policy::Approved};

/// Tells plans apart: a digest of a plan's own digest, whose length its caller chooses. Without a block of its own, because
/// each small block that is kept for a run keeps a whole page in use.
pub(in crate::supervisor) type PlanKey = [u8; 32];

/// Returns the key of a plan with that digest.
pub(in crate::supervisor) fn plan_key(digest: &str) -> PlanKey {
    let mut key = PlanKey::default();
    key.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, digest.as_bytes()).as_ref());
    key
}

/// One run, from its first prepare on.
#[derive(Default)]
pub(in crate::supervisor) struct Run {
    /// The plan that it was prepared for; all zero before.
    pub(in crate::supervisor) plan: PlanKey,
    pub(in crate::supervisor) environment: Option<Arc<str>>,
    pub(in crate::supervisor) asks: BTreeMap<InjectionId, Asked>,
    /// The bytes that the asks take.
    pub(super) asks_bytes: usize,
    /// The injections that were armed with approvals. Each is armed once while the run is remembered.
    pub(in crate::supervisor) armed: BTreeSet<InjectionId>,
    /// Lists of peers of the asks, each once.
    pub(super) lists: HashSet<Arc<[String]>>,
    pub(in crate::supervisor) lease: Span,
    pub(in crate::supervisor) lease_until: u64,
    pub(in crate::supervisor) renewals: u64,
    pub(in crate::supervisor) heard_boot_us: u64,
    /// The lease ended while something was open.
    pub(in crate::supervisor) over: bool,
    /// The time at which this process began to take its snapshot (CLOCK_BOOTTIME, microseconds). It has seen the
    /// whole run since then. `None` if another process took it.
    pub(in crate::supervisor) began_boot_us: Option<u64>,
    /// The owner: the first person who was allowed something in it. Only the owner may continue the run; anybody may
    /// end it.
    pub(in crate::supervisor) owner: Option<Arc<str>>,
    /// The people who took part in it, one for each certificate.
    pub(in crate::supervisor) held_by: Arc<[Arc<Caller>]>,
    /// The name of the person whose certificate is no longer trusted, if the run was ended for that.
    pub(in crate::supervisor) distrusted: Option<String>,
}

impl Run {
    /// Records that a person took part.
    pub(in crate::supervisor) fn add_participant(&mut self, caller: &Caller) {
        let known = self.held_by.iter().any(|other| other.certificate == caller.certificate);
        if !known && caller.certificate.is_some() {
            let new = Arc::new(caller.clone());
            self.held_by = self.held_by.iter().cloned().chain([new]).collect();
        }
    }
}

/// A fault for which prepare was asked, with its fingerprint.
#[derive(Clone)]
pub(in crate::supervisor) struct Asked {
    pub(in crate::supervisor) fault: Fault,
    pub(in crate::supervisor) fingerprint: String,
    /// The time for which it is to hold. Approvals are for this time.
    pub(in crate::supervisor) hold: Span,
    /// The people who have approved it, and the time at which that was verified (CLOCK_BOOTTIME, microseconds).
    pub(in crate::supervisor) approved: Approved,
    pub(in crate::supervisor) asked_boot_us: u64,
}

impl Run {
    /// Remembers the faults that were asked. Equal lists of peers are held once.
    pub(in crate::supervisor) fn remember(&mut self, asks: Vec<(InjectionId, Asked)>) {
        for (id, mut ask) in asks {
            for peers in ask.fault.selectors_mut() {
                peers.share(&mut self.lists);
            }
            self.asks.insert(id, ask);
        }
        self.weigh();
    }

    /// Forgets the faults that were asked, and frees their memory. Their lists of peers too, although injections of the
    /// run may still hold them.
    pub(in crate::supervisor) fn forget_asks(&mut self) {
        self.asks = BTreeMap::new();
        self.lists = HashSet::new();
        self.weigh();
    }

    pub(super) fn weigh(&mut self) {
        // Drops lists that only an earlier answer to the same question held.
        self.lists.retain(|list| Arc::strong_count(list) > 1);
        self.asks_bytes = self.asks.values().map(Asked::bytes).sum::<usize>()
            + self.lists.iter().map(|list| list_bytes(list)).sum::<usize>();
    }
}

impl Asked {
    /// Returns its size in bytes without its lists of peers.
    pub(super) fn bytes(&self) -> usize {
        let mut fault = self.fault.clone();
        for peers in fault.selectors_mut() {
            *peers = PeerSet::default();
        }
        size_of::<Self>()
            + serde_json::to_vec(&fault).map_or(0, |json| json.len())
            + self.fingerprint.len()
            + self.approved.bytes()
    }
}
