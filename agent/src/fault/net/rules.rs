//! The rules of faults on traffic: which packets are chosen, what is exempt, what becomes of the rest.
//!
//! Each hook has a base chain that chooses packets and a second chain that judges those: exemptions first, then the
//! harm with its counter. Traffic that is not chosen pays for the choice only. An exemption accepts for our chain
//! alone; other tables still judge. Nothing here asks for connection tracking, which would switch it on for the host.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use firedrill_wire::{
    InjectionId, Share,
    fault::{Connections, Direction, PortRange, Protocol, Refuse, Traffic},
};
use ipnet::IpNet;

use super::{detour::Detour, peers::Peers};
use crate::host::{
    Host,
    nft::{
        expr::{Base, Compare, Exprs, Family, Meta},
        interval::Intervals,
        table::{ALIVE, Chain, EARLY, Gate, Hook, Place, Table, gated},
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
/// After connection tracking, before an administrator's tables; for rules that ask it.
const TRACKED: i32 = -190;
/// Flows are chosen by so many parts.
const FLOWS: u32 = 10_000;
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
    /// Interfaces that packets come or go by; none means all.
    pub interfaces: Vec<String>,
    /// The number of the user whose packets are meant, of those that this host sends.
    pub user: Option<u32>,
    /// How many of 10,000 flows.
    pub flows: Option<u32>,
    /// Which packets of connections.
    pub connections: Option<Connections>,
    /// Whether peers of either family may come later: names are among them.
    pub followed: bool,
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
            interfaces: traffic.interfaces.to_vec(),
            user: peers.user,
            flows: traffic.flows.map(flows),
            connections: traffic.connections,
            followed: peers.names().next().is_some(),
            forwarded: true,
        }
    }
}

impl Default for Choice {
    /// All of it.
    fn default() -> Self {
        Self::of(&Traffic::all(Direction::Both), &Peers::default())
    }
}

/// Of 10,000, and at least one.
fn flows(share: Share) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share lies between 0 and 1"
    )]
    let flows = (share.fraction() * f64::from(FLOWS)).round() as u32;
    flows.clamp(1, FLOWS)
}

/// What becomes of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They go, and nobody is told.
    Drop,
    /// They go, and the sender is told.
    Reject,
    /// They go to the queue of that number, which decides. The queue keeps a third gate open itself.
    Queue(u16),
    /// They take a line, whose qdiscs decide.
    Line(Detour),
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
    /// Whether loopback is reached too.
    pub loopback: bool,
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
    let mut peers = Intervals::networks(harm.choice.peers.iter().copied());
    if harm.choice.followed {
        for family in Family::BOTH {
            peers.entry(family).or_insert_with(|| Intervals::none_of(family));
        }
    }
    let except = Intervals::networks(harm.except.iter().copied());
    let mut direction = harm.choice.direction;
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
    let mut priority = if harm.choice.connections == Some(Connections::Replies) { TRACKED } else { EARLY };
    if let Fate::Queue(number) = harm.how {
        gates.push(Gate { set: ALIVE, left: ALIVE_FOR });
        priority = QUEUES + i32::from(number.saturating_sub(queue::FIRST));
    }
    let mut twin = None;
    if let Fate::Line(detour) = &harm.how {
        twin = Some(Box::new(detour.twin(host, harm, &peers, &except, &gates)));
        // What arrives is marked on the interfaces.
        direction = Direction::Out;
    }
    let mut judges = Vec::new();
    let mut choosers = Vec::new();
    for (hook, name, judge) in HOOKS {
        if twin.is_some() && harm.choice.direction == Direction::In {
            break;
        }
        let mut rules = choosing(hook, judge, &harm.choice, direction, &peers, &gates);
        if !rules.is_empty() {
            if let (&Fate::Queue(number), Hook::Output) = (&harm.how, hook) {
                rules.insert(0, done_already(number));
            }
            let mut verdicts = exemptions(host, hook, harm.loopback);
            verdicts.extend(exceptions(hook, &except));
            verdicts.extend(harming(&harm.how));
            judges.push(Chain { name: judge.to_owned(), place: None, rules: verdicts });
            choosers.push(Chain { name: name.to_owned(), place: Some(Place::at(hook, priority)), rules });
        }
    }
    judges.extend(choosers);
    let mut table = Table {
        name: table_name(id),
        comment: comment(id),
        sets,
        chains: judges,
        gates,
        twin,
        ..Table::default()
    };
    if let Some(twin) = &mut table.twin {
        twin.name = table.name.clone();
        twin.comment = table.comment.clone();
        if harm.choice.direction != Direction::Out {
            twin.sets = table.sets.clone();
        }
    }
    table
}

fn comment(id: &InjectionId) -> String {
    format!("firedrill {id}")
}

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

/// The set of the peers of a family.
pub(super) fn peers_set(family: Family) -> String {
    set_name("peers", family)
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
        Hook::Input | Hook::Ingress if inward => vec![End::Source],
        Hook::Output if outward => vec![End::Destination],
        Hook::Forward => [(inward, End::Source), (outward, End::Destination)]
            .into_iter()
            .filter_map(|(wanted, end)| wanted.then_some(end))
            .collect(),
        Hook::Input | Hook::Output | Hook::Ingress | Hook::Egress => Vec::new(),
    }
}

/// The rules of a base chain: each sends what it chooses to the chain that judges.
pub(super) fn choosing(
    hook: Hook,
    judge: &str,
    choice: &Choice,
    direction: Direction,
    peers: &BTreeMap<Family, Intervals>,
    gates: &[Gate],
) -> Vec<Exprs> {
    let ports = !choice.local_ports.is_empty() || !choice.remote_ports.is_empty();
    let ends = peer_ends(hook, direction);
    let mut rules = Vec::new();
    // What passes through has no user here.
    if hook == Hook::Forward && (!choice.forwarded || choice.user.is_some()) {
        return rules;
    }
    for family in Family::BOTH {
        if !choice.peers.is_empty() && !peers.contains_key(&family) {
            continue;
        }
        let opening = choice.connections == Some(Connections::New);
        let protocols: &[Option<u8>] = match (choice.protocol, family) {
            (Some(Protocol::Tcp), _) => &[Some(TCP)],
            (None, _) if opening => &[Some(TCP)],
            (Some(Protocol::Udp), _) => &[Some(UDP)],
            (Some(Protocol::Icmp), Family::V4) => &[Some(ICMP)],
            (Some(Protocol::Icmp), Family::V6) => &[Some(ICMP6)],
            (None, _) if ports => &[Some(TCP), Some(UDP)],
            (None, _) => &[None],
        };
        for (&protocol, &end) in protocols.iter().flat_map(|one| ends.iter().map(move |end| (one, end))) {
            let mut rule = of_family(gated(gates), hook, family);
            if !choice.peers.is_empty() {
                rule = address(rule, family, end).in_set(&peers_set(family));
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
            if opening {
                // SYN without ACK: the first packet of a connection, whoever sends it.
                rule = rule.payload(Base::Transport, 13, 1).mask(&[0x12]).compare(Compare::Is, &[0x02]);
            }
            rules.extend(narrowed(rule, hook, end, choice).map(|rule| rule.goto(judge)));
        }
    }
    rules
}

/// The rule once for each interface, with what else chooses more narrowly.
fn narrowed(mut rule: Exprs, hook: Hook, end: End, choice: &Choice) -> impl Iterator<Item = Exprs> {
    if let Some(user) = choice.user {
        rule = rule.meta(Meta::User).compare(Compare::Is, &user.to_ne_bytes());
    }
    if let Some(flows) = choice.flows.filter(|flows| *flows < FLOWS) {
        rule = rule.flow_hash(FLOWS).network_order().compare(Compare::AtMost, &(flows - 1).to_be_bytes());
    }
    if choice.connections == Some(Connections::Replies) {
        rule = rule.is_reply();
    }
    let by = match end {
        End::Source => Meta::InputName,
        End::Destination => Meta::OutputName,
    };
    // At an interface's own hook the chain has only those that are meant.
    let names = if hook == Hook::Ingress { &[][..] } else { &choice.interfaces };
    let all = names.is_empty().then(|| rule.clone());
    all.into_iter().chain(names.iter().map(move |name| {
        let mut padded = [0; 16];
        padded.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        rule.clone().meta(by).compare(Compare::Is, &padded)
    }))
}

/// Lets pass what a queue sent again that is this one or comes after it: it has been here.
fn done_already(number: u16) -> Exprs {
    let own = queue::TAG + u32::from(number.saturating_sub(queue::FIRST));
    let last = queue::TAG + u32::from(queue::MOST) - 1;
    let rule = Exprs::new().meta(Meta::Priority).network_order();
    rule.between(&own.to_be_bytes(), &last.to_be_bytes()).accept()
}

/// What is never harmed at a hook.
pub(super) fn exemptions(host: &Host, hook: Hook, loopback: bool) -> Vec<Exprs> {
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
pub(super) fn exceptions(hook: Hook, except: &BTreeMap<Family, Intervals>) -> Vec<Exprs> {
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

/// What becomes of what is left.
fn harming(how: &Fate) -> Vec<Exprs> {
    match how {
        Fate::Line(detour) => detour.marking(),
        Fate::Drop => vec![Exprs::new().counter().drop()],
        Fate::Queue(number) => vec![Exprs::new().counter().queue(*number)],
        Fate::Reject => {
            let reset = transport(Exprs::new(), TCP).payload(Base::Transport, 13, 1);
            let unreachable = |family, protocol, what: &[u8]| {
                transport(of_family(Exprs::new(), Hook::Output, family), protocol)
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

/// Goes on with one family only.
fn of_family(rule: Exprs, hook: Hook, family: Family) -> Exprs {
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

fn is_address(hook: Hook, wanted: IpAddr, end: End) -> Exprs {
    match wanted {
        IpAddr::V4(wanted) => address(of_family(Exprs::new(), hook, Family::V4), Family::V4, end)
            .compare(Compare::Is, &wanted.octets()),
        IpAddr::V6(wanted) => address(of_family(Exprs::new(), hook, Family::V6), Family::V6, end)
            .compare(Compare::Is, &wanted.octets()),
    }
}
