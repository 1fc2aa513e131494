//! The hosts of a run: the link to each, whether its lease is renewed, its clocks, and its newest event in the log. Asks no host itself.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use firedrill_wire::{journal::AgentEvent, logs::LogBin, probe::Bin};
use tokio::sync::watch;

use super::{
    blocked::Blocked,
    boots::{Boots, Early},
    facts::Facts,
    tasks::Tasks,
    watchers::{self, Lively},
};
use crate::link::{Agent, Offset};

/// A host of the run.
struct Peer {
    agent: Agent,
    reachable: bool,
    /// Whether something was armed on it. Such a host has to be healed and proven clean.
    touched: bool,
    /// Tells the task that renews its lease whether to do so.
    active: watch::Sender<bool>,
    /// Number of its newest event in the log.
    last_seq: u64,
    boots: Boots,
}

/// The changes when the link to a host works and its clock was measured.
pub(super) struct Back {
    /// Whether the host was rebooted; `None` if nothing changed: the link had not been lost, and the host was not rebooted.
    pub(super) again: Option<bool>,
    /// The bins that waited for this clock.
    pub(super) early: Early,
}

/// All hosts of a run.
pub(super) struct Peers {
    hosts: BTreeMap<String, Peer>,
    /// Shows whether the run's task is blocked. Then no lease is renewed.
    blocked: Blocked,
}

impl Peers {
    /// A run without hosts yet.
    pub(super) const fn new(blocked: Blocked) -> Self {
        Self { hosts: BTreeMap::new(), blocked }
    }

    /// Adds a host: starts to read its events after number `last_seq`, and prepares the renewal of its lease. `boot` is the id of its boot;
    /// `None` means that the host was not reached yet, and is waited for in the background.
    pub(super) fn meet(
        &mut self,
        (facts, tasks): (&Facts, &Tasks),
        name: &str,
        agent: Agent,
        last_seq: u64,
        boot: Option<String>,
    ) {
        let (active, watching) = watch::channel(false);
        let lively = Lively { clock: facts.clock, blocked: self.blocked.clone() };
        watchers::renewal((agent.clone(), facts.id.clone()), facts.plan.lease, watching, lively, tasks);
        watchers::events(name.to_owned(), agent.clone(), last_seq, boot.is_some(), tasks);
        let reachable = boot.is_some();
        let boots = Boots::in_boot(boot.unwrap_or_default());
        let peer = Peer { agent, reachable, touched: false, active, last_seq, boots };
        self.hosts.insert(name.to_owned(), peer);
    }

    /// Returns the agent of a host; `None` if the host was not added.
    pub(super) fn agent(&self, host: &str) -> Option<&Agent> {
        self.hosts.get(host).map(|peer| &peer.agent)
    }

    /// Returns the clocks of a host; `None` if the host was not added.
    pub(super) fn boots(&self, host: &str) -> Option<&Boots> {
        self.hosts.get(host).map(|peer| &peer.boots)
    }

    /// Returns the hosts on which something was armed.
    pub(super) fn touched(&self) -> impl Iterator<Item = (&String, &Agent)> {
        self.hosts.iter().filter(|(_, peer)| peer.touched).map(|(host, peer)| (host, &peer.agent))
    }

    /// Whether the link to a host works.
    pub(super) fn is_reachable(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|peer| peer.reachable)
    }

    /// Notes that something is armed on a host, and stops to renew its lease: nothing starts there until [`Self::renew`].
    pub(super) fn touch(&mut self, host: &str) {
        if let Some(peer) = self.hosts.get_mut(host) {
            peer.touched = true;
            peer.active.send_replace(false);
        }
    }

    /// Renews the lease of a host from now on.
    pub(super) fn renew(&self, host: &str) {
        if let Some(peer) = self.hosts.get(host) {
            peer.active.send_replace(true);
        }
    }

    /// Stops to renew the leases of all hosts except the `busy` ones.
    pub(super) fn rest(&self, busy: &HashSet<&str>) {
        for (_, peer) in self.hosts.iter().filter(|(name, _)| !busy.contains(name.as_str())) {
            // `take` sets the value to false, and returns whether it was true before; only then the task is notified.
            peer.active.send_if_modified(std::mem::take);
        }
    }

    /// Takes an event that an agent journaled. Returns its time on the run's clock; `None` if the event is in the log already. If the clock
    /// of the event's boot was never measured, returns `now_us`: the event is only known to have happened before.
    pub(super) fn news(&mut self, host: &str, event: &AgentEvent, now_us: i64) -> Option<i64> {
        let peer = self.hosts.get_mut(host).filter(|peer| event.seq > peer.last_seq)?;
        peer.last_seq = event.seq;
        Some(peer.boots.at_us(&event.boot_id, event.boot_us).unwrap_or(now_us))
    }

    /// Notes that the link to a host broke. Returns whether it worked before.
    pub(super) fn lost(&mut self, host: &str) -> bool {
        self.hosts.get_mut(host).is_some_and(|peer| std::mem::replace(&mut peer.reachable, false))
    }

    /// Notes that the link to a host works, and that its clock was measured: `zero_us` is its clock at the run's time 0.
    pub(super) fn back(&mut self, host: &str, offset: &Offset, zero_us: i64) -> Option<Back> {
        let peer = self.hosts.get_mut(host)?;
        let was_lost = !std::mem::replace(&mut peer.reachable, true);
        let (rebooted, early) = peer.boots.measured(&offset.boot_id, zero_us);
        Some(Back { again: (was_lost || rebooted).then_some(rebooted), early })
    }

    /// Keeps a bin of a host until the clock of its boot is measured.
    pub(super) fn keep(&mut self, host: &str, bin: Bin) {
        if let Some(peer) = self.hosts.get_mut(host) {
            peer.boots.keep(bin);
        }
    }

    /// Keeps a bin of a host's log until the clock of its boot is measured.
    pub(super) fn keep_found(&mut self, host: &str, bin: LogBin) {
        if let Some(peer) = self.hosts.get_mut(host) {
            peer.boots.keep_found(bin);
        }
    }

    /// Gives up the bins that have no place in time. Returns the hosts that have such bins, with their numbers.
    pub(super) fn drop_early(&mut self) -> Vec<(String, usize)> {
        let dropped = self.hosts.iter_mut().map(|(name, peer)| (name.clone(), peer.boots.drop_early()));
        dropped.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns the id of the newest boot of each host.
    pub(super) fn newest_boots(&self) -> BTreeMap<String, String> {
        self.hosts.iter().map(|(name, peer)| (name.clone(), peer.boots.newest().to_owned())).collect()
    }

    /// Whether a host is reachable and in another boot than in `earlier`, the result of [`Self::newest_boots`].
    pub(super) fn rebooted_since(&self, host: &str, earlier: &BTreeMap<String, String>) -> bool {
        self.hosts.get(host).is_some_and(|peer| {
            peer.reachable && earlier.get(host).map(String::as_str) != Some(peer.boots.newest())
        })
    }

    /// Takes over the knowledge of an earlier coordinator of the run: the hosts that it touched, and the clocks that it measured.
    pub(super) fn resume(
        &mut self,
        touched: impl Fn(&str) -> bool,
        mut zeros: BTreeMap<String, BTreeMap<String, i64>>,
    ) {
        for (name, peer) in &mut self.hosts {
            peer.touched = touched(name);
            peer.boots.were_measured(zeros.remove(name).unwrap_or_default());
        }
    }

    /// Returns those hosts of `names` that were added, with their agents.
    pub(super) fn among<'a>(&'a self, names: &BTreeSet<&String>) -> Vec<(&'a String, &'a Agent)> {
        let found = self.hosts.iter().filter(|(name, _)| names.contains(name));
        found.map(|(name, peer)| (name, &peer.agent)).collect()
    }
}
