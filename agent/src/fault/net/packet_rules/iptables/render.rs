//! Renders a harm as iptables rules. Each built-in chain gets chains of ours: one that chooses by peer, further ones
//! that choose by the other conditions, and one that spares the exempt traffic. All of them share one chain that harms,
//! behind the gates.
//!
//! Choosing takes two steps, so that the number of rules is the sum of peers and ports instead of their product. The
//! list of spared traffic is the one from which the nftables rules are made, too.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId,
    fault::{Connections, Direction},
};
use ipnet::IpNet;

use super::clauses::{chunks, each};
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
    pub(super) fn chains(&self) -> Chains {
        // Queues come first, in table raw, before NAT changes any address.
        let table = if matches!(self.rule.action, Action::Queue(_)) { Table::Raw } else { Table::Filter };
        let rules = self.families.iter().map(|family| (*family, self.rules(*family, table)));
        Chains { table, prefix: prefix(self.id), rules: rules.collect::<BTreeMap<_, _>>() }
    }

    /// Whether the rules miss forwarded packets on their way to the peers although the fault is about them.
    pub(super) fn leaves_out_leaving(rule: &PacketRule) -> bool {
        let Selector { direction, interfaces, user, forwarded, .. } = &rule.selector;
        let meant = *forwarded && user.is_none() && *direction != Direction::In;
        matches!(rule.action, Action::Queue(_)) && meant && !interfaces.is_empty()
    }

    fn name(&self, short: &str) -> String {
        format!("{}{short}", prefix(self.id))
    }

    fn rules(&self, family: Family, table: Table) -> Rules {
        let mut rules = Rules::default();
        let mut hooks = Vec::new();
        for (hook, from, short) in
            [(Hook::Input, "INPUT", "i"), (Hook::Output, "OUTPUT", "o"), (Hook::Forward, "FORWARD", "f")]
        {
            if self.choosing(&mut rules, family, hook, short) {
                hooks.push((hook, from, short));
            }
        }
        if hooks.is_empty() {
            return rules;
        }
        rules.chains.insert(0, (self.name("do"), self.harming(family)));
        if table == Table::Filter {
            rules.jumps = hooks.into_iter().map(|(_, from, short)| (from, self.name(short))).collect();
            return rules;
        }
        // In table raw, packets for this host and packets to forward come through the same built-in chain, so a chain
        // of ours separates them.
        let mut parting = Vec::new();
        let has = |wanted| hooks.iter().any(|(hook, ..)| *hook == wanted);
        if has(Hook::Forward) || has(Hook::Input) {
            let through =
                if has(Hook::Forward) { format!("-g {}", self.name("f")) } else { "-j RETURN".to_owned() };
            parting.push(format!("-m addrtype --dst-type UNICAST {through}"));
            if has(Hook::Input) {
                parting.push(format!("-g {}", self.name("i")));
            }
            rules.chains.push((self.name("p"), parting));
            rules.jumps.push(("PREROUTING", self.name("p")));
        }
        if has(Hook::Output) {
            rules.jumps.push(("OUTPUT", self.name("o")));
        }
        rules
    }

    /// Adds the chains that choose at a hook. Returns whether anything is chosen there.
    fn choosing(&self, rules: &mut Rules, family: Family, hook: Hook, short: &str) -> bool {
        let selector = &self.rule.selector;
        // Forwarded packets have no user on this host.
        if hook == Hook::Forward && (!selector.forwarded || selector.user.is_some()) {
            return false;
        }
        let mut ends = peer_ends(hook, selector.direction);
        if hook == Hook::Forward && Self::leaves_out_leaving(self.rule) {
            ends.retain(|end| *end == End::Source);
        }
        if ends.is_empty() {
            return false;
        }
        let judge = self.name(&format!("{short}j"));
        let mut first = Vec::new();
        if let (&Action::Queue(number), Hook::Output) = (&self.rule.action, hook) {
            // Packets that the queue reinjected have been in it already.
            first.push(format!("-m owner --uid-owner {} -j RETURN", queue::sender(number)));
        }
        for end in &ends {
            let (side, more) = match end {
                End::Source => ("s", self.name(&format!("{short}s"))),
                End::Destination => ("d", self.name(&format!("{short}d"))),
            };
            let peers = self.of_family(family, &selector.peers);
            if selector.peers.is_empty() {
                first.push(format!("-j {more}"));
            }
            first.extend(peers.map(|peer| format!("-{side} {peer} -j {more}")));
            let narrow =
                self.narrow(family, *end).into_iter().map(|rule| format!("{rule}-g {judge}")).collect();
            rules.chains.push((more, narrow));
        }
        rules.chains.push((self.name(short), first));
        rules.chains.push((judge, self.judging(family, hook)));
        true
    }

    fn of_family<'a>(&self, family: Family, all: &'a [IpNet]) -> impl Iterator<Item = &'a IpNet> + use<'a> {
        all.iter().filter(move |network| network.addr().is_ipv4() == (family == Family::V4))
    }

    /// Returns the conditions other than the peers, as one or more beginnings of rules. Each is empty or ends in a
    /// space.
    fn narrow(&self, family: Family, end: End) -> Vec<String> {
        let Selector { local_ports, remote_ports, interfaces, user, connections, .. } = &self.rule.selector;
        let opening = *connections == Some(Connections::New);
        let (of_peer, of_host, by) = match end {
            End::Source => ("--sports", "--dports", "-i"),
            End::Destination => ("--dports", "--sports", "-o"),
        };
        let protocol =
            |number: &Option<u8>| number.map_or_else(String::new, |number| format!("-p {number} "));
        let mut all: Vec<_> = protocols(&self.rule.selector, family).iter().map(protocol).collect();
        all = each(all, &chunks(remote_ports, of_peer));
        all = each(all, &chunks(local_ports, of_host));
        all = each(all, &interfaces.iter().map(|name| format!("{by} {name} ")).collect::<Vec<_>>());
        for rule in &mut all {
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
        all
    }

    /// Returns the rules of the chain that spares: first those for the exempt traffic, then the jump to the chain that
    /// harms.
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
        for one in spared(self.host, hook, self.rule.loopback) {
            match one {
                Spared::Loopback => rules.push(format!("{interface} lo")),
                Spared::Peer(address) if address.is_ipv4() == v4 => {
                    rules.extend(sides.iter().map(|side| format!("{side} {address}")));
                }
                Spared::OwnPort(port) => rules.push(format!("-p tcp -m tcp {own} {port}")),
                Spared::PeerPort(port) => rules.push(format!("-p tcp -m tcp {peer} {port}")),
                Spared::Udp(of, first, last) if of == family => {
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
                let told = match family {
                    Family::V4 => "-p icmp -m icmp --icmp-type 3/3",
                    Family::V6 => "-p ipv6-icmp -m icmp6 --icmpv6-type 1/4",
                };
                vec![
                    // The rejecting answers themselves must pass, or the sender would never be told.
                    "-p tcp -m tcp --tcp-flags RST RST -j RETURN".to_owned(),
                    format!("{told} -j RETURN"),
                    format!("-p tcp {open}-j REJECT --reject-with tcp-reset"),
                    format!("{open}-j REJECT"),
                ]
            }
            Action::Queue(number) => vec![format!("{open}-j NFQUEUE --queue-num {number} --queue-bypass")],
            // [`super::sayable`] has refused this already.
            Action::Line(_) => Vec::new(),
        }
    }
}
