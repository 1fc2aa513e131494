//! Turns partitions into a `net-block` for each host, so that agents need no fleet and no other way to undo them.
//!
//! Both ends of a direction block it, so that a host whose block starts late, or that has no agent, does not leave a
//! one-way gap.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use firedrill_wire::{
    Fault,
    fault::{Direction, NetBlock, NetPartition, PartitionShape, PeerSet},
};

use super::{model::Host, select::rank};
use crate::alike;

/// Maximum number of hosts of a ring that are named.
const SHOWN: usize = 12;

/// A partition of some hosts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parted {
    /// The blocks of each host, by its index; hosts that reach all others are missing.
    pub(crate) blocks: Vec<(usize, Fault)>,
    /// Sentences that tell which hosts cannot reach each other.
    pub(crate) means: Vec<String>,
    /// Hosts that are on no side although the file names the sides, by their index.
    pub(crate) free: Vec<usize>,
}

/// The reason why hosts cannot be partitioned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unparted {
    /// The name in the file that causes it, if there is one.
    pub(crate) name: Option<String>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// The sides or the ring, by indexes of hosts.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    Sides(Vec<Vec<usize>>),
    Ring(Vec<usize>),
}

/// Whether a fault is a partition one of whose groups has this name.
pub(crate) fn has_group(fault: &Fault, name: &str) -> bool {
    matches!(fault, Fault::NetPartition(partition) if partition.groups.iter().any(|group| group == name))
}

/// Partitions hosts. `members` returns the hosts that a name stands for; `salt` makes two attacks with the same seed
/// differ.
pub(crate) fn part(
    partition: &NetPartition,
    hosts: &[&Host],
    members: &dyn Fn(&str) -> Option<Vec<String>>,
    seed: u64,
    salt: &str,
) -> Result<Parted, Unparted> {
    let layout = match partition.shape {
        Some(shape) => Ok(shaped(shape, hosts, seed, salt)?),
        None => grouped(partition, hosts, members).map(Layout::Sides),
    }?;
    let cuts = layout.cuts(hosts, partition.one_way);
    let mut blocks = Vec::new();
    for (here, cut) in cuts.into_iter().enumerate() {
        for (direction, to) in cut {
            if !to.is_empty() {
                let (how, engine) = (partition.how, partition.engine);
                let block = NetBlock { to, direction, how, engine, ..NetBlock::default() };
                blocks.push((here, Fault::NetBlock(block)));
            }
        }
    }
    let blocking: HashSet<usize> = blocks.iter().map(|(here, _)| *here).collect();
    let free: Vec<usize> = (0..hosts.len()).filter(|here| !blocking.contains(here)).collect();
    let means = layout.sentences(hosts, partition.one_way, &free);
    Ok(Parted { blocks, means, free })
}

/// The peers that a host blocks, by direction.
type Cut = Vec<(Direction, PeerSet)>;

impl Layout {
    /// Returns the peers that each host blocks. Hosts of one side share the same list.
    fn cuts(&self, hosts: &[&Host], one_way: bool) -> Vec<Cut> {
        let texts = |places: &mut dyn Iterator<Item = usize>| -> Arc<[String]> {
            places.flat_map(|place| &hosts[place].addresses).map(ToString::to_string).collect()
        };
        let mut cuts: Vec<Cut> = vec![Vec::new(); hosts.len()];
        match self {
            Self::Sides(sides) => {
                let mut side_of: Vec<Option<usize>> = vec![None; hosts.len()];
                for (number, side) in sides.iter().enumerate() {
                    side.iter().for_each(|&place| side_of[place] = Some(number));
                }
                let all =
                    PeerSet::from(texts(&mut (0..hosts.len()).filter(|&place| side_of[place].is_some())));
                for (number, side) in sides.iter().enumerate() {
                    // Returns the peers on those sides for whose numbers `wanted` holds.
                    let on_sides = |wanted: &dyn Fn(usize) -> bool| {
                        let places = 0..hosts.len();
                        PeerSet::from(texts(&mut places.filter(|&place| side_of[place].is_some_and(wanted))))
                    };
                    let cut = match (one_way, sides.len()) {
                        (true, _) => vec![
                            (Direction::Out, on_sides(&|other| other > number)),
                            (Direction::In, on_sides(&|other| other < number)),
                        ],
                        (false, 2) => vec![(Direction::Both, on_sides(&|other| other != number))],
                        (false, _) => {
                            let own = texts(&mut side.iter().copied());
                            vec![(Direction::Both, all.without(&own))]
                        }
                    };
                    side.iter().for_each(|&place| cuts[place].clone_from(&cut));
                }
            }
            Self::Ring(ring) => {
                let all = PeerSet::from(texts(&mut (0..hosts.len())));
                for (at, &place) in ring.iter().enumerate() {
                    let before = ring[(at + ring.len() - 1) % ring.len()];
                    let after = ring[(at + 1) % ring.len()];
                    let near = texts(&mut [place, before, after].into_iter());
                    cuts[place] = vec![(Direction::Both, all.without(&near))];
                }
            }
        }
        cuts
    }

    /// Returns sentences that tell which hosts cannot reach each other; `free` are the hosts on no side.
    fn sentences(&self, hosts: &[&Host], one_way: bool, free: &[usize]) -> Vec<String> {
        let list = |places: &[usize]| {
            alike::names(&places.iter().map(|&place| hosts[place].name.as_str()).collect::<Vec<_>>())
        };
        let mut all = match self {
            Self::Ring(ring) => {
                // The order is that of neighbours on the ring.
                let names: Vec<&str> = ring.iter().map(|&place| hosts[place].name.as_str()).collect();
                let more = names.len().saturating_sub(SHOWN);
                let first = names[..names.len() - more].join(", ");
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                vec![format!("each reaches only its two neighbours in the ring {first}{more}")]
            }
            Self::Sides(sides) if one_way => sides
                .windows(2)
                .map(|pair| {
                    format!("{} cannot send to {}; the other way stays open", list(&pair[0]), list(&pair[1]))
                })
                .collect(),
            Self::Sides(sides) => {
                let sides: Vec<String> = sides.iter().map(|side| list(side)).collect();
                vec![format!("no packet passes between {}", sides.join(" | "))]
            }
        };
        if !free.is_empty() {
            all.push(format!("{} stays in touch with all of them", list(free)));
        }
        all
    }
}

/// Divides hosts into the sides that the file names, by their indexes.
fn grouped(
    partition: &NetPartition,
    hosts: &[&Host],
    members: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Result<Vec<Vec<usize>>, Unparted> {
    let wrong = |name: &str, message: String, help: &str| Unparted {
        name: Some(name.to_owned()),
        message,
        help: help.to_owned(),
    };
    let names = partition.sides();
    let places: HashMap<&str, usize> =
        hosts.iter().enumerate().map(|(place, host)| (host.name.as_str(), place)).collect();
    let mut sides: Vec<Vec<usize>> = Vec::new();
    let mut side_of: Vec<Option<usize>> = vec![None; hosts.len()];
    for name in &names {
        if *name == NetPartition::REST {
            if members(name).is_some() {
                let message =
                    "`rest` stands for all other hosts, and is also the name of a target, role or host"
                        .to_owned();
                return Err(wrong(name, message, "rename the target, role or host"));
            }
            sides.push(Vec::new());
            continue;
        }
        let Some(known) = members(name) else {
            let message = format!("there is no target, role or host `{name}` for a side");
            return Err(wrong(
                name,
                message,
                "name targets, roles or hosts; `rest` stands for all other hosts",
            ));
        };
        let mut side: Vec<usize> =
            known.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
        side.sort_unstable();
        if side.is_empty() {
            let message = format!("no host of `{name}` is a target of the attack");
            return Err(wrong(name, message, "`on` names all hosts of the partition, of all sides"));
        }
        if let Some((at, other)) = side.iter().find_map(|&at| Some((at, side_of[at]?))) {
            let message = format!("host `{}` is both in `{}` and in `{name}`", hosts[at].name, names[other]);
            return Err(wrong(name, message, "a host can be on one side only"));
        }
        side.iter().for_each(|&at| side_of[at] = Some(sides.len()));
        sides.push(side);
    }
    if let Some(rest) = names.iter().position(|name| *name == NetPartition::REST) {
        let others: Vec<usize> = (0..hosts.len()).filter(|&at| side_of[at].is_none()).collect();
        if others.is_empty() {
            let message = format!("`{}` contains all hosts of the attack, so `rest` is empty", names[0]);
            return Err(wrong(names[0], message, "`on` names all hosts of the partition, of all sides"));
        }
        sides[rest] = others;
    }
    Ok(sides)
}

/// Divides hosts into sides, or orders them into a ring, by the seed. Each side is in the fleet's order.
fn shaped(shape: PartitionShape, hosts: &[&Host], seed: u64, salt: &str) -> Result<Layout, Unparted> {
    if hosts.len() < shape.least() {
        let message = format!(
            "this partition needs at least {} hosts, and the attack has {}",
            shape.least(),
            hosts.len()
        );
        let help = "`on` names all hosts of the partition, of all sides".to_owned();
        return Err(Unparted { name: None, message, help });
    }
    let mut ranked: Vec<usize> = (0..hosts.len()).collect();
    ranked.sort_by_cached_key(|&at| rank(seed, salt, &hosts[at].name));
    let split = |ranked: &[usize], first: usize| {
        let (one, other) = ranked.split_at(first);
        let sorted = |side: &[usize]| {
            let mut side = side.to_vec();
            side.sort_unstable();
            side
        };
        Layout::Sides(vec![sorted(one), sorted(other)])
    };
    Ok(match shape {
        PartitionShape::Halves => split(&ranked, ranked.len() / 2),
        PartitionShape::One => split(&ranked, 1),
        PartitionShape::Bridge => split(&ranked[1..], ranked.len() / 2),
        PartitionShape::Ring => Layout::Ring(ranked),
    })
}

#[cfg(test)]
mod tests;
