//! The hosts of a run: how each is reached, whether its lease is renewed, and what of it is in the log.

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
    /// Whether something was armed on it. A touched host has to be healed and proven clean.
    touched: bool,
    /// Whether its lease is being renewed.
    active: watch::Sender<bool>,
    /// Number of its newest event in the log.
    last_seq: u64,
    boots: Boots,
}

/// The changes after a link works again.
pub(super) struct Back {
    /// Whether the host was rebooted; `None` if the link had not been lost and the host was not rebooted.
    pub(super) again: Option<bool>,
    /// The bins that waited for the clock.
    pub(super) early: Early,
}

/// All hosts of a run.
pub(super) struct Peers {
    hosts: BTreeMap<String, Peer>,
    /// The sign that the run's task is blocked. No lease is renewed then.
    blocked: Blocked,
}

impl Peers {
    /// Makes the peers of a run that has met no host.
    pub(super) const fn new(blocked: Blocked) -> Self {
        Self { hosts: BTreeMap::new(), blocked }
    }

    /// Starts to read the host's events, after `last_seq`; from now on its lease can be renewed. A host without `boot` was
    /// not reached yet and is waited for in the background.
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

    /// Returns the way to ask a host.
    pub(super) fn agent(&self, host: &str) -> Option<&Agent> {
        self.hosts.get(host).map(|peer| &peer.agent)
    }

    /// Returns the clocks of a host.
    pub(super) fn boots(&self, host: &str) -> Option<&Boots> {
        self.hosts.get(host).map(|peer| &peer.boots)
    }

    /// Returns the hosts on which something was armed.
    pub(super) fn touched(&self) -> impl Iterator<Item = (&String, &Agent)> {
        self.hosts.iter().filter(|(_, peer)| peer.touched).map(|(host, peer)| (host, &peer.agent))
    }

    /// Whether a host's events arrive.
    pub(super) fn is_reachable(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|peer| peer.reachable)
    }

    /// Something is armed on a host. Its lease is not renewed before all hosts have answered, so nothing starts.
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

    /// Stops renewing the leases of all hosts that are not busy.
    pub(super) fn rest(&self, busy: &HashSet<&str>) {
        for (_, peer) in self.hosts.iter().filter(|(name, _)| !busy.contains(name.as_str())) {
            // Turns it off, and tells so only if it was on.
            peer.active.send_if_modified(std::mem::take);
        }
    }

    /// An agent journaled an event. Returns when it happened; `None` for an event that is in the log already. If the clock of
    /// the event's boot was never measured, it is only known to have happened before now.
    pub(super) fn news(&mut self, host: &str, event: &AgentEvent, now_us: i64) -> Option<i64> {
        let peer = self.hosts.get_mut(host).filter(|peer| event.seq > peer.last_seq)?;
        peer.last_seq = event.seq;
        Some(peer.boots.at_us(&event.boot_id, event.boot_us).unwrap_or(now_us))
    }

    /// The link to a host broke. Returns whether that is new.
    pub(super) fn lost(&mut self, host: &str) -> bool {
        self.hosts.get_mut(host).is_some_and(|peer| std::mem::replace(&mut peer.reachable, false))
    }

    /// The link to a host works, and its clock was measured.
    pub(super) fn back(&mut self, host: &str, offset: &Offset, zero_us: i64) -> Option<Back> {
        let peer = self.hosts.get_mut(host)?;
        let was_lost = !std::mem::replace(&mut peer.reachable, true);
        let (rebooted, early) = peer.boots.measured(&offset.boot_id, zero_us);
        Some(Back { again: (was_lost || rebooted).then_some(rebooted), early })
    }

    /// Keeps a bin of a host until it can be placed.
    pub(super) fn keep(&mut self, host: &str, bin: Bin) {
        if let Some(peer) = self.hosts.get_mut(host) {
            peer.boots.keep(bin);
        }
    }

    /// Keeps what a host's agent found in a log until it can be placed.
    pub(super) fn keep_found(&mut self, host: &str, bin: LogBin) {
        if let Some(peer) = self.hosts.get_mut(host) {
            peer.boots.keep_found(bin);
        }
    }

    /// Drops the bins that could not be placed. Returns the hosts that measured them, and their numbers.
    pub(super) fn drop_early(&mut self) -> Vec<(String, usize)> {
        let dropped = self.hosts.iter_mut().map(|(name, peer)| (name.clone(), peer.boots.drop_early()));
        dropped.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns the boots that hosts are in.
    pub(super) fn newest_boots(&self) -> BTreeMap<String, String> {
        self.hosts.iter().map(|(name, peer)| (name.clone(), peer.boots.newest().to_owned())).collect()
    }

    /// Whether a host is reachable and was rebooted since `then`.
    pub(super) fn rebooted_since(&self, host: &str, then: &BTreeMap<String, String>) -> bool {
        self.hosts.get(host).is_some_and(|peer| {
            peer.reachable && then.get(host).map(String::as_str) != Some(peer.boots.newest())
        })
    }

    /// Takes over what an earlier coordinator knew: which hosts it touched, and the clocks that it measured.
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

    /// Returns those of the given hosts that belong to this run, with their agents.
    pub(super) fn among<'a>(&'a self, some: &BTreeSet<&String>) -> Vec<(&'a String, &'a Agent)> {
        let all = self.hosts.iter().filter(|(name, _)| some.contains(name));
        all.map(|(name, peer)| (name, &peer.agent)).collect()
    }
}
