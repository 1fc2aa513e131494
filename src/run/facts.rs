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
    pub(super) digest: String,
    /// The hosts that faults of the plan touch.
    pub(super) targets: BTreeSet<String>,
    /// The hosts that faults of the plan take down.
    down: BTreeSet<String>,
    /// See [`Self::faults`].
    faults: OnceLock<Tree>,
    pub(super) clock: RunClock,
    /// The person who runs it.
    pub(super) operator: String,
    /// That person's certificate; approvals are verified by its trust anchors.
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
        let down = injections.filter(|one| one.fault.takes_host_down()).map(|one| one.host.clone()).collect();
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

    /// Returns the id of an injection. It is the same for prepare, arm and undo, and does not depend on answers.
    pub(super) fn injection_id(&self, attack: usize, place: usize) -> InjectionId {
        let text = format!("{}-{}-{}", self.id, attack + 1, place + 1);
        text.parse().unwrap_or_else(|_| unreachable!("a run's id leaves room for two numbers"))
    }

    /// Whether a fault of the plan takes a host down.
    pub(super) fn goes_down(&self, host: &str) -> bool {
        self.down.contains(host)
    }

    /// Returns the tree of the plan's faults. It is made once: for large fleets that takes seconds.
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
