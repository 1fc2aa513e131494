//! Lists of peers that faults share, in messages and in memory.

use super::*;
use crate::fault::{Fault, NetBlock};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect()
}

fn block(to: PeerSet) -> Fault {
    Fault::NetBlock(NetBlock { to, ..NetBlock::default() })
}

fn texts(fault: &Fault) -> Vec<String> {
    fault.on_traffic().expect("traffic").traffic().to.to_vec()
}

#[test]
fn a_list_that_faults_share_is_written_once_and_read_again() {
    let peers = PeerSet::from(names(100));
    let left_out: Arc<[String]> = Arc::new(["10.0.0.7".to_owned()]);
    let mut faults = [block(peers.clone()), block(peers.without(&left_out)), block(names(40).into())];
    let table = PeerTable::gather(faults.iter_mut().flat_map(Fault::selectors_mut));
    let json = serde_json::to_string(&(&table, &faults)).expect("prints");
    assert_eq!(json.matches("\"10.0.0.99\"").count(), 1, "{json}");
    assert!(json.contains(r#""to":["@0","!10.0.0.7"]"#), "{json}");
    let (read, mut again): (PeerTable, [Fault; 3]) = serde_json::from_str(&json).expect("reads");
    read.bind(again.iter_mut().flat_map(Fault::selectors_mut)).expect("all there");
    assert_eq!((&read, &again), (&table, &faults));
    assert_eq!(serde_json::to_string(&(&read, &again)).expect("prints"), json);
    read.bind_plain(again.iter_mut().flat_map(Fault::selectors_mut)).expect("somebody is left");
    assert_eq!(again, faults);
    assert_eq!((texts(&again[1]).len(), texts(&again[2]).len()), (99, 40));
    let plain = serde_json::to_string(&again[1]).expect("prints");
    assert!(!plain.contains(['@', '!']), "{plain}");
}

#[test]
fn short_lists_and_those_of_one_fault_are_plain() {
    let (few, many) = (PeerSet::from(names(16)), PeerSet::from(names(17)));
    let mut faults = [block(few.clone()), block(few), block(many)];
    assert!(PeerTable::gather(faults.iter_mut().flat_map(Fault::selectors_mut)).is_empty());
    assert!(!serde_json::to_string(&faults).expect("prints").contains('@'));
}

#[test]
fn a_reference_to_no_list_is_an_error_and_does_not_mean_all_hosts() {
    let table = PeerTable(vec![names(2).into()]);
    let bound = |text: &str| {
        let mut fault: Fault = serde_json::from_str(text).expect(text);
        table.bind_plain(fault.selectors_mut()).map(|()| texts(&fault))
    };
    assert_eq!(bound(r#"{"net-block":{"to":["@0"]}}"#), Ok(names(2)));
    assert_eq!(bound(r#"{"net-block":{"to":"@1"}}"#), Err(PeersError::NoList("1".to_owned())));
    assert_eq!(bound(r#"{"net-block":{"to":"@x"}}"#), Err(PeersError::NoList("x".to_owned())));
    assert_eq!(bound(r#"{"net-block":{"to":["@0","a"]}}"#), Err(PeersError::Form("a".to_owned())));
    assert_eq!(bound(r#"{"net-block":{"to":["@0","!@0"]}}"#), Err(PeersError::Nobody));
    assert_eq!(bound(r#"{"net-block":{"to":"a"}}"#), Ok(vec!["a".to_owned()]));
}

/// Binds net-blocks with these peers to a table.
fn bind_all(table: Vec<Vec<String>>, to: impl IntoIterator<Item = Vec<String>>) -> Result<(), PeersError> {
    let mut faults: Vec<Fault> = to.into_iter().map(|to| block(to.into())).collect();
    PeerTable(table.into_iter().map(Arc::from).collect())
        .bind_plain(faults.iter_mut().flat_map(Fault::selectors_mut))
}

#[test]
fn the_limits_are_checked_before_lists_are_copied() {
    let each_its_own = |count: usize| (0..count).map(|n| vec!["@0".to_owned(), format!("!{n}")]);
    assert_eq!(bind_all(vec![names(2_000)], each_its_own(100)), Ok(()));
    let error = bind_all(vec![names(2_000)], each_its_own(101)).unwrap_err();
    assert_eq!(error, PeersError::TooMany(202_000));
    assert!(error.to_string().contains("an agent takes 200000"), "{error}");
    // A few texts can be long.
    let long = vec![vec!["x".repeat(1 << 20); 2]];
    assert_eq!(bind_all(long.clone(), each_its_own(7)), Ok(()));
    let error = bind_all(long, each_its_own(8)).unwrap_err();
    assert!(matches!(error, PeersError::TooLong(bytes) if bytes > PeerTable::MOST_BYTES), "{error}");
    // Texts that are left out count as well, because they are read for each fault.
    let lists = || vec![names(17), names(2_000)];
    let left_out = |count: usize| std::iter::repeat_n(vec!["@0".to_owned(), "!@1".to_owned()], count);
    assert_eq!(bind_all(lists(), left_out(101)), Err(PeersError::TooMany(202_000)));
}

#[test]
fn an_empty_list_does_not_mean_all_hosts_and_no_list_is_ignored() {
    let table = || vec![vec![], names(20), names(5), names(6)];
    let to = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(bind_all(table(), [to(&["@0"])]), Err(PeersError::Nobody));
    assert_eq!(bind_all(table(), [to(&["@1", "!@0"])]), Err(PeersError::Nobody));
    for mixed in [&["@1", "!@2", "!@3"][..], &["@1", "!@2", "!10.0.0.9"], &["@1", "!10.0.0.9", "!@2"]] {
        assert_eq!(bind_all(table(), [to(mixed)]), Err(PeersError::Mixed), "{mixed:?}");
    }
    assert_eq!(bind_all(table(), [to(&["@1", "!@3"])]), Ok(()));
    let except = NetBlock { except: vec!["@0".to_owned()].into(), ..NetBlock::default() };
    let read = PeerTable(vec![Arc::from([])]).bind(Fault::NetBlock(except).selectors_mut());
    assert_eq!(read, Err(PeersError::Nobody), "also without plain lists");
}

#[test]
fn equal_lists_are_held_once() {
    let mut known = HashSet::new();
    let (mut first, mut second) = (PeerSet::from(names(20)), PeerSet::from(names(20)));
    first.share(&mut known);
    second.share(&mut known);
    assert_eq!(first.key(), second.key());
}
