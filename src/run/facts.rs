//! The facts of a run that are known from its beginning and do not change.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use firedrill_approval::Tree;
use firedrill_wire::{InjectionId, RunId};

use super::clock::{RunClock, signed};
use crate::{approval, link::Identity, plan::Plan};

/// The facts of a run. Every part may read them.
pub(super) struct Facts {
    pub(super) id: RunId,
    pub(super) plan: Arc<Plan>,
    /// The digest of the plan.
    pub(super) digest: String,
    /// The hosts that faults of the plan touch.
    pub(super) targets: BTreeSet<String>,
    /// The hosts that a fault of the plan switches off or restarts.
    down: BTreeSet<String>,
    /// See [`Self::faults`].
    faults: OnceLock<Tree>,
    pub(super) clock: RunClock,
    /// The person who runs it.
    pub(super) operator: String,
    /// That person's certificate, and the trust anchors for approvals.
    pub(super) identity: Arc<Identity>,
}

impl Facts {
    pub(super) fn new(
        id: RunId,
        plan: Arc<Plan>,
        clock: RunClock,
        operator: String,
        identity: Arc<Identity>,
    ) -> Self {
        let injections = plan.attacks.iter().flat_map(|attack| &attack.injections);
        let down = injections
            .filter(|injection| injection.fault.takes_host_down())
            .map(|injection| injection.host.clone())
            .collect();
        Self {
            digest: plan.digest(),
            targets: plan.targets().into_iter().map(str::to_owned).collect(),
            plan,
            id,
            down,
            faults: OnceLock::new(),
            clock,
            operator,
            identity,
        }
    }

    /// Returns the id of an injection by its place in the plan. It is the same for prepare, arm and undo.
    pub(super) fn injection_id(&self, attack: usize, place: usize) -> InjectionId {
        let text = format!("{}-{}-{}", self.id, attack + 1, place + 1);
        text.parse().unwrap_or_else(|_| unreachable!("a run's id leaves room for two numbers"))
    }

    /// Whether a fault of the plan switches a host off or restarts it.
    pub(super) fn goes_down(&self, host: &str) -> bool {
        self.down.contains(host)
    }

    /// Returns the tree of the plan's faults. It is made only once, because that takes seconds for large fleets.
    pub(super) fn faults(&self) -> &Tree {
        self.faults.get_or_init(|| approval::faults_of(&self.plan))
    }

    /// Returns the current time on the run's clock.
    pub(super) fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Returns the lease in microseconds.
    pub(super) fn lease_us(&self) -> i64 {
        signed(self.plan.lease.as_micros())
    }
}
