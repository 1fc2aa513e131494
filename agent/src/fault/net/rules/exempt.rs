//! The traffic that is never harmed, as rules for a hook and in words for people.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

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

/// The hardware type of loopback interfaces (`ARPHRD_LOOPBACK`).
const LOOPBACK: u16 = 772;
/// The addresses of the metadata service of clouds, which is never touched.
pub const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Returns the exempt traffic in words for people.
#[must_use]
pub fn exempt(host: &Host, loopback: bool) -> String {
    let ports: Vec<_> = control_ports(host).iter().map(u16::to_string).collect();
    format!(
        "never touched: {}TCP ports {} of this host (agent and SSH), TCP port {} of others (their agents), DHCP, \
         neighbour discovery, cloud metadata ({})",
        if loopback { "" } else { "loopback, " },
        ports.join(", "),
        host.agent_port,
        METADATA.map(|address| address.to_string()).join(", ")
    )
}

/// Returns the TCP ports of this host that are never touched: the agent's and SSH's.
#[must_use]
pub fn control_ports(host: &Host) -> Vec<u16> {
    let mut ports: Vec<_> =
        host.ssh.ports().into_iter().chain([host.agent_port]).filter(|port| *port != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A kind of traffic that is never harmed. Each firewall makes its own rules from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fault::net) enum Spared {
    /// Packets on a loopback interface.
    Loopback,
    /// Packets from or to this peer.
    Peer(IpAddr),
    /// A TCP port of this host.
    OwnPort(u16),
    /// A TCP port of a peer.
    PeerPort(u16),
    /// UDP packets of a family to these ports, first and last.
    Udp(Family, u16, u16),
    /// ICMPv6 packets of these types, first and last.
    Icmp6(u8, u8),
}

/// Returns all kinds of traffic that are never harmed at a hook, in the order of the rules. With `loopback`, the fault reaches
/// loopback, too.
pub(in crate::fault::net) fn spared(host: &Host, hook: Hook, loopback: bool) -> Vec<Spared> {
    let metadata = METADATA.into_iter().map(Spared::Peer);
    if hook == Hook::Forward {
        // Forwarded packets are neither loopback nor the host's own control traffic.
        return metadata.collect();
    }
    let mut spared: Vec<_> = (!loopback).then_some(Spared::Loopback).into_iter().chain(metadata).collect();
    spared.extend(control_ports(host).into_iter().map(Spared::OwnPort));
    if host.agent_port != 0 {
        // The agents of other hosts: the coordinator may run on this host, or reach them through it.
        spared.push(Spared::PeerPort(host.agent_port));
    }
    // DHCP and DHCPv6.
    spared.extend([Spared::Udp(Family::V4, 67, 68), Spared::Udp(Family::V6, 546, 547)]);
    // Neighbour discovery, and the multicast reports without which a switch stops forwarding neighbour discovery.
    spared.extend([Spared::Icmp6(130, 137), Spared::Icmp6(143, 143)]);
    spared
}

/// Returns the rules for traffic that is never harmed at a hook.
pub(in crate::fault::net) fn exemptions(host: &Host, hook: Hook, loopback: bool) -> Vec<Exprs> {
    let (ends, interface): (&[End], _) = match hook {
        Hook::Input | Hook::Ingress => (&[End::Source], Meta::InputType),
        Hook::Output | Hook::Egress => (&[End::Destination], Meta::OutputType),
        Hook::Forward => (&[End::Source, End::Destination], Meta::InputType),
    };
    // Ports are spared only for the host's own packets, which have the host at one end and the peer at the other.
    let (local, remote) =
        if ends == [End::Source] { (End::Destination, End::Source) } else { (End::Source, End::Destination) };
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

/// Returns the rules for peers that the scenario itself exempts.
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
