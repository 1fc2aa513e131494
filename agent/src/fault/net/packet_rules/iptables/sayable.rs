//! The rules that iptables can express, and the address families that a rule is about.

use std::fs;

use firedrill_wire::fault::Engine;

use crate::{
    fault::net::rules::{Action, PacketRule, Selector},
    host::nft::expr::Family,
};

/// Checks that iptables rules can express a rule; the error says why they cannot.
pub(super) fn sayable(rule: &PacketRule) -> Result<(), String> {
    let Selector {
        peers,
        local_ports: _,
        remote_ports: _,
        protocol: _,
        direction: _,
        interfaces,
        user: _,
        service,
        again: _,
        flows,
        connections: _,
        followed: _,
        forwarded: _,
    } = &rule.selector;
    if matches!(rule.action, Action::Line(_)) {
        return Err("packets of several faults cannot be sent through lines of the kernel".to_owned());
    }
    let most = peers.len().max(rule.except.len());
    if most > Engine::IPTABLES_PEERS {
        let peers = Engine::IPTABLES_PEERS;
        return Err(format!("{most} peers need nftables: a rule for each, {peers} at most"));
    }
    if service.is_some() {
        return Err("a service's packets need nftables; choose by `user` or ports".to_owned());
    }
    if flows.is_some() {
        return Err("a share of the flows needs nftables: iptables draws anew for each packet".to_owned());
    }
    // Rules are text, so only names without special characters can stand in them.
    let plain = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|one| one.is_ascii_alphanumeric() || "._-@".contains(one))
    };
    match interfaces.iter().find(|name| !plain(name)) {
        Some(odd) => Err(format!("an interface of the name {odd:?} cannot stand in a rule")),
        None => Ok(()),
    }
}

/// Returns the address families that the fault is about: those of the peers, or all that the host has.
pub(super) fn families(rule: &PacketRule) -> Vec<Family> {
    let all = rule.selector.peers.is_empty();
    let named = |v4: bool| rule.selector.peers.iter().any(|peer| peer.addr().is_ipv4() == v4);
    let has_v6 = || fs::read_to_string("/proc/thread-self/net/if_inet6").is_ok_and(|text| !text.is_empty());
    let mut families = Vec::new();
    if all || rule.selector.followed || named(true) {
        families.push(Family::V4);
    }
    // A name may get addresses of the other family later.
    if named(false) || (all || rule.selector.followed) && has_v6() {
        families.push(Family::V6);
    }
    families
}
