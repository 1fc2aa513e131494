//! The rules of faults on traffic: which packets are chosen, what is exempt, what becomes of the rest.
//!
//! Each hook has a base chain that chooses packets and a second chain that judges those: exemptions first, then the
//! harm with its counter. Traffic that is not chosen pays for the choice only. An exemption accepts for our chain
//! alone; other tables still judge. Nothing here asks for connection tracking, which would switch it on for the host.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use firedrill_wire::{
    InjectionId,
    fault::{Direction, PortRange, Protocol, Refuse, Traffic},
};
use ipnet::IpNet;

use super::peers::Peers;
use crate::host::{
    Host,
    nft::{
        expr::{Base, Compare, Exprs, Family, Meta},
        interval::Intervals,
        table::{ALIVE, Chain, EARLY, Gate, Hook, Table, gated},
        table_name,
    },
    queue,
};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// The hardware type of loopback interfaces.
const LOOPBACK: u16 = 772;
/// The cloud's metadata service, never touched.
pub const METADATA: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];
const REMOTE_PORTS: &str = "remote_ports";
const LOCAL_PORTS: &str = "local_ports";

/// Queues come before all that drops, so that a packet that is sent again meets that then, and one after another, the
/// lowest number first.
const QUEUES: i32 = EARLY - 100;
/// How long packets go on to a queue whose loop does not say that it is alive.
pub const ALIVE_FOR: Duration = Duration::from_secs(2);

/// Which packets, seen from this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The peers; none means all.
    pub peers: Vec<IpNet>,
    /// Ports on this host; none means all.
    pub local_ports: Vec<(u16, u16)>,
    /// Ports on the peer; none means all.
    pub remote_ports: Vec<(u16, u16)>,
    /// The protocol; none means all, or TCP and UDP where ports are given.
    pub protocol: Option<Protocol>,
    /// Which way.
    pub direction: Direction,
    /// Whether what passes through the host is chosen too.
    pub forwarded: bool,
}

impl Choice {
    /// As a fault's parameters say, with the peers that were found.
    #[must_use]
    pub fn of(traffic: &Traffic<'_>, peers: &Peers) -> Self {
        let pairs = |ports: &[PortRange]| ports.iter().map(|range| (range.first, range.last)).collect();
        Self {
            peers: peers.all().collect(),
            local_ports: pairs(traffic.local_ports),
            remote_ports: pairs(traffic.remote_ports),
            protocol: traffic.protocol,
            direction: traffic.direction,
            forwarded: true,
        }
    }
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They go, and nobody is told.
    Drop,
    /// They go, and the sender is told.
    Reject,
    /// They go to the queue of that number, which decides. The queue keeps a third gate open itself.
    Queue(u16),
}

impl From<Refuse> for Fate {
    fn from(how: Refuse) -> Self {
        match how {
            Refuse::Drop => Self::Drop,
            Refuse::Reject => Self::Reject,
        }
    }
}

/// What is done to traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// To which packets.
    pub choice: Choice,
    /// Peers that stay reachable.
    pub except: Vec<IpNet>,
    /// What becomes of the packets.
    pub how: Fate,
}

/// Which end of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

/// A hook, and where packets come from there that go a direction.
const HOOKS: [(Hook, &str, &str); 3] = [
    (Hook::Input, "input", "judge_input"),
    (Hook::Output, "output", "judge_output"),
    (Hook::Forward, "forward", "judge_forward"),
];

/// The table that does a harm, with its gates.
#[must_use]
pub fn table(host: &Host, id: &InjectionId, harm: &Harm, lease: Duration, hold: Duration) -> Table {
    let mut sets = Vec::new();
    let peers = Intervals::networks(harm.choice.peers.iter().copied());
    let except = Intervals::networks(harm.except.iter().copied());
    for (networks, of) in [(&peers, "peers"), (&except, "except")] {
        sets.extend(networks.iter().map(|(family, networks)| (set_name(of, *family), networks.clone())));
    }
    for (name, ports) in [(LOCAL_PORTS, &harm.choice.local_ports), (REMOTE_PORTS, &harm.choice.remote_ports)]
    {
        if !ports.is_empty() {
            sets.push((name.to_owned(), Intervals::ports(ports.iter().copied())));
        }
    }
    let mut gates = Gate::usual(lease, hold);
    let mut priority = EARLY;
    if let Fate::Queue(number) = harm.how {
        gates.push(Gate { set: ALIVE, left: ALIVE_FOR });
        priority = QUEUES + i32::from(number.saturating_sub(queue::FIRST));
    }
    let mut judges = Vec::new();
    let mut choosers = Vec::new();
    for (hook, name, judge) in HOOKS {
        let mut rules = choosing(hook, judge, &harm.choice, &peers, &gates);
        if !rules.is_empty() {
            if let (Fate::Queue(number), Hook::Output) = (harm.how, hook) {
                rules.insert(0, done_already(number));
            }
            let mut verdicts = exemptions(host, hook);
            verdicts.extend(exceptions(hook, &except));
            verdicts.extend(harming(harm.how));
            judges.push(Chain { name: judge.to_owned(), hook: None, rules: verdicts });
            choosers.push(Chain { name: name.to_owned(), hook: Some((hook, priority)), rules });
        }
    }
    judges.extend(choosers);
    Table { name: table_name(id), comment: format!("firedrill {id}"), sets, chains: judges, gates }
}

/// What is exempt, for people.
#[must_use]
pub fn exempt(host: &Host) -> String {
    let ports: Vec<_> = control_ports(host).iter().map(u16::to_string).collect();
    format!(
        "never touched: loopback, TCP ports {} of this host (agent and SSH), TCP port {} of others (their agents), DHCP, \
         neighbour discovery, cloud metadata ({})",
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

fn set_name(of: &str, family: Family) -> String {
    match family {
        Family::V4 => format!("{of}4"),
        Family::V6 => format!("{of}6"),
    }
}

/// The ends at which a hook has the peer, for a direction.
fn peer_ends(hook: Hook, direction: Direction) -> Vec<End> {
    let inward = direction != Direction::Out;
    let outward = direction != Direction::In;
    match hook {
        Hook::Input if inward => vec![End::Source],
        Hook::Output if outward => vec![End::Destination],
        Hook::Forward => [(inward, End::Source), (outward, End::Destination)]
            .into_iter()
            .filter_map(|(wanted, end)| wanted.then_some(end))
            .collect(),
        Hook::Input | Hook::Output => Vec::new(),
    }
}

/// The rules of a base chain: each sends what it chooses to the chain that judges.
fn choosing(
    hook: Hook,
    judge: &str,
    choice: &Choice,
    peers: &BTreeMap<Family, Intervals>,
    gates: &[Gate],
) -> Vec<Exprs> {
    let ports = !choice.local_ports.is_empty() || !choice.remote_ports.is_empty();
    let ends = peer_ends(hook, choice.direction);
    let mut rules = Vec::new();
    if hook == Hook::Forward && !choice.forwarded {
        return rules;
    }
    for family in Family::BOTH {
        if !choice.peers.is_empty() && !peers.contains_key(&family) {
            continue;
        }
        let protocols: &[Option<u8>] = match (choice.protocol, family) {
            (Some(Protocol::Tcp), _) => &[Some(TCP)],
            (Some(Protocol::Udp), _) => &[Some(UDP)],
            (Some(Protocol::Icmp), Family::V4) => &[Some(ICMP)],
            (Some(Protocol::Icmp), Family::V6) => &[Some(ICMP6)],
            (None, _) if ports => &[Some(TCP), Some(UDP)],
            (None, _) => &[None],
        };
        for (&protocol, &end) in protocols.iter().flat_map(|one| ends.iter().map(move |end| (one, end))) {
            let mut rule = gated(gates).compare(Compare::Is, &[family.key()]);
            if !choice.peers.is_empty() {
                rule = address(rule, family, end).in_set(&set_name("peers", family));
            }
            if let Some(protocol) = protocol {
                rule = transport(rule, protocol);
            }
            let other = if end == End::Source { End::Destination } else { End::Source };
            if !choice.remote_ports.is_empty() {
                rule = port(rule, end).in_set(REMOTE_PORTS);
            }
            if !choice.local_ports.is_empty() {
                rule = port(rule, other).in_set(LOCAL_PORTS);
            }
            rules.push(rule.goto(judge));
        }
    }
    rules
}

/// Lets pass what a queue sent again that is this one or comes after it: it has been here.
fn done_already(number: u16) -> Exprs {
    let own = queue::TAG + u32::from(number.saturating_sub(queue::FIRST));
    let last = queue::TAG + u32::from(queue::MOST) - 1;
    let rule = Exprs::new().meta(Meta::Priority).network_order();
    rule.between(&own.to_be_bytes(), &last.to_be_bytes()).accept()
}

/// What is never harmed at a hook.
fn exemptions(host: &Host, hook: Hook) -> Vec<Exprs> {
    let ends: &[End] = match hook {
        Hook::Input => &[End::Source],
        Hook::Output => &[End::Destination],
        Hook::Forward => &[End::Source, End::Destination],
    };
    let mut rules = Vec::new();
    for metadata in METADATA.iter().filter_map(|text| text.parse().ok()) {
        rules.extend(ends.iter().map(|end| is_address(metadata, *end).accept()));
    }
    let (interface, local) = match hook {
        Hook::Input => (Meta::InputType, End::Destination),
        Hook::Output => (Meta::OutputType, End::Source),
        // What passes through is neither loopback nor the host's own control traffic.
        Hook::Forward => return rules,
    };
    rules.insert(0, Exprs::new().meta(interface).compare(Compare::Is, &LOOPBACK.to_ne_bytes()).accept());
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
        let rule = transport(of_family(family), UDP);
        let rule = port(rule, End::Destination).between(&first.to_be_bytes(), &(first + 1).to_be_bytes());
        rules.push(rule.accept());
    }
    // Neighbour discovery, and the multicast reports without which a switch stops carrying it.
    for (first, last) in [(130, 137), (143, 143)] {
        let rule = transport(of_family(Family::V6), ICMP6).payload(Base::Transport, 0, 1);
        rules.push(rule.between(&[first], &[last]).accept());
    }
    rules
}

/// Peers that the scenario itself exempts.
fn exceptions(hook: Hook, except: &BTreeMap<Family, Intervals>) -> Vec<Exprs> {
    let ends = peer_ends(hook, Direction::Both);
    except
        .keys()
        .flat_map(|family| ends.iter().map(move |end| (*family, *end)))
        .map(|(family, end)| {
            address(of_family(family), family, end).in_set(&set_name("except", family)).accept()
        })
        .collect()
}

/// What becomes of what is left.
fn harming(how: Fate) -> Vec<Exprs> {
    match how {
        Fate::Drop => vec![Exprs::new().counter().drop()],
        Fate::Queue(number) => vec![Exprs::new().counter().queue(number)],
        Fate::Reject => {
            let reset = transport(Exprs::new(), TCP).payload(Base::Transport, 13, 1);
            let unreachable = |family, protocol, what: &[u8]| {
                transport(of_family(family), protocol)
                    .payload(Base::Transport, 0, 2)
                    .compare(Compare::Is, what)
                    .accept()
            };
            vec![
                // The answers themselves must get out, or the sender would never be told.
                reset.mask(&[4]).compare(Compare::IsNot, &[0]).accept(),
                unreachable(Family::V4, ICMP, &[3, 3]),
                unreachable(Family::V6, ICMP6, &[1, 4]),
                transport(Exprs::new(), TCP).counter().reject_tcp(),
                Exprs::new().counter().reject(),
            ]
        }
    }
}

fn of_family(family: Family) -> Exprs {
    Exprs::new().meta(Meta::Family).compare(Compare::Is, &[family.key()])
}

fn transport(rule: Exprs, protocol: u8) -> Exprs {
    rule.meta(Meta::Transport).compare(Compare::Is, &[protocol])
}

fn port(rule: Exprs, end: End) -> Exprs {
    rule.payload(Base::Transport, if end == End::Source { 0 } else { 2 }, 2)
}

fn address(rule: Exprs, family: Family, end: End) -> Exprs {
    let (offset, length) = match (family, end) {
        (Family::V4, End::Source) => (12, 4),
        (Family::V4, End::Destination) => (16, 4),
        (Family::V6, End::Source) => (8, 16),
        (Family::V6, End::Destination) => (24, 16),
    };
    rule.payload(Base::Network, offset, length)
}

fn is_address(wanted: IpAddr, end: End) -> Exprs {
    match wanted {
        IpAddr::V4(wanted) => {
            address(of_family(Family::V4), Family::V4, end).compare(Compare::Is, &wanted.octets())
        }
        IpAddr::V6(wanted) => {
            address(of_family(Family::V6), Family::V6, end).compare(Compare::Is, &wanted.octets())
        }
    }
}
