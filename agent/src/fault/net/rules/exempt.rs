//! What is never harmed: at a hook, and in words.

use std::collections::BTreeMap;

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
        host.ssh_ports.iter().copied().chain([host.agent_port]).filter(|port| *port != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// What is never harmed at a hook.
pub(in crate::fault::net) fn exemptions(host: &Host, hook: Hook, loopback: bool) -> Vec<Exprs> {
    let ends: &[End] = match hook {
        Hook::Input | Hook::Ingress => &[End::Source],
        Hook::Output | Hook::Egress => &[End::Destination],
        Hook::Forward => &[End::Source, End::Destination],
    };
    let mut rules = Vec::new();
    for metadata in METADATA.iter().filter_map(|text| text.parse().ok()) {
        rules.extend(ends.iter().map(|end| is_address(hook, metadata, *end).accept()));
    }
    let (interface, local) = match hook {
        Hook::Input | Hook::Ingress => (Meta::InputType, End::Destination),
        Hook::Output | Hook::Egress => (Meta::OutputType, End::Source),
        // What passes through is neither loopback nor the host's own control traffic.
        Hook::Forward => return rules,
    };
    if !loopback {
        rules.insert(0, Exprs::new().meta(interface).compare(Compare::Is, &LOOPBACK.to_ne_bytes()).accept());
    }
    for number in control_ports(host) {
        let rule = transport(Exprs::new(), TCP);
        rules.push(port(rule, local).compare(Compare::Is, &number.to_be_bytes()).accept());
    }
    if host.agent_port != 0 {
        // The agents of others: the coordinator may be on this host, or its way to them lead over it.
        let remote = if local == End::Source { End::Destination } else { End::Source };
        let rule = port(transport(Exprs::new(), TCP), remote);
        rules.push(rule.compare(Compare::Is, &host.agent_port.to_be_bytes()).accept());
    }
    for (family, first) in [(Family::V4, 67_u16), (Family::V6, 546)] {
        let rule = transport(of_family(Exprs::new(), hook, family), UDP);
        let rule = port(rule, End::Destination).between(&first.to_be_bytes(), &(first + 1).to_be_bytes());
        rules.push(rule.accept());
    }
    // Neighbour discovery, and the multicast reports without which a switch stops carrying it.
    for (first, last) in [(130, 137), (143, 143)] {
        let rule = transport(of_family(Exprs::new(), hook, Family::V6), ICMP6).payload(Base::Transport, 0, 1);
        rules.push(rule.between(&[first], &[last]).accept());
    }
    rules
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
