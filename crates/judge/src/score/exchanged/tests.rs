//! The evidence of exchanges for and against faults.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::{
    Fault, Share, Span,
    evidence::Seen,
    fault::{NetBlock, NetLose, NetSlow, PeerSet, PortRange, Refuse},
    journal::What,
};

use super::*;
use crate::{
    log::Event,
    score::{card::AttackCard, fold},
    testing::{Act, Drill, S},
    verdict::Verdict,
};

fn met(back: u32, took_us: u64) -> Exchanged {
    let back_of = usize::try_from(back).unwrap();
    Exchanged { sent: 20, answered: back, times_us: vec![took_us; back_of], ..Exchanged::default() }
}

/// Judges an attack on app1 by a fault about the canary, with the results of exchanges before, during and after.
fn judged(fault: Fault, all: [Option<Exchanged>; 3]) -> AttackCard {
    judged_with(Act::new("path", &["app1"], fault), all)
}

fn judged_with(act: Act, all: [Option<Exchanged>; 3]) -> AttackCard {
    fold(&Drill::exchanging(act, all).records()).attacks.remove(0)
}

fn to() -> PeerSet {
    vec!["10.9.0.4".to_owned()].into()
}

fn blocked() -> Fault {
    Fault::NetBlock(NetBlock { to: to(), ..NetBlock::default() })
}

#[test]
fn a_block_that_lets_packets_through_did_not_land() {
    let card = judged(blocked(), [Some(met(20, 300)), Some(met(3, 300)), Some(met(20, 300))]);
    assert_eq!(card.verdict, Some(Verdict::Unknown), "{card:#?}");
    assert!(card.why.iter().any(|why| why.contains("did not land: 3 of 20 came back")), "{:?}", card.why);
    let shown = &card.injections[0].exchanges[0];
    assert!(
        shown.contradiction.is_some()
            && format::exchanged(shown.before.as_ref().unwrap()) == "20 of 20 answered, 300 µs"
    );
}

#[test]
fn expected_results_and_missing_ones_do_not_contradict_a_fault() {
    for all in [
        [Some(met(20, 300)), Some(met(0, 0)), Some(met(20, 300))],
        [Some(met(20, 300)), None, None],
        // A path without answers is no evidence.
        [Some(met(0, 0)), Some(met(0, 0)), Some(met(0, 0))],
        [None, Some(met(20, 300)), None],
    ] {
        let card = judged(blocked(), all);
        assert_eq!(card.verdict, Some(Verdict::Held), "{:?}", card.why);
        assert_eq!(card.injections[0].exchanges.len(), 1);
    }
}

#[test]
fn a_delay_must_be_felt_and_a_loss_seen() {
    let slow = || Fault::NetSlow(NetSlow { to: to(), delay: Span::millis(100), ..NetSlow::default() });
    let held = judged(slow(), [Some(met(20, 300)), Some(met(20, 100_400)), Some(met(20, 300))]);
    assert_eq!(held.verdict, Some(Verdict::Held), "{:?}", held.why);
    let not = judged(slow(), [Some(met(20, 300)), Some(met(20, 350)), Some(met(20, 300))]);
    assert!(
        not.why.iter().any(|why| why.contains("took 350 µs, less than the half of the delay, 50 ms")),
        "{:?}",
        not.why
    );
    let lose = |percent: f64| {
        let share = Share::from_fraction(percent / 100.0);
        let lose = Fault::NetLose(NetLose { to: to(), share, ..NetLose::default() });
        judged(lose, [Some(met(20, 300)), Some(met(20, 300)), Some(met(20, 300))]).verdict
    };
    assert_eq!(lose(5.0), Some(Verdict::Held), "twenty packets can well all come through");
    assert_eq!(lose(60.0), Some(Verdict::Unknown));
}

#[test]
fn a_host_that_does_not_answer_after_the_undo_is_reported() {
    let card = judged(blocked(), [Some(met(20, 300)), Some(met(0, 0)), Some(met(0, 0))]);
    assert!(card.why.iter().any(|why| why.contains("after it was put back")), "{:?}", card.why);
    assert_eq!(card.verdict, Some(Verdict::Unknown));
}

#[test]
fn a_trial_alone_decides_where_it_shows_the_fault() {
    let quiet = |all| {
        let act = Act { packets: 0, ..Act::new("path", &["app1"], blocked()) };
        judged_with(act, all)
    };
    let well = || Some(met(20, 300));
    let card = quiet([well(), Some(met(0, 0)), well()]);
    assert_eq!(card.verdict, Some(Verdict::Held), "{:?}", card.why);
    assert_eq!(
        card.injections[0].exercised,
        Seen::No,
        "no other traffic met the fault, and the card says so"
    );
    // An exchange that failed, or without an answer after the fault, is no evidence.
    for all in [[well(), None, well()], [well(), Some(met(0, 0)), None], [None, Some(met(0, 0)), well()]] {
        let card = quiet(all);
        assert_eq!((card.verdict, card.injections[0].exercised), (Some(Verdict::Unknown), Seen::No));
        assert!(card.why.iter().any(|why| why.contains("but what the run itself sent")), "{:?}", card.why);
    }
    let busy = judged(blocked(), [well(), Some(met(0, 0)), well()]);
    assert_eq!(busy.injections[0].exercised, Seen::Yes);
}

#[test]
fn a_path_that_was_tried_out_before_a_pause_is_no_evidence() {
    let act = Act { packets: 0, ..Act::new("path", &["app1"], blocked()) };
    let mut drill = Drill::exchanging(act, [Some(met(20, 300)), Some(met(0, 0)), Some(met(20, 300))]);
    assert_eq!(fold(&drill.records()).verdict, Verdict::Held);
    let by = || "bob".to_owned();
    let at = Drill::start(0) - 1;
    drill.extra = vec![
        (at, Event::Paused { attack: 0, by: by(), until_us: 0, until: String::new() }),
        (at, Event::Resumed { attack: 0, by: by() }),
        (at, Event::Phase { attack: 0, phase: Phase::Baseline, until_us: Drill::start(0) * S }),
    ];
    let card = fold(&drill.records());
    assert_eq!(card.verdict, Verdict::Unknown, "{:?}", card.attacks[0].why);
    assert!(card.attacks[0].injections[0].exchanges[0].before.is_none());
}

#[test]
fn a_trial_shows_a_delay_and_a_loss_by_its_figures() {
    let quiet = |fault, during| {
        let act = Act { packets: 0, ..Act::new("path", &["app1"], fault) };
        judged_with(act, [Some(met(20, 300)), Some(during), Some(met(20, 300))]).verdict
    };
    let slow = || Fault::NetSlow(NetSlow { to: to(), delay: Span::millis(100), ..NetSlow::default() });
    assert_eq!(quiet(slow(), met(20, 100_400)), Some(Verdict::Held));
    let lose = |percent: f64| {
        let share = Share::from_fraction(percent / 100.0);
        Fault::NetLose(NetLose { to: to(), share, ..NetLose::default() })
    };
    assert_eq!(quiet(lose(60.0), met(8, 300)), Some(Verdict::Held));
    assert_eq!(quiet(lose(5.0), met(19, 300)), Some(Verdict::Unknown), "any path may lose one of twenty");
}

/// Judges a block that rejects packets, whose trial by a handshake was not measured. Each check counts `at_most` packets from
/// `from_second` on.
fn counted(at_most: u64, from_second: i64) -> AttackCard {
    let block = NetBlock {
        to: to(),
        how: Refuse::Reject,
        remote_ports: vec![PortRange { first: 80, last: 80 }],
        ..NetBlock::default()
    };
    let act = Act::new("path", &["app1"], Fault::NetBlock(block));
    let mut records = Drill::exchanging(act, [Some(met(20, 300)), None, Some(met(20, 300))]).records();
    for record in &mut records {
        if let Event::Agent { happened_us, what, .. } = &mut record.event
            && let What::Looked { evidence, .. } = &mut what.what
        {
            let late = *happened_us >= (Drill::start(0) + from_second) * S - S / 2;
            evidence.count = Some(if late { at_most } else { 0 });
            evidence.exercised = if late { Seen::Yes } else { Seen::No };
        }
    }
    fold(&records).attacks.remove(0)
}

#[test]
fn packets_count_unless_a_trial_may_have_sent_them() {
    // The trial is logged ten seconds after the start; checks are after 1, 6, 11, 16 s and so on.
    for (second, seen) in [(6, Seen::Yes), (11, Seen::No), (21, Seen::Yes)] {
        let card = counted(20, second);
        assert_eq!(card.injections[0].exercised, seen, "counted from second {second}: {:?}", card.why);
        let verdict = if seen == Seen::Yes { Verdict::Held } else { Verdict::Unknown };
        assert_eq!(card.verdict, Some(verdict), "{:?}", card.why);
    }
    assert_eq!(counted(51, 11).injections[0].exercised, Seen::Yes, "more than a trial can send");
}

#[test]
fn the_tail_is_that_of_the_binomial() {
    assert!((at_least(0, 20, 0.3) - 1.0).abs() < 1e-12);
    assert!((at_least(20, 20, 0.5) - 0.5_f64.powi(20)).abs() < 1e-12);
    assert!((at_least(2, 3, 0.5) - 0.5).abs() < 1e-12);
    assert!((at_least(7, 20, 1.0) - 1.0).abs() < 1e-12);
}
