//! What is never harmed: at a hook, and in words.

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_wire::fault::Direction;

use super::choosing::{
    End, ICMP6, TCP, UDP, address, is_address, of_family, peer_ends, port, set_name, transport,
};
use crate::host::{
    Host,
    nft::{
        expr::{Base, Compare, Exprs, Family, Meta},
        interval::Intervals,
        table::Hook,
    },
};

/// The hardware type of loopback interfaces.
const LOOPBACK: u16 = 772;
/// The cloud's metadata service, never touched.
pub const METADATA: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];

/// What is exempt, for people.
#[must_use]
pub fn exempt(host: &Host, loopback: bool) -> String {
    let ports: Vec<_> = control_ports(host).iter().map(u16::to_string).collect();
    format!(
        "never touched: {}TCP ports {} of this host (agent and SSH), TCP port {} of others (their agents), DHCP, \
         neighbour discovery, cloud metadata ({})",
        if loopback { "" } else { "loopback, " },
        ports.join(", "),
        host.agent_port,
        METADATA.join(", ")
    )
}

/// TCP ports of this host that are never touched: the agent's and SSH's.
#[must_use]
pub fn control_ports(host: &Host) -> Vec<u16> {
    let mut ports: Vec<_> =
        host.ssh.ports().into_iter().chain([host.agent_port]).filter(|port| *port != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Something that is never harmed, whichever engine writes the rule for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fault::net) enum Spared {
    /// What goes by a loopback interface.
    Loopback,
    /// An address, as the peer.
    Peer(IpAddr),
    /// A TCP port of this host.
    OwnPort(u16),
    /// A TCP port of others.
    PeerPort(u16),
    /// UDP of a family to these ports.
    Udp(Family, u16, u16),
    /// Types of ICMPv6.
    Icmp6(u8, u8),
}

/// All that is never harmed at a hook, in order.
pub(in crate::fault::net) fn spared(host: &Host, hook: Hook, loopback: bool) -> Vec<Spared> {
    let metadata = METADATA.iter().filter_map(|text| Some(Spared::Peer(text.parse().ok()?)));
    if hook == Hook::Forward {
        // What passes through is neither loopback nor the host's own control traffic.
        return metadata.collect();
    }
    let mut all: Vec<_> = (!loopback).then_some(Spared::Loopback).into_iter().chain(metadata).collect();
    all.extend(control_ports(host).into_iter().map(Spared::OwnPort));
    if host.agent_port != 0 {
        // The agents of others: the coordinator may be on this host, or its way to them lead over it.
        all.push(Spared::PeerPort(host.agent_port));
    }
    all.extend([Spared::Udp(Family::V4, 67, 68), Spared::Udp(Family::V6, 546, 547)]);
    // Neighbour discovery, and the multicast reports without which a switch stops carrying it.
    all.extend([Spared::Icmp6(130, 137), Spared::Icmp6(143, 143)]);
    all
}

/// The rules for what is never harmed at a hook.
pub(in crate::fault::net) fn exemptions(host: &Host, hook: Hook, loopback: bool) -> Vec<Exprs> {
    let (ends, interface): (&[End], _) = match hook {
        Hook::Input | Hook::Ingress => (&[End::Source], Meta::InputType),
        Hook::Output | Hook::Egress => (&[End::Destination], Meta::OutputType),
        Hook::Forward => (&[End::Source, End::Destination], Meta::InputType),
    };
    let local = if ends == [End::Source] { End::Destination } else { End::Source };
    let remote = if local == End::Source { End::Destination } else { End::Source };
    let tcp = |number: u16, end| {
        port(transport(Exprs::new(), TCP), end).compare(Compare::Is, &number.to_be_bytes())
    };
    let rule = |spared: Spared| match spared {
        Spared::Loopback => vec![Exprs::new().meta(interface).compare(Compare::Is, &LOOPBACK.to_ne_bytes())],
        Spared::Peer(peer) => ends.iter().map(|end| is_address(hook, peer, *end)).collect(),
        Spared::OwnPort(number) => vec![tcp(number, local)],
        Spared::PeerPort(number) => vec![tcp(number, remote)],
        Spared::Udp(family, first, last) => {
            let rule = transport(of_family(Exprs::new(), hook, family), UDP);
            vec![port(rule, End::Destination).between(&first.to_be_bytes(), &last.to_be_bytes())]
        }
        Spared::Icmp6(first, last) => {
            let rule = transport(of_family(Exprs::new(), hook, Family::V6), ICMP6);
            vec![rule.payload(Base::Transport, 0, 1).between(&[first], &[last])]
        }
    };
    spared(host, hook, loopback).into_iter().flat_map(rule).map(Exprs::accept).collect()
}

/// Peers that the scenario itself exempts.
pub(in crate::fault::net) fn exceptions(hook: Hook, except: &BTreeMap<Family, Intervals>) -> Vec<Exprs> {
    let ends = peer_ends(hook, Direction::Both);
    except
        .keys()
        .flat_map(|family| ends.iter().map(move |end| (*family, *end)))
        .map(|(family, end)| {
            address(of_family(Exprs::new(), hook, family), family, end)
                .in_set(&set_name("except", family))
                .accept()
        })
        .collect()
}
