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
    /// Hosts that are on no side although the file names the sides, by their place.
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

/// The hosts that a host cannot reach, and the direction.
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
                    let of = |wanted: &dyn Fn(usize) -> bool| {
                        let places = 0..hosts.len();
                        PeerSet::from(texts(&mut places.filter(|&place| side_of[place].is_some_and(wanted))))
                    };
                    let cut = match (one_way, sides.len()) {
                        (true, _) => vec![
                            (Direction::Out, of(&|other| other > number)),
                            (Direction::In, of(&|other| other < number)),
                        ],
                        (false, 2) => vec![(Direction::Both, of(&|other| other != number))],
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

/// Divides hosts into sides by the seed, each in the fleet's order.
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
mod tests {
    use super::*;
    use crate::plan::model::Reach;
    use firedrill_wire::fault::{Engine, Refuse};
    use proptest::prelude::*;

    fn hosts(count: usize) -> Vec<Host> {
        (0..count)
            .map(|n| Host {
                name: format!("h{n}"),
                addresses: vec![
                    format!("10.0.0.{}", n + 1).parse().unwrap(),
                    format!("fd00::{}", n + 1).parse().unwrap(),
                ],
                labels: Default::default(),
                roles: vec![],
                tags: vec![],
                agent: Reach::Tcp(String::new()),
                via: None,
            })
            .collect()
    }

    fn members(name: &str) -> Option<Vec<String>> {
        let all = match name {
            "left" => "h0 h1 elsewhere",
            "right" => "h2 h3",
            "also-h1" => "h1",
            "abroad" => "elsewhere",
            _ => return None,
        };
        Some(all.split(' ').map(str::to_owned).collect())
    }

    fn parted(json: &str, count: usize) -> Result<Parted, Unparted> {
        let partition: NetPartition = serde_json::from_str(json).unwrap();
        let hosts = hosts(count);
        part(&partition, &hosts.iter().collect::<Vec<_>>(), &members, 7, "attack")
    }

    /// Whether packets from one host reach another through their blocks.
    fn passes(parted: &Parted, from: usize, to: usize) -> bool {
        let blocks = |at: usize, other: usize, not: Direction| {
            parted.blocks.iter().filter(|(host, _)| *host == at).any(|(_, fault)| match fault {
                Fault::NetBlock(block) => {
                    let both = [format!("10.0.0.{}", other + 1), format!("fd00::{}", other + 1)];
                    let to = block.to.to_vec();
                    let named = both.iter().filter(|address| to.contains(address)).count();
                    assert_ne!(named, 1, "all addresses of a host or none");
                    named == 2 && block.direction != not
                }
                other => panic!("{other:?}"),
            })
        };
        let (out, inward) = (blocks(from, to, Direction::In), blocks(to, from, Direction::Out));
        assert_eq!(out, inward, "both ends block it, or none: {parted:?}");
        !out
    }

    #[test]
    fn groups_cannot_reach_each_other_and_whoever_is_in_none_reaches_all() {
        let both = parted(r#"{"groups":["left","right"]}"#, 5).unwrap();
        for (a, b) in (0..5).flat_map(|a| (0..5).map(move |b| (a, b))) {
            let across = a.max(b) < 4 && (a < 2) != (b < 2);
            assert_eq!(passes(&both, a, b), !across, "{a} to {b}");
        }
        assert_eq!(both.free, [4]);
        assert_eq!(
            both.means,
            ["no packet passes between h0, h1 | h2, h3", "h4 stays in touch with all of them"]
        );
        let rest = parted(r#"{"groups":"left"}"#, 5).unwrap();
        assert!(rest.free.is_empty() && !passes(&rest, 0, 4) && passes(&rest, 2, 4));
        assert_eq!(rest, parted(r#"{"groups":["left","rest"]}"#, 5).unwrap());
    }

    #[test]
    fn one_way_stays_open_the_other_way() {
        let one_way = parted(r#"{"groups":["left","right"],"one_way":true}"#, 4).unwrap();
        assert!(!passes(&one_way, 0, 3) && passes(&one_way, 3, 0) && passes(&one_way, 0, 1));
        assert_eq!(one_way.means, ["h0, h1 cannot send to h2, h3; the other way stays open"]);
        let other = parted(r#"{"groups":["rest","left"],"one_way":true}"#, 4).unwrap();
        assert!(passes(&other, 0, 3) && !passes(&other, 3, 0));
    }

    #[test]
    fn every_host_blocks_in_the_way_that_was_asked() {
        let parted = parted(r#"{"shape":"one","how":"reject","engine":"iptables"}"#, 3).unwrap();
        assert_eq!(parted.blocks.len(), 3);
        for (_, fault) in parted.blocks {
            let Fault::NetBlock(block) = fault else { panic!("{fault:?}") };
            assert_eq!((block.how, block.engine), (Refuse::Reject, Engine::Iptables));
        }
    }

    #[test]
    fn what_cannot_be_parted_is_told_by_name() {
        let told = |json, count| {
            let wrong = parted(json, count).unwrap_err();
            (wrong.name.unwrap_or_default(), wrong.message)
        };
        for (json, count, name, said) in [
            (r#"{"groups":["left","nobody"]}"#, 4, "nobody", "there is no target"),
            (r#"{"groups":["left","abroad"]}"#, 4, "abroad", "is a target of the attack"),
            (r#"{"groups":["left","also-h1"]}"#, 4, "also-h1", "both in `left` and in `also-h1`"),
            (r#"{"groups":"left"}"#, 2, "left", "`rest` is empty"),
            (r#"{"shape":"ring"}"#, 3, "", "needs at least 4 hosts"),
            (r#"{"shape":"one"}"#, 1, "", "needs at least 2 hosts"),
        ] {
            let (about, message) = told(json, count);
            assert_eq!(about, name, "{message}");
            assert!(message.contains(said), "{message}");
        }
    }

    proptest! {
        #[test]
        fn shapes_are_what_they_are_called(seed: u64, count in 4_usize..12) {
            let hosts = hosts(count);
            let hosts: Vec<&Host> = hosts.iter().collect();
            let of = |shape| {
                let partition = NetPartition { shape: Some(shape), ..NetPartition::default() };
                let parted = part(&partition, &hosts, &members, seed, "a").unwrap();
                assert_eq!(parted, part(&partition, &hosts, &members, seed, "a").unwrap(), "the seed decides");
                parted
            };
            let reaches = |parted: &Parted, host: usize| -> Vec<usize> {
                (0..count).filter(|&other| other != host && passes(parted, host, other)).collect()
            };
            let degrees = |parted: &Parted| {
                let mut all: Vec<usize> = (0..count).map(|host| reaches(parted, host).len()).collect();
                all.sort_unstable();
                all
            };
            let halves = of(PartitionShape::Halves);
            let (small, big) = (count / 2, count - count / 2);
            let mut wanted = vec![small - 1; small];
            wanted.extend(vec![big - 1; big]);
            prop_assert_eq!(degrees(&halves), wanted);
            let mut wanted = vec![0];
            wanted.extend(vec![count - 2; count - 1]);
            prop_assert_eq!(degrees(&of(PartitionShape::One)), wanted);
            let ring = of(PartitionShape::Ring);
            prop_assert_eq!(degrees(&ring), vec![2; count]);
            // There is a single ring.
            let (mut before, mut at, mut steps) = (0, reaches(&ring, 0)[0], 1);
            while at != 0 {
                let next = reaches(&ring, at).into_iter().find(|next| *next != before).unwrap();
                (before, at, steps) = (at, next, steps + 1);
            }
            prop_assert_eq!(steps, count);
            let bridge = of(PartitionShape::Bridge);
            prop_assert_eq!(bridge.free.len(), 1);
            prop_assert_eq!(reaches(&bridge, bridge.free[0]).len(), count - 1);
            let sides: Vec<usize> = (0..count).filter(|host| !bridge.free.contains(host)).map(|host| reaches(&bridge, host).len()).collect();
            let (least, most) = (sides.iter().min().unwrap(), sides.iter().max().unwrap());
            prop_assert!(most - least <= 1 && *least >= (count - 1) / 2);
        }
    }
}
