//! Tests of partitions: the hosts that reach each other under their blocks, for named groups and for shapes.

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
fn groups_cannot_reach_each_other_and_hosts_in_no_group_reach_all() {
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
fn a_name_that_prevents_a_partition_is_reported() {
    let error_of = |json, count| {
        let wrong = parted(json, count).unwrap_err();
        (wrong.name.unwrap_or_default(), wrong.message)
    };
    for (json, count, name, wanted) in [
        (r#"{"groups":["left","nobody"]}"#, 4, "nobody", "there is no target"),
        (r#"{"groups":["left","abroad"]}"#, 4, "abroad", "is a target of the attack"),
        (r#"{"groups":["left","also-h1"]}"#, 4, "also-h1", "both in `left` and in `also-h1`"),
        (r#"{"groups":"left"}"#, 2, "left", "`rest` is empty"),
        (r#"{"shape":"ring"}"#, 3, "", "needs at least 4 hosts"),
        (r#"{"shape":"one"}"#, 1, "", "needs at least 2 hosts"),
    ] {
        let (about, message) = error_of(json, count);
        assert_eq!(about, name, "{message}");
        assert!(message.contains(wanted), "{message}");
    }
}

proptest! {
    #[test]
    fn each_shape_has_the_connections_of_its_name(seed: u64, count in 4_usize..12) {
        let hosts = hosts(count);
        let hosts: Vec<&Host> = hosts.iter().collect();
        let parted_as = |shape| {
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
        let halves = parted_as(PartitionShape::Halves);
        let (small, big) = (count / 2, count - count / 2);
        let mut wanted = vec![small - 1; small];
        wanted.extend(vec![big - 1; big]);
        prop_assert_eq!(degrees(&halves), wanted);
        let mut wanted = vec![0];
        wanted.extend(vec![count - 2; count - 1]);
        prop_assert_eq!(degrees(&parted_as(PartitionShape::One)), wanted);
        let ring = parted_as(PartitionShape::Ring);
        prop_assert_eq!(degrees(&ring), vec![2; count]);
        // There is a single ring.
        let (mut before, mut at, mut steps) = (0, reaches(&ring, 0)[0], 1);
        while at != 0 {
            let next = reaches(&ring, at).into_iter().find(|next| *next != before).unwrap();
            (before, at, steps) = (at, next, steps + 1);
        }
        prop_assert_eq!(steps, count);
        let bridge = parted_as(PartitionShape::Bridge);
        prop_assert_eq!(bridge.free.len(), 1);
        prop_assert_eq!(reaches(&bridge, bridge.free[0]).len(), count - 1);
        let sides: Vec<usize> = (0..count).filter(|host| !bridge.free.contains(host)).map(|host| reaches(&bridge, host).len()).collect();
        let (least, most) = (sides.iter().min().unwrap(), sides.iter().max().unwrap());
        prop_assert!(most - least <= 1 && *least >= (count - 1) / 2);
    }
}
