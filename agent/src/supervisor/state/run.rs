//! One run as the supervisor knows it: its lease, the people who took part, and the faults that were prepared. Data only.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use firedrill_wire::{
    Fault, InjectionId, Span,
    fault::{PeerSet, list_bytes},
};

use crate::{control::Caller, policy::Approved};

/// Identifies a plan: a digest of the plan's own digest, which is a text of any length. This digest has a fixed length and so needs no
/// separate block of memory, which would keep a whole page in use for each run.
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
    /// The plan for which it was prepared; all zero before.
    pub(in crate::supervisor) plan: PlanKey,
    /// The environment that its scenario names; `None` if it names none.
    pub(in crate::supervisor) environment: Option<Arc<str>>,
    /// The faults that were prepared and may be armed.
    pub(in crate::supervisor) asks: BTreeMap<InjectionId, Asked>,
    /// The size of the asks in memory, in bytes.
    pub(super) asks_bytes: usize,
    /// The injections that were armed with approvals. Each is armed once while the run is remembered.
    pub(in crate::supervisor) armed: BTreeSet<InjectionId>,
    /// The lists of peers of the asks. Equal lists are one.
    pub(super) lists: HashSet<Arc<[String]>>,
    /// The length of the lease.
    pub(in crate::supervisor) lease: Span,
    /// The end of the lease (CLOCK_BOOTTIME, microseconds).
    pub(in crate::supervisor) lease_until: u64,
    /// Number of renewals so far.
    pub(in crate::supervisor) renewals: u64,
    /// The time of the last call of its coordinator that prepared, armed, renewed or measured (CLOCK_BOOTTIME, microseconds).
    pub(in crate::supervisor) heard_boot_us: u64,
    /// Whether the lease ended while an injection was open.
    pub(in crate::supervisor) over: bool,
    /// The time at which this process began to take the run's snapshot (CLOCK_BOOTTIME, microseconds); `None` if another process took
    /// it. This process has seen everything since then.
    pub(in crate::supervisor) began_boot_us: Option<u64>,
    /// The owner: the first person who was allowed an act in it; `None` before. Only the owner may continue the run; everybody may
    /// end it.
    pub(in crate::supervisor) owner: Option<Arc<str>>,
    /// The people who took part in it, one for each certificate.
    pub(in crate::supervisor) held_by: Arc<[Arc<Caller>]>,
    /// The name of the person whose certificate is no longer trusted, if the run was ended for that reason.
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

/// A fault that was prepared, with its fingerprint.
#[derive(Clone)]
pub(in crate::supervisor) struct Asked {
    pub(in crate::supervisor) fault: Fault,
    pub(in crate::supervisor) fingerprint: String,
    /// The time for which it is to hold. Approvals are for this time.
    pub(in crate::supervisor) hold: Span,
    /// The people who have approved it.
    pub(in crate::supervisor) approved: Approved,
    /// The time at which it was prepared and its approvals were verified (CLOCK_BOOTTIME, microseconds).
    pub(in crate::supervisor) asked_boot_us: u64,
}

impl Run {
    /// Remembers faults that were prepared. Equal lists of peers are held once.
    pub(in crate::supervisor) fn remember(&mut self, asks: Vec<(InjectionId, Asked)>) {
        for (id, mut ask) in asks {
            for peers in ask.fault.selectors_mut() {
                peers.share(&mut self.lists);
            }
            self.asks.insert(id, ask);
        }
        self.weigh();
    }

    /// Forgets the faults that were prepared, and their lists of peers. The memory of a list is freed once no injection of the run holds it.
    pub(in crate::supervisor) fn forget_asks(&mut self) {
        self.asks = BTreeMap::new();
        self.lists = HashSet::new();
        self.weigh();
    }

    /// Counts the bytes of the asks again.
    pub(super) fn weigh(&mut self) {
        // Drops lists that no fault holds any more, because it was prepared again.
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
