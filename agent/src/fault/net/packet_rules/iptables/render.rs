//! Renders the rule of a fault as text for iptables. Installs nothing.
//!
//! Each built-in chain jumps to chains of ours, whose names end in
//! - `i`, `o` or `f` (input, output, forward): it chooses by peer;
//! - `is`, `id` and so on: these choose by the other conditions, for a peer at the source or at the destination;
//! - `ij` and so on: it lets the exempt traffic pass;
//! - `do`: it harms the rest while the gates are open. There is one such chain for all;
//! - `p`: it separates packets for this host from forwarded ones (table raw only).
//!
//! Choosing takes two steps, so that the number of rules is the sum of peers and ports instead of their product. The
//! nftables rules are made from the same list of exempt traffic.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId,
    fault::{Connections, Direction},
};
use ipnet::IpNet;

use super::clauses::{each_with, port_clauses};
use crate::fault::net::rules::{Action, End, PacketRule, Selector, Spared, peer_ends, protocols, spared};
use crate::host::{
    Host,
    iptables::{Chains, Gate, Rules, Table, prefix},
    nft::{expr::Family, table::Hook},
    queue,
};

/// The input from which the rules of a fault are rendered.
pub(super) struct Render<'a> {
    pub(super) host: &'a Host,
    pub(super) id: &'a InjectionId,
    pub(super) rule: &'a PacketRule,
    pub(super) families: &'a [Family],
    pub(super) gates: &'a [Gate],
    /// The hold's end by the wall clock, as iptables writes it, if the kernel has such a match.
    pub(super) until: Option<&'a str>,
}

impl Render<'_> {
    /// Returns all chains of the fault, and the jumps to them.
    pub(super) fn chains(&self) -> Chains {
        // Rules with queues are in table raw, so that they come before NAT changes any address.
        let table = if matches!(self.rule.action, Action::Queue(_)) { Table::Raw } else { Table::Filter };
        let rules = self.families.iter().map(|family| (*family, self.rules(*family, table)));
        Chains { table, prefix: prefix(self.id), rules: rules.collect::<BTreeMap<_, _>>() }
    }

    /// Whether the rules miss forwarded packets on their way to the peers although the fault is about them. Table raw sees
    /// packets before routing, so its rules cannot ask for the interface by which a packet will leave.
    pub(super) fn misses_forwarded_to_peers(rule: &PacketRule) -> bool {
        let Selector { direction, interfaces, user, forwarded, .. } = &rule.selector;
        let are_chosen = *forwarded && user.is_none() && *direction != Direction::In;
        matches!(rule.action, Action::Queue(_)) && are_chosen && !interfaces.is_empty()
    }

    /// Returns the whole name of a chain of ours.
    fn name(&self, ending: &str) -> String {
        format!("{}{ending}", prefix(self.id))
    }

    /// Returns the chains of one family, and the jumps to them.
    fn rules(&self, family: Family, table: Table) -> Rules {
        let mut rules = Rules::default();
        let mut hooks = Vec::new();
        for (hook, built_in, ending) in
            [(Hook::Input, "INPUT", "i"), (Hook::Output, "OUTPUT", "o"), (Hook::Forward, "FORWARD", "f")]
        {
            if self.choosing(&mut rules, family, hook, ending) {
                hooks.push((hook, built_in, ending));
            }
        }
        if hooks.is_empty() {
            return rules;
        }
        rules.chains.insert(0, (self.name("do"), self.harming(family)));
        if table == Table::Filter {
            rules.jumps =
                hooks.into_iter().map(|(_, built_in, ending)| (built_in, self.name(ending))).collect();
            return rules;
        }
        // In table raw, packets for this host and forwarded packets come through the same built-in chain, so a chain of ours
        // separates them. The type UNICAST is that of addresses of other hosts; this host's own are of type LOCAL.
        let mut separating = Vec::new();
        let has = |wanted| hooks.iter().any(|(hook, ..)| *hook == wanted);
        if has(Hook::Forward) || has(Hook::Input) {
            let forwarded =
                if has(Hook::Forward) { format!("-g {}", self.name("f")) } else { "-j RETURN".to_owned() };
            separating.push(format!("-m addrtype --dst-type UNICAST {forwarded}"));
            if has(Hook::Input) {
                separating.push(format!("-g {}", self.name("i")));
            }
            rules.chains.push((self.name("p"), separating));
            rules.jumps.push(("PREROUTING", self.name("p")));
        }
        if has(Hook::Output) {
            rules.jumps.push(("OUTPUT", self.name("o")));
        }
        rules
    }

    /// Adds the chains that choose at a hook, and the chain that lets the exempt traffic pass there. Returns false, and adds
    /// nothing, if no packet is chosen there.
    fn choosing(&self, rules: &mut Rules, family: Family, hook: Hook, ending: &str) -> bool {
        let selector = &self.rule.selector;
        // Forwarded packets have no user on this host.
        if hook == Hook::Forward && (!selector.forwarded || selector.user.is_some()) {
            return false;
        }
        let mut ends = peer_ends(hook, selector.direction);
        if hook == Hook::Forward && Self::misses_forwarded_to_peers(self.rule) {
            ends.retain(|end| *end == End::Source);
        }
        if ends.is_empty() {
            return false;
        }
        let judge = self.name(&format!("{ending}j"));
        let mut by_peer = Vec::new();
        if let (&Action::Queue(number), Hook::Output) = (&self.rule.action, hook) {
            // Packets that the queue reinjected have been in it already.
            by_peer.push(format!("-m owner --uid-owner {} -j RETURN", queue::sender(number)));
        }
        for end in &ends {
            let (option, narrowing) = match end {
                End::Source => ("-s", self.name(&format!("{ending}s"))),
                End::Destination => ("-d", self.name(&format!("{ending}d"))),
            };
            let peers = self.of_family(family, &selector.peers);
            if selector.peers.is_empty() {
                by_peer.push(format!("-j {narrowing}"));
            }
            by_peer.extend(peers.map(|peer| format!("{option} {peer} -j {narrowing}")));
            let rules_of_end =
                self.narrow(family, *end).into_iter().map(|rule| format!("{rule}-g {judge}")).collect();
            rules.chains.push((narrowing, rules_of_end));
        }
        rules.chains.push((self.name(ending), by_peer));
        rules.chains.push((judge, self.judging(family, hook)));
        true
    }

    /// Returns the networks of one family.
    fn of_family<'a>(
        &self,
        family: Family,
        networks: &'a [IpNet],
    ) -> impl Iterator<Item = &'a IpNet> + use<'a> {
        networks.iter().filter(move |network| network.addr().is_ipv4() == (family == Family::V4))
    }

    /// Returns the conditions other than the peers, as the beginnings of one or more rules. `end` is the end at which the
    /// peer is. Each beginning is empty or ends in a space.
    fn narrow(&self, family: Family, end: End) -> Vec<String> {
        let Selector { local_ports, remote_ports, interfaces, user, connections, .. } = &self.rule.selector;
        let opening = *connections == Some(Connections::New);
        let (peer_ports, host_ports, interface) = match end {
            End::Source => ("--sports", "--dports", "-i"),
            End::Destination => ("--dports", "--sports", "-o"),
        };
        let protocol =
            |number: &Option<u8>| number.map_or_else(String::new, |number| format!("-p {number} "));
        let mut rules: Vec<_> = protocols(&self.rule.selector, family).iter().map(protocol).collect();
        rules = each_with(rules, &port_clauses(remote_ports, peer_ports));
        rules = each_with(rules, &port_clauses(local_ports, host_ports));
        let interfaces: Vec<_> = interfaces.iter().map(|name| format!("{interface} {name} ")).collect();
        rules = each_with(rules, &interfaces);
        for rule in &mut rules {
            if opening {
                rule.push_str("-m tcp --tcp-flags SYN,ACK SYN ");
            }
            if let Some(user) = user {
                rule.push_str(&format!("-m owner --uid-owner {user} "));
            }
            if *connections == Some(Connections::Replies) {
                rule.push_str("-m conntrack --ctdir REPLY ");
            }
        }
        rules
    }

    /// Returns the rules of the chain `j` of a hook: first those that let the exempt traffic pass, then the jump to the chain
    /// that harms.
    fn judging(&self, family: Family, hook: Hook) -> Vec<String> {
        let (interface, own, peer) = match hook {
            Hook::Output | Hook::Egress => ("-o", "--sport", "--dport"),
            Hook::Input | Hook::Ingress | Hook::Forward => ("-i", "--dport", "--sport"),
        };
        let sides: &[&str] = match hook {
            Hook::Input | Hook::Ingress => &["-s"],
            Hook::Output | Hook::Egress => &["-d"],
            Hook::Forward => &["-s", "-d"],
        };
        let v4 = family == Family::V4;
        let mut rules = Vec::new();
        for spared in spared(self.host, hook, self.rule.loopback) {
            match spared {
                Spared::Loopback => rules.push(format!("{interface} lo")),
                Spared::Peer(address) if address.is_ipv4() == v4 => {
                    rules.extend(sides.iter().map(|side| format!("{side} {address}")));
                }
                Spared::OwnPort(port) => rules.push(format!("-p tcp -m tcp {own} {port}")),
                Spared::PeerPort(port) => rules.push(format!("-p tcp -m tcp {peer} {port}")),
                Spared::Udp(of_family, first, last) if of_family == family => {
                    rules.push(format!("-p udp -m udp --dport {first}:{last}"));
                }
                Spared::Icmp6(first, last) if !v4 => rules
                    .extend((first..=last).map(|kind| format!("-p ipv6-icmp -m icmp6 --icmpv6-type {kind}"))),
                Spared::Peer(_) | Spared::Udp(..) | Spared::Icmp6(..) => {}
            }
        }
        let ends = peer_ends(hook, Direction::Both);
        for network in self.of_family(family, &self.rule.except) {
            rules.extend(ends.iter().map(|end| match end {
                End::Source => format!("-s {network}"),
                End::Destination => format!("-d {network}"),
            }));
        }
        let mut rules: Vec<_> = rules.into_iter().map(|rule| format!("{rule} -j RETURN")).collect();
        rules.push(format!("-g {}", self.name("do")));
        rules
    }

    /// Returns the rules that harm the remaining packets while all gates are open.
    fn harming(&self, family: Family) -> Vec<String> {
        let mut open: String = self.gates.iter().map(|gate| gate.asked(self.id, family) + " ").collect();
        if let Some(until) = self.until {
            open.push_str(&format!("-m time --datestop {until} "));
        }
        match self.rule.action {
            Action::Drop => vec![format!("{open}-j DROP")],
            Action::Reject => {
                // ICMP "port unreachable".
                let unreachable = match family {
                    Family::V4 => "-p icmp -m icmp --icmp-type 3/3",
                    Family::V6 => "-p ipv6-icmp -m icmp6 --icmpv6-type 1/4",
                };
                vec![
                    // The kernel's own rejecting answers must pass, because they tell the sender of the rejection.
                    "-p tcp -m tcp --tcp-flags RST RST -j RETURN".to_owned(),
                    format!("{unreachable} -j RETURN"),
                    format!("-p tcp {open}-j REJECT --reject-with tcp-reset"),
                    format!("{open}-j REJECT"),
                ]
            }
            Action::Queue(number) => vec![format!("{open}-j NFQUEUE --queue-num {number} --queue-bypass")],
            // [`super::expressible`] has refused this already.
            Action::Line(_) => Vec::new(),
        }
    }
}
