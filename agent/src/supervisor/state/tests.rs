//! Tests of the memory that prepared faults and runs take.

use firedrill_wire::{Fault, Span, fault::NetBlock};

use super::*;
use crate::caller::Certificate;

/// Remembers net-blocks as if they were prepared at that time. Each has an id and a list of peers of that many bytes.
fn asked(
    state: &mut SupervisorState,
    run: &str,
    heard_boot_us: u64,
    lists: &[(&str, usize)],
) -> Result<(), usize> {
    let (run, ids): (RunId, Vec<InjectionId>) =
        (run.parse().unwrap(), lists.iter().map(|(id, _)| id.parse().unwrap()).collect());
    let ask = |bytes: usize| Asked {
        fault: Fault::NetBlock(NetBlock { to: vec!["x".repeat(bytes)].into(), ..NetBlock::default() }),
        fingerprint: String::new(),
        hold: Span::secs(1),
        approved: Approved::default(),
        asked_boot_us: 0,
    };
    let known = state.runs.get_or_new(&run);
    known.heard_boot_us = heard_boot_us;
    known.remember(ids.iter().cloned().zip(lists.iter().map(|(_, bytes)| ask(*bytes))).collect());
    state.keep_asks(&run, ids.iter(), &[])
}

#[test]
fn forgotten_faults_leave_their_memory_to_later_ones() {
    let mut state = SupervisorState::default();
    assert_eq!(asked(&mut state, "done", 1, &[("done-1-1", ASKS_MOST_BYTES / 2)]), Ok(()));
    let known = state.runs.get_mut(&"done".parse().unwrap()).unwrap();
    // An injection that was armed holds a copy of its fault.
    let held = known.asks.values().next().unwrap().fault.clone();
    known.forget_asks();
    assert_eq!(known.asks_bytes, 0);
    assert!(known.lists.is_empty());
    drop(held);
    assert_eq!(asked(&mut state, "new", 2, &[("new-1-1", ASKS_MOST_BYTES - 1000)]), Ok(()));
    assert!(
        state.runs.contains_key(&"done".parse().unwrap()),
        "a run without prepared faults is not forgotten to make room"
    );
}

#[test]
fn runs_share_equal_data() {
    let mut state = SupervisorState::default();
    let copy = |serial: &str| {
        let certificate = Certificate { serial: serial.to_owned(), chain: vec![vec![7; 1000].into()] };
        Caller {
            name: "alice".to_owned(),
            team: None,
            environments: Vec::new(),
            may_harm: true,
            certificate: Some(Arc::new(certificate)),
        }
    };
    for (run, serials) in [("r1", &["01"][..]), ("r2", &["01", "02"]), ("r3", &["01", "02"])] {
        for serial in serials {
            let caller = copy(serial);
            let known = state.claim(&run.parse().unwrap(), &caller).unwrap();
            known.add_participant(&caller);
            state.prune(&[], 0);
        }
    }
    let runs: Vec<&Run> = state.runs.values().collect();
    let serials = |run: &Run| -> Vec<String> {
        run.held_by.iter().map(|by| by.certificate.as_ref().unwrap().serial.clone()).collect()
    };
    assert_eq!([serials(runs[0]), serials(runs[1])], [vec!["01"], vec!["01", "02"]]);
    assert!(Arc::ptr_eq(&runs[0].held_by[0], &runs[1].held_by[0]), "a caller");
    assert!(Arc::ptr_eq(&runs[1].held_by, &runs[2].held_by), "the people who took part");
    for run in &runs[1..] {
        assert!(Arc::ptr_eq(runs[0].owner.as_ref().unwrap(), run.owner.as_ref().unwrap()), "an owner");
    }
}

#[test]
fn prepared_faults_take_no_more_memory_than_the_maximum() {
    const HALF: usize = ASKS_MOST_BYTES / 2;
    let mut state = SupervisorState::default();
    let runs = |state: &SupervisorState| state.runs.ids().map(String::from).collect::<Vec<_>>();
    assert_eq!(asked(&mut state, "old", 1, &[("old-1-1", HALF)]), Ok(()));
    // The same list again is not counted twice.
    assert_eq!(asked(&mut state, "old", 1, &[("old-1-2", HALF), ("old-1-3", HALF)]), Ok(()));
    assert_eq!(asked(&mut state, "small", 2, &[("small-1-1", 10)]), Ok(()));
    assert_eq!(runs(&state), ["old", "small"]);
    assert_eq!(asked(&mut state, "new", 3, &[("new-1-1", HALF)]), Ok(()));
    assert_eq!(runs(&state), ["new", "small"], "the oldest made room");
    let total = asked(&mut state, "new", 4, &[("new-1-2", HALF + 1)]).unwrap_err();
    assert!(total > ASKS_MOST_BYTES, "{total}");
    assert_eq!(state.runs.get(&"new".parse().unwrap()).unwrap().asks.len(), 1, "the earlier ask stays");
    // A repeated ask replaces its earlier one.
    assert_eq!(asked(&mut state, "new", 5, &[("new-1-1", HALF + 2)]), Ok(()));
    // Faults of one person never displace those of a person who has less.
    for run in state.runs.values_mut() {
        run.owner = Some("alice".into());
    }
    state.runs.get_or_new(&"bobs".parse().unwrap()).owner = Some("bob".into());
    assert!(asked(&mut state, "bobs", 6, &[("bobs-1-1", ASKS_MOST_BYTES + 1)]).is_err());
    assert!(state.runs.contains_key(&"new".parse().unwrap()));
    assert_eq!(asked(&mut state, "bobs", 7, &[("bobs-1-2", HALF - 1000)]), Ok(()));
}
