//! Exchanges of packets between hosts of a run. They try out the paths that a fault is about, and each has an expected
//! result under the fault.
//!
//! Exchanges follow from the plan alone, so that the run and the judgement use the same ones. They use only packets
//! that hosts answer anyway: an ICMP echo, or a handshake with a TCP port that the fault chooses. Traffic that cannot
//! be tried in this way is reported: traffic of one user, UDP, names that only the agent looks up.

mod networks;

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    rc::Rc,
};

use firedrill_wire::{
    Span,
    exchange::{Exchange, Way},
    fault::{Direction, PeerSet, Protocol, Traffic, Trial},
};

pub use firedrill_wire::fault::Expect;

use self::networks::Networks;
use super::model::{Attack, COORDINATOR, Host, Injection, Plan};

/// Maximum number of exchanges at one moment of an attack.
const MOST: usize = 24;
/// Maximum number of other hosts with which one injection is tried out.
const PEERS: usize = 2;
/// Maximum number of excluded texts that are compared one by one.
const FEW: usize = 8;
/// Maximum wait for an answer, without the delay that the fault adds.
const PATIENCE: Span = Span::millis(900);
/// Time from the start of the fault to the start of an exchange.
pub const AFTER_START: Span = Span::millis(500);
/// Minimum time from the end of an exchange to the end of the fault.
const BEFORE_END: Span = Span::millis(300);

/// An exchange for one injection.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The host that asks.
    pub asker: String,
    /// The host that is asked.
    pub other: String,
    /// The packets to send.
    pub ask: Exchange,
    /// The expected result.
    pub expect: Expect,
    /// Maximum number of its packets that the counters of one fault on the asker can have seen.
    pub counted: u64,
    /// The same for a fault on the host that is asked.
    pub counted_there: u64,
}

/// Returns, for each injection of an attack, its exchanges or the reason why it cannot be tried out. The list is empty
/// if the kind is not about traffic.
pub fn all(plan: &Plan, attack: &Attack) -> Vec<Result<Vec<Pair>, String>> {
    Finder::new(plan).all(attack)
}

/// Finds exchanges for several attacks of one plan.
pub struct Finder<'p> {
    plan: &'p Plan,
    by_name: HashMap<&'p str, &'p Host>,
    /// Hosts with whose agents the run has a link: targets and vantages.
    linked: Vec<&'p Host>,
    /// Lists of peers, by [`PeerSet::key`] or the address in memory of an excluded list. Neither changes as long as the plan lives.
    lists: HashMap<usize, Rc<Networks>>,
    /// Hosts that may be peers, by the key that [`Finder::peers`] makes.
    peers: HashMap<[usize; 4], Rc<[&'p Host]>>,
}

impl<'p> Finder<'p> {
    /// Prepares for the attacks of this plan.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let by_name: HashMap<&str, &Host> =
            plan.hosts.iter().map(|host| (host.name.as_str(), host)).collect();
        let mut names: BTreeSet<&str> = plan.targets();
        let vantages = plan.probes.iter().flat_map(|probe| &probe.from).map(String::as_str);
        names.extend(vantages.filter(|name| *name != COORDINATOR));
        let linked = plan.hosts.iter().filter(|host| names.contains(host.name.as_str())).collect();
        Self { plan, by_name, linked, lists: HashMap::new(), peers: HashMap::new() }
    }

    /// Returns, for each injection of an attack, its exchanges or the reason why it cannot be tried out. The list is
    /// empty if the kind is not about traffic.
    pub fn all(&mut self, attack: &'p Attack) -> Vec<Result<Vec<Pair>, String>> {
        let mut left = MOST;
        let enough = || format!("{MOST} exchanges of this attack are enough");
        attack
            .injections
            .iter()
            .map(|injection| {
                let wanted = match injection.fault.about().trial {
                    Trial::None => return Ok(Vec::new()),
                    Trial::Impossible(why) => return Err(why.to_owned()),
                    Trial::Path { traffic, expect, count, adds } => Wanted { traffic, expect, count, adds },
                };
                let Some(host) = self.by_name.get(injection.host.as_str()).copied() else {
                    return Ok(Vec::new());
                };
                let (way, turned) = way(&wanted.traffic)?;
                if left == 0 {
                    return Err(enough());
                }
                let pairs = self.pairs(injection, &wanted, (way, turned), host)?;
                if pairs.len() > left {
                    return Err(enough());
                }
                left -= pairs.len();
                Ok(pairs)
            })
            .collect()
    }

    /// Returns the exchanges for one injection, with the first [`PEERS`] other hosts that it can be tried out with. With
    /// `turned` the other hosts ask.
    fn pairs(
        &mut self,
        injection: &Injection,
        wanted: &Wanted<'p>,
        (way, turned): (Way, bool),
        host: &'p Host,
    ) -> Result<Vec<Pair>, String> {
        let traffic = &wanted.traffic;
        let meant = Meant { to: self.selection(traffic.to), except: self.selection(traffic.except) };
        let mut pairs = Vec::new();
        for other in self.peers(traffic, turned, &meant).iter().filter(|other| other.name != host.name) {
            let addresses = addresses(other, host, &meant);
            pairs.extend(addresses.filter_map(|address| pair(wanted, (way, turned), host, other, address)));
            // A host with addresses of two families has two exchanges.
            let hosts: BTreeSet<_> = pairs.iter().map(|pair: &Pair| (&pair.asker, &pair.other)).collect();
            if hosts.len() == PEERS {
                break;
            }
        }
        let Some(first) = pairs.first() else {
            return Err("no peer is a host of the fleet that could be asked".to_owned());
        };
        let least = AFTER_START + first.ask.takes() + BEFORE_END;
        if injection.hold < least {
            return Err(format!("a hold of {} is too short for it; it takes {least}", injection.hold));
        }
        Ok(pairs)
    }

    /// Returns the hosts with an address that the fault may choose, in the fleet's order; with `linked` only those with whose
    /// agents the run has a link. All injections with the same lists share the result, which ignores exclusions of only a few
    /// texts ([`Meant::may`]).
    fn peers(&mut self, traffic: &Traffic<'p>, linked: bool, meant: &Meant) -> Rc<[&'p Host]> {
        let out = if meant.to.without.is_some() { traffic.to.but().as_ptr().addr() } else { 0 };
        let key = [traffic.to.key(), out, traffic.except.key(), usize::from(linked)];
        let (plan, with_links) = (self.plan, &self.linked);
        let found = self.peers.entry(key).or_insert_with(|| {
            let may = |host: &&Host| host.addresses.iter().any(|address| meant.may(*address));
            if linked {
                with_links.iter().copied().filter(may).collect()
            } else {
                plan.hosts.iter().filter(may).collect()
            }
        });
        Rc::clone(found)
    }

    /// Returns the addresses of a set; its lists are parsed once.
    fn selection(&mut self, set: &PeerSet) -> Selection {
        let all = self.lists.entry(set.key()).or_insert_with(|| Rc::new(Networks::of(set.all()))).clone();
        let but = set.but();
        if but.len() <= FEW {
            return Selection { all, without: None, few: but.to_vec() };
        }
        let key = but.as_ptr().addr();
        let without = self.lists.entry(key).or_insert_with(|| Rc::new(Networks::of(but))).clone();
        Selection { all, without: Some(without), few: Vec::new() }
    }
}

/// The trial that a fault's descriptor asks for ([`Trial::Path`]).
struct Wanted<'a> {
    traffic: Traffic<'a>,
    expect: Expect,
    count: u32,
    adds: Span,
}

/// The addresses that a fault is about.
struct Meant {
    to: Selection,
    except: Selection,
}

impl Meant {
    fn holds(&self, address: IpAddr) -> bool {
        (self.to.all.is_empty() || self.to.holds(address)) && !self.except.holds(address)
    }

    /// Whether the fault may be about an address. Exclusions of only a few texts are ignored, because they differ from host to
    /// host: those of `to` are checked by [`Self::holds`] later; those of `except` are the host's own addresses, and no host is
    /// its own peer.
    fn may(&self, address: IpAddr) -> bool {
        (self.to.all.is_empty() || self.to.lists_hold(address)) && !self.except.lists_hold(address)
    }
}

/// The addresses of a [`PeerSet`].
struct Selection {
    all: Rc<Networks>,
    /// The excluded addresses, if they are more than [`FEW`] texts.
    without: Option<Rc<Networks>>,
    /// The excluded texts, if they are no more than [`FEW`].
    few: Vec<String>,
}

impl Selection {
    fn lists_hold(&self, address: IpAddr) -> bool {
        self.all.holds(address) && self.without.as_ref().is_none_or(|without| !without.holds(address))
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.lists_hold(address) && !self.few.iter().any(|text| text.parse() == Ok(address))
    }
}

/// Returns the kind of exchange that makes traffic which the fault chooses, and whether the other host must be the one
/// that asks.
fn way(traffic: &Traffic<'_>) -> Result<(Way, bool), String> {
    if let Some(user) = traffic.user {
        return Err(format!("only packets of user {user} are meant"));
    }
    if let Some(service) = traffic.service {
        return Err(format!("only packets of service {service} are meant"));
    }
    if !traffic.interfaces.is_empty() {
        return Err("only packets of some interfaces are meant".to_owned());
    }
    match (traffic.protocol, traffic.local_ports, traffic.remote_ports) {
        (Some(Protocol::Icmp), ..) | (None, [], []) => Ok((Way::Echo, false)),
        (Some(Protocol::Udp), ..) => Err("nothing answers UDP by itself".to_owned()),
        (Some(Protocol::Tcp), [], []) => Err("no port is named".to_owned()),
        (_, [], [remote, ..]) => Ok((Way::Connect(remote.first), false)),
        (_, [local, ..], []) => Ok((Way::Connect(local.first), true)),
        (_, [_, ..], [_, ..]) => {
            Err("only connections between given ports of both ends are meant".to_owned())
        }
    }
}

/// Returns one address of the other host in each family that both hosts have and that the fault chooses.
fn addresses<'a>(other: &'a Host, host: &'a Host, meant: &'a Meant) -> impl Iterator<Item = IpAddr> + 'a {
    [true, false].into_iter().filter_map(move |v4| {
        host.addresses.iter().find(|own| own.is_ipv4() == v4)?;
        let others =
            other.addresses.iter().filter(|one| one.is_ipv4() == v4 && !host.addresses.contains(one));
        others.copied().find(|address| meant.holds(*address))
    })
}

/// Returns the exchange between a host with the fault and an address of another host. With `turned` the other host asks;
/// `None` if the host then has no address of that family.
fn pair(
    wanted: &Wanted<'_>,
    (way, turned): (Way, bool),
    host: &Host,
    other: &Host,
    address: IpAddr,
) -> Option<Pair> {
    let Wanted { traffic, expect, count, adds } = *wanted;
    // If the fault chooses only a share of flows, or packets of some connections only, a handshake may or may not be
    // among them: five exchanges are made, and any result is right.
    let whole = traffic.flows.is_none() && traffic.connections.is_none();
    let (expect, count, adds) = if whole { (expect, count, adds) } else { (Expect::Anything, 5, Span::ZERO) };
    let to = if turned {
        host.addresses.iter().copied().find(|own| own.is_ipv4() == address.is_ipv4())?
    } else {
        address
    };
    let (asker, other) = if turned { (other, host) } else { (host, other) };
    let within = (PATIENCE + adds).min(Exchange::LONGEST);
    let (every, packets) = match way {
        Way::Echo => (Span::millis(25), traffic.ways()),
        // Seven packets (SYN, SYN-ACK, ACK, two FINs with their ACKs), and up to three retransmissions.
        Way::Connect(_) => (Span::millis(50), 10),
    };
    // A dropped packet is seen once. But a SYN-ACK that is dropped on its way is sent again, up to five times.
    let packets = match (expect, way, traffic.direction) {
        (Expect::Silence, Way::Connect(_), Direction::In) if !turned => 6,
        (Expect::Silence, Way::Connect(_), Direction::Out) if turned => 6,
        (Expect::Silence, ..) => 1,
        _ => packets,
    };
    let counted = u64::from(count) * packets;
    // A packet that does not leave the asker is not seen on the other host.
    let stays = !turned && expect == Expect::Silence && traffic.direction != Direction::In;
    let counted_there = if stays { 0 } else { counted };
    let ask = Exchange { to, way, count, every, within };
    Some(Pair { asker: asker.name.clone(), other: other.name.clone(), ask, expect, counted, counted_there })
}

/// Describes an exchange for people, before the run: `app3 to edge (10.77.1.10) by ICMP echo, 5 times`.
pub fn words(pair: &Pair) -> String {
    let Exchange { to, way, count, .. } = &pair.ask;
    format!("{} to {} ({to}) by {way}, {count} times", pair.asker, pair.other)
}

#[cfg(test)]
mod tests;
