//! The rules that choose packets at a hook, and their expressions. Packets that are not chosen cost only these rules.

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_wire::fault::{Connections, Direction, Protocol};

use super::selector::{FLOWS, Selector};
use crate::host::{
    nft::{
        expr::{Base, Compare, Exprs, Family, Meta},
        interval::Intervals,
        table::{Gate, Hook, gated},
    },
    queue,
};

/// IANA's number of TCP.
pub(super) const TCP: u8 = 6;
/// IANA's number of UDP.
pub(super) const UDP: u8 = 17;
/// IANA's number of ICMP.
pub(super) const ICMP: u8 = 1;
/// IANA's number of ICMPv6.
pub(super) const ICMP6: u8 = 58;
/// The name of the set of ports on the peer.
pub(super) const REMOTE_PORTS: &str = "remote_ports";
/// The name of the set of ports on this host.
pub(super) const LOCAL_PORTS: &str = "local_ports";
/// The name of the set of a service's cgroups.
pub(in crate::fault::net) const SERVICE: &str = "service";

/// One of the two ends of a packet's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fault::net) enum End {
    Source,
    Destination,
}

/// Returns the name of the set of the peers of a family.
pub(in crate::fault::net) fn peers_set(family: Family) -> String {
    set_name("peers", family)
}

/// Returns the name of a set of addresses of one family: `peers4`, `except6`.
pub(super) fn set_name(set: &str, family: Family) -> String {
    match family {
        Family::V4 => format!("{set}4"),
        Family::V6 => format!("{set}6"),
    }
}

/// Returns the ends at which the peer is in packets at a hook, if packets of this direction are chosen. Empty if no such
/// packets come through the hook.
pub(in crate::fault::net) fn peer_ends(hook: Hook, direction: Direction) -> Vec<End> {
    let inward = direction != Direction::Out;
    let outward = direction != Direction::In;
    match hook {
        Hook::Input | Hook::Ingress if inward => vec![End::Source],
        Hook::Output if outward => vec![End::Destination],
        Hook::Forward => [(inward, End::Source), (outward, End::Destination)]
            .into_iter()
            .filter_map(|(is_chosen, end)| is_chosen.then_some(end))
            .collect(),
        Hook::Input | Hook::Output | Hook::Ingress | Hook::Egress => Vec::new(),
    }
}

/// Returns the protocols that need a rule each; a single `None` if one rule chooses all protocols.
pub(in crate::fault::net) fn protocols(selector: &Selector, family: Family) -> &'static [Option<u8>] {
    let ports = !selector.local_ports.is_empty() || !selector.remote_ports.is_empty();
    match (selector.protocol, family) {
        (Some(Protocol::Tcp), _) => &[Some(TCP)],
        (None, _) if selector.connections == Some(Connections::New) => &[Some(TCP)],
        (Some(Protocol::Udp), _) => &[Some(UDP)],
        (Some(Protocol::Icmp), Family::V4) => &[Some(ICMP)],
        (Some(Protocol::Icmp), Family::V6) => &[Some(ICMP6)],
        (None, _) if ports => &[Some(TCP), Some(UDP)],
        (None, _) => &[None],
    }
}

/// Returns the rules of a base chain. Each sends the packets that it chooses to the chain `judge`.
pub(in crate::fault::net) fn choosing(
    hook: Hook,
    judge: &str,
    selector: &Selector,
    direction: Direction,
    peers: &BTreeMap<Family, Intervals>,
    gates: &[Gate],
) -> Vec<Exprs> {
    let ends = peer_ends(hook, direction);
    let mut rules = Vec::new();
    // A forwarded packet has no user and no socket on this host.
    let by_owner = selector.user.is_some() || selector.service.is_some();
    if hook == Hook::Forward && (!selector.forwarded || by_owner) {
        return rules;
    }
    for family in Family::BOTH {
        if !selector.peers.is_empty() && !peers.contains_key(&family) {
            continue;
        }
        let opening = selector.connections == Some(Connections::New);
        let protocols = protocols(selector, family).iter();
        for (&protocol, &end) in protocols.flat_map(|protocol| ends.iter().map(move |end| (protocol, end))) {
            let mut rule = of_family(gated(gates), hook, family);
            if !selector.peers.is_empty() {
                rule = address(rule, family, end).in_set(&peers_set(family));
            }
            if let Some(protocol) = protocol {
                rule = transport(rule, protocol);
            }
            let host_end = if end == End::Source { End::Destination } else { End::Source };
            if !selector.remote_ports.is_empty() {
                rule = port(rule, end).in_set(REMOTE_PORTS);
            }
            if !selector.local_ports.is_empty() {
                rule = port(rule, host_end).in_set(LOCAL_PORTS);
            }
            if opening {
                // The first packet of a connection has SYN (0x02) and not ACK (0x10) among the flags, in byte 13.
                rule = rule.payload(Base::Transport, 13, 1).mask(&[0x12]).compare(Compare::Is, &[0x02]);
            }
            rules.extend(narrowed(rule, hook, end, selector).map(|rule| rule.goto(judge)));
        }
    }
    rules
}

/// Adds the remaining conditions to a rule. Returns the rule once for each chosen interface, or once if all are chosen.
fn narrowed(mut rule: Exprs, hook: Hook, end: End, selector: &Selector) -> impl Iterator<Item = Exprs> {
    if let Some(user) = selector.user {
        rule = rule.meta(Meta::User).compare(Compare::Is, &user.to_ne_bytes());
    }
    if let Some(service) = &selector.service {
        rule = rule.cgroup(service.level()).in_set(SERVICE);
    }
    if let Some(tag) = selector.reinjected {
        let tagged = rule.meta(Meta::Priority).mask(&queue::OWNER_BITS.to_ne_bytes());
        rule = tagged.compare(Compare::Is, &tag.to_ne_bytes());
    }
    if let Some(flows) = selector.flows.filter(|flows| *flows < FLOWS) {
        rule = rule.flow_hash(FLOWS).network_order().compare(Compare::AtMost, &(flows - 1).to_be_bytes());
    }
    if selector.connections == Some(Connections::Replies) {
        rule = rule.is_reply();
    }
    let interface = match end {
        End::Source => Meta::InputName,
        End::Destination => Meta::OutputName,
    };
    // At the ingress hook the chain is attached to the chosen interfaces only.
    let names = if hook == Hook::Ingress { &[][..] } else { &selector.interfaces };
    let on_all = names.is_empty().then(|| rule.clone());
    on_all.into_iter().chain(names.iter().map(move |name| {
        // The kernel compares names of interfaces as 16 bytes, filled up with zeros.
        let mut padded = [0; 16];
        padded.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        rule.clone().meta(interface).compare(Compare::Is, &padded)
    }))
}

/// Adds to a rule that the packet must be of one family.
pub(super) fn of_family(rule: Exprs, hook: Hook, family: Family) -> Exprs {
    match hook {
        Hook::Input | Hook::Forward | Hook::Output => {
            rule.meta(Meta::Family).compare(Compare::Is, &[family.key()])
        }
        Hook::Ingress | Hook::Egress => {
            let protocol = match family {
                Family::V4 => libc::ETH_P_IP,
                Family::V6 => libc::ETH_P_IPV6,
            };
            let [_, _, high, low] = protocol.to_be_bytes();
            rule.meta(Meta::Protocol).compare(Compare::Is, &[high, low])
        }
    }
}

/// Adds to a rule that the packet must be of one transport protocol.
pub(super) fn transport(rule: Exprs, protocol: u8) -> Exprs {
    rule.meta(Meta::Transport).compare(Compare::Is, &[protocol])
}

/// Adds to a rule that it loads the port at an end of the packet, for a comparison that follows.
pub(super) fn port(rule: Exprs, end: End) -> Exprs {
    rule.payload(Base::Transport, if end == End::Source { 0 } else { 2 }, 2)
}

/// Adds to a rule that it loads the address at an end of the packet, for a comparison that follows.
pub(super) fn address(rule: Exprs, family: Family, end: End) -> Exprs {
    // Places in the headers of IPv4 and IPv6, in bytes.
    let (offset, length) = match (family, end) {
        (Family::V4, End::Source) => (12, 4),
        (Family::V4, End::Destination) => (16, 4),
        (Family::V6, End::Source) => (8, 16),
        (Family::V6, End::Destination) => (24, 16),
    };
    rule.payload(Base::Network, offset, length)
}

/// Returns a rule for the packets that have this address at an end.
pub(super) fn is_address(hook: Hook, wanted: IpAddr, end: End) -> Exprs {
    match wanted {
        IpAddr::V4(wanted) => address(of_family(Exprs::new(), hook, Family::V4), Family::V4, end)
            .compare(Compare::Is, &wanted.octets()),
        IpAddr::V6(wanted) => address(of_family(Exprs::new(), hook, Family::V6), Family::V6, end)
            .compare(Compare::Is, &wanted.octets()),
    }
}
