use firedrill_wire::{Fault, fault::NetBlock};

use super::*;

/// Asks for net-blocks with a list of this many bytes each, at this time.
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
    };
    let known = state.runs.entry(run.clone()).or_default();
    known.heard_boot_us = heard_boot_us;
    known.remember(ids.iter().cloned().zip(lists.iter().map(|(_, bytes)| ask(*bytes))).collect());
    state.keep_asks(&run, ids.iter(), &[])
}

#[test]
fn what_is_forgotten_takes_no_memory_from_later_questions() {
    let mut state = SupervisorState::default();
    assert_eq!(asked(&mut state, "done", 1, &[("done-1-1", ASKS_MOST_BYTES / 2)]), Ok(()));
    let known = state.runs.get_mut(&"done".parse().unwrap()).unwrap();
    known.forget_asks();
    assert_eq!(known.asks_bytes, 0);
    assert!(known.lists.iter().all(|list| list.is_empty()));
    assert_eq!(asked(&mut state, "new", 2, &[("new-1-1", ASKS_MOST_BYTES - 1000)]), Ok(()));
    assert!(state.runs.contains_key(&"done".parse().unwrap()), "it had nothing to give");
}

#[test]
fn what_was_asked_takes_no_more_memory_than_the_bound() {
    const HALF: usize = ASKS_MOST_BYTES / 2;
    let mut state = SupervisorState::default();
    let runs = |state: &SupervisorState| state.runs.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(asked(&mut state, "old", 1, &[("old-1-1", HALF)]), Ok(()));
    // The same list again is not counted twice.
    assert_eq!(asked(&mut state, "old", 1, &[("old-1-2", HALF), ("old-1-3", HALF)]), Ok(()));
    assert_eq!(asked(&mut state, "small", 2, &[("small-1-1", 10)]), Ok(()));
    assert_eq!(runs(&state), ["old", "small"]);
    assert_eq!(asked(&mut state, "new", 3, &[("new-1-1", HALF)]), Ok(()));
    assert_eq!(runs(&state), ["new", "small"], "the oldest made room");
    let told = asked(&mut state, "new", 4, &[("new-1-2", HALF + 1)]).unwrap_err();
    assert!(told > ASKS_MOST_BYTES, "{told}");
    assert_eq!(state.runs[&"new".parse().unwrap()].asks.len(), 1, "the earlier ask stays");
    // A repeated ask replaces its earlier one.
    assert_eq!(asked(&mut state, "new", 5, &[("new-1-1", HALF + 2)]), Ok(()));
    // Nobody's asks displace those of a person who has less.
    for run in state.runs.values_mut() {
        run.owner = Some("alice".to_owned());
    }
    state.runs.entry("bobs".parse().unwrap()).or_default().owner = Some("bob".to_owned());
    assert!(asked(&mut state, "bobs", 6, &[("bobs-1-1", ASKS_MOST_BYTES + 1)]).is_err());
    assert!(state.runs.contains_key(&"new".parse().unwrap()));
    assert_eq!(asked(&mut state, "bobs", 7, &[("bobs-1-2", HALF - 1000)]), Ok(()));
}
