//! Decides whether iptables can express a rule, and of which address families the rule is. Reads only.

use std::fs;

use firedrill_wire::fault::Engine;

use crate::{
    fault::net::rules::{Action, PacketRule, Selector},
    host::nft::expr::Family,
};

/// Checks that iptables can express a rule.
///
/// # Errors
/// The reason why it cannot.
pub(super) fn check_expressible(rule: &PacketRule) -> Result<(), String> {
    // All fields are named, so that this does not compile with a new field that it does not handle.
    let Selector {
        peers,
        local_ports: _,
        remote_ports: _,
        protocol: _,
        direction: _,
        interfaces,
        user: _,
        service,
        reinjected: _,
        flows,
        connections: _,
        followed: _,
        forwarded: _,
    } = &rule.selector;
    if matches!(rule.action, Action::Line(_)) {
        return Err("packets cannot be redirected to an ifb".to_owned());
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
    let is_plain = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-@".contains(letter))
    };
    match interfaces.iter().find(|name| !is_plain(name)) {
        Some(special) => Err(format!("an interface of the name {special:?} cannot stand in a rule")),
        None => Ok(()),
    }
}

/// Returns the address families that the fault is about: those of the peers, or all that the host has if the fault is about
/// all peers.
pub(super) fn families(rule: &PacketRule) -> Vec<Family> {
    let peers = &rule.selector.peers;
    // A name among the peers may get addresses of the other family later.
    let may_be_any = peers.is_empty() || rule.selector.followed;
    let has_v6 = || fs::read_to_string("/proc/thread-self/net/if_inet6").is_ok_and(|text| !text.is_empty());
    let mut families = Vec::new();
    if may_be_any || peers.iter().any(|peer| peer.addr().is_ipv4()) {
        families.push(Family::V4);
    }
    if (may_be_any && has_v6()) || peers.iter().any(|peer| peer.addr().is_ipv6()) {
        families.push(Family::V6);
    }
    families
}
