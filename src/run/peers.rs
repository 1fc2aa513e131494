//! The hosts of a run: how each is reached, whether its lease is renewed, and what of it is in the log.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use firedrill_wire::{journal::AgentEvent, probe::Bin};
use tokio::sync::watch;

use super::{boots::Boots, facts::Facts, tasks::Tasks, watchers};
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
    pub(super) early: Vec<Bin>,
}

/// All hosts of a run.
#[derive(Default)]
pub(super) struct Peers(BTreeMap<String, Peer>);

impl Peers {
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
        watchers::renewal(agent.clone(), facts.id.clone(), facts.plan.lease, watching, tasks);
        watchers::events(name.to_owned(), agent.clone(), last_seq, boot.is_some(), tasks);
        let reachable = boot.is_some();
        let boots = Boots::in_boot(boot.unwrap_or_default());
        let peer = Peer { agent, reachable, touched: false, active, last_seq, boots };
        self.0.insert(name.to_owned(), peer);
    }

    /// Returns the way to ask a host.
    pub(super) fn agent(&self, host: &str) -> Option<&Agent> {
        self.0.get(host).map(|peer| &peer.agent)
    }

    /// Returns the clocks of a host.
    pub(super) fn boots(&self, host: &str) -> Option<&Boots> {
        self.0.get(host).map(|peer| &peer.boots)
    }

    /// Returns the hosts on which something was armed.
    pub(super) fn touched(&self) -> impl Iterator<Item = (&String, &Agent)> {
        self.0.iter().filter(|(_, peer)| peer.touched).map(|(host, peer)| (host, &peer.agent))
    }

    /// Whether a host's events arrive.
    pub(super) fn is_reachable(&self, host: &str) -> bool {
        self.0.get(host).is_some_and(|peer| peer.reachable)
    }

    /// Something is armed on a host. Its lease is not renewed before all hosts have answered, so nothing starts.
    pub(super) fn touch(&mut self, host: &str) {
        if let Some(peer) = self.0.get_mut(host) {
            peer.touched = true;
            peer.active.send_replace(false);
        }
    }

    /// Renews the lease of a host from now on.
    pub(super) fn renew(&self, host: &str) {
        if let Some(peer) = self.0.get(host) {
            peer.active.send_replace(true);
        }
    }

    /// Stops renewing the leases of all hosts that are not busy.
    pub(super) fn rest(&self, busy: &HashSet<&str>) {
        for (_, peer) in self.0.iter().filter(|(name, _)| !busy.contains(name.as_str())) {
            // Turns it off, and tells so only if it was on.
            peer.active.send_if_modified(std::mem::take);
        }
    }

    /// An agent journaled an event. Returns when it happened; `None` for an event that is in the log already. If the clock of
    /// the event's boot was never measured, it is only known to have happened before now.
    pub(super) fn news(&mut self, host: &str, event: &AgentEvent, now_us: i64) -> Option<i64> {
        let peer = self.0.get_mut(host).filter(|peer| event.seq > peer.last_seq)?;
        peer.last_seq = event.seq;
        Some(peer.boots.at_us(&event.boot_id, event.boot_us).unwrap_or(now_us))
    }

    /// The link to a host broke. Returns whether that is new.
    pub(super) fn lost(&mut self, host: &str) -> bool {
        self.0.get_mut(host).is_some_and(|peer| std::mem::replace(&mut peer.reachable, false))
    }

    /// The link to a host works, and its clock was measured.
    pub(super) fn back(&mut self, host: &str, offset: &Offset, zero_us: i64) -> Option<Back> {
        let peer = self.0.get_mut(host)?;
        let was_lost = !std::mem::replace(&mut peer.reachable, true);
        let (rebooted, early) = peer.boots.measured(&offset.boot_id, zero_us);
        Some(Back { again: (was_lost || rebooted).then_some(rebooted), early })
    }

    /// Keeps a bin of a host until it can be placed.
    pub(super) fn keep(&mut self, host: &str, bin: Bin) {
        if let Some(peer) = self.0.get_mut(host) {
            peer.boots.keep(bin);
        }
    }

    /// Drops the bins that could not be placed. Returns the hosts that measured them, and their numbers.
    pub(super) fn drop_early(&mut self) -> Vec<(String, usize)> {
        let dropped = self.0.iter_mut().map(|(name, peer)| (name.clone(), peer.boots.drop_early()));
        dropped.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns the boots that hosts are in.
    pub(super) fn newest_boots(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, peer)| (name.clone(), peer.boots.newest().to_owned())).collect()
    }

    /// Whether a host is reachable and was rebooted since `then`.
    pub(super) fn rebooted_since(&self, host: &str, then: &BTreeMap<String, String>) -> bool {
        self.0.get(host).is_some_and(|peer| {
            peer.reachable && then.get(host).map(String::as_str) != Some(peer.boots.newest())
        })
    }

    /// Takes over what an earlier coordinator knew: which hosts it touched, and the clocks that it measured.
    pub(super) fn resume(
        &mut self,
        touched: impl Fn(&str) -> bool,
        mut zeros: BTreeMap<String, BTreeMap<String, i64>>,
    ) {
        for (name, peer) in &mut self.0 {
            peer.touched = touched(name);
            peer.boots.were_measured(zeros.remove(name).unwrap_or_default());
        }
    }

    /// Returns those of the given hosts that belong to this run, with their agents.
    pub(super) fn among<'a>(&'a self, some: &BTreeSet<&String>) -> Vec<(&'a String, &'a Agent)> {
        let all = self.0.iter().filter(|(name, _)| some.contains(name));
        all.map(|(name, peer)| (name, &peer.agent)).collect()
    }
}
