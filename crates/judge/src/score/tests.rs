//! The verdicts of runs in which something went wrong.

mod not_run;
mod spared;
mod times;
mod vantages;

use firedrill_plan::plan::model::{Goal, Phase};
use firedrill_wire::{
    Fault, Share, Span,
    api::HostState,
    evidence::Seen,
    journal::{AgentEvent, HealReason, State, What},
};

use super::{
    card::{AttackCard, Course},
    *,
};
use crate::{
    log::Event,
    testing::{Act, BASELINE, Drill, HOLD, S, stop},
};

fn judged(drill: &Drill) -> Scorecard {
    fold(&drill.records())
}

/// Judges a drill, and asserts that its first attack is unknown for this reason.
#[track_caller]
fn unknown(drill: &Drill, why: &str) -> Scorecard {
    let card = judged(drill);
    assert_eq!(card.verdict, Verdict::Unknown, "{:#?}", card.attacks);
    let attack = &card.attacks[0];
    assert_eq!(attack.verdict, Some(Verdict::Unknown), "{attack:#?}");
    assert_eq!(attack.score, None);
    assert_eq!(card.exit, Exit::Unknown as u8);
    let reasons = attack.why.join("\n");
    assert!(reasons.contains(why), "wanted `{why}` in:\n{reasons}");
    card
}

#[test]
fn all_is_measured_and_holds() {
    let mut drill = Drill::good();
    drill.acts[0].bad = vec![(0..4, 3), (3..4, 60)];
    let card = judged(&drill);
    assert_eq!((card.verdict, card.exit), (Verdict::Held, 0), "{:#?} {:?}", card.attacks, card.why);
    assert_eq!((card.ran, card.planned), (2, 2));
    assert!(card.score.is_some_and(|score| score > 80), "{:?}", card.score);
    let figure = &card.attacks[0].figures[0];
    assert_eq!(figure.bad, 72);
    assert!(figure.mitigated_us.is_some_and(|us| (3_600_000..3_700_000).contains(&us)), "{figure:?}");
    assert_eq!(figure.recovered_us, Some(0));
    assert!(card.story.starts_with("Two failures, all held: while "), "{}", card.story);
}

#[test]
fn errors_beyond_the_heal_violate() {
    let mut drill = Drill::good();
    drill.acts[1].bad = vec![(0..HOLD + 12, 60)];
    let card = judged(&drill);
    assert_eq!((card.verdict, card.exit), (Verdict::Violated, 1));
    assert_eq!(card.attacks[0].verdict, Some(Verdict::Held), "the other is judged by itself");
    let verdicts: Vec<_> = card.attacks[1].objectives.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::Violated; 4], "{:#?}", card.attacks[1].objectives);
    let fast = &card.attacks[1].objectives[1];
    assert!(fast.measured.endless, "requests without an answer are infinitely slow: {fast:?}");
    assert!(card.story.contains("while fremont was cut off, users saw 60 % errors"), "{}", card.story);
    assert!(card.attacks[1].score < card.attacks[0].score);
    assert_eq!(card.score, card.attacks[1].score);
    let figure = &card.attacks[1].figures[0];
    assert_eq!(figure.mitigated_us, None);
    assert!(figure.recovered_us.is_some_and(|us| (11_000_000..12_500_000).contains(&us)), "{figure:?}");
    assert!(figure.budget_spent.is_some_and(|spent| spent > 5.0));
}

#[test]
fn a_fault_lifted_early_is_unknown_with_who_did_it() {
    let mut drill = Drill::one();
    drill.acts[0].lifted = 30;
    drill.acts[0].reason = HealReason::Asked { by: "bob".to_owned() };
    unknown(&drill, "lifted early, asked for by bob");
    drill.acts[0].reason = HealReason::HoldOver;
    unknown(&drill, "was in force for 30 s of 1 min");
    drill.acts[0].reason = HealReason::LeaseExpired;
    unknown(&drill, "lease ran out");
}

#[test]
fn a_violation_remains_although_the_fault_was_lifted_early() {
    let mut drill = Drill::one();
    drill.acts[0].lifted = 30;
    drill.acts[0].reason = HealReason::Asked { by: "guard".to_owned() };
    drill.acts[0].bad = vec![(0..30, 90)];
    assert_eq!(judged(&drill).verdict, Verdict::Violated);
    // The attack is violated only if it would be so with the rest of the hold good.
    drill.goals = vec![("users", Goal::Good(Share::from_fraction(0.75).unwrap()), vec![])];
    assert_eq!(judged(&drill).verdict, Verdict::Unknown);
}

#[test]
fn a_fault_that_did_not_land_is_unknown_even_if_users_suffered() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(0..HOLD, 90)];
    drill.acts[0].exercised = Seen::No;
    unknown(&drill, "never exercised");
    drill.acts[0].in_force = Seen::No;
    unknown(&drill, "was not there");
    drill.acts[0].in_force = Seen::Unknown;
    unknown(&drill, "could not be seen");
    drill.acts[0].looks = false;
    unknown(&drill, "no check shows");
}

#[test]
fn a_gap_of_the_coordinator_is_unknown() {
    let mut drill = Drill::one();
    drill.extra = vec![(60, Event::Gap { from_us: 50 * S, to_us: 60 * S })];
    unknown(&drill, "the coordinator itself was not running for 10 s");
}

#[test]
fn a_run_with_a_record_of_unknown_kind_is_unknown() {
    let mut drill = Drill::good();
    let text = "record 9 (`page-sent`, format 1) is not known".to_owned();
    drill.extra = vec![(60, Event::Unknown { name: "page-sent".to_owned(), text })];
    let card = judged(&drill);
    assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Unknown as u8));
    assert!(card.why.iter().any(|why| why.contains("does not know: `page-sent`")), "{:?}", card.why);
    // An unknown record does not change a violation that was measured.
    drill.acts[1].bad = vec![(0..HOLD, 90)];
    assert_eq!(judged(&drill).verdict, Verdict::Violated);
}

#[test]
fn a_coordinator_that_was_stopped_ends_with_its_own_code() {
    let mut drill = Drill::good();
    drill.acts[1].outcome = crate::log::Outcome::Aborted("stopped by alice".to_owned());
    drill.acts[1].lifted = 20;
    drill.acts[1].reason = HealReason::Asked { by: "alice".to_owned() };
    drill.outcome = Some(RunOutcome::Stopped("interrupt".to_owned()));
    let card = judged(&drill);
    assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Stopped as u8));
    assert_eq!(card.attacks[0].verdict, Some(Verdict::Held));
    assert_eq!(card.attacks[1].verdict, Some(Verdict::Unknown));
}

#[test]
fn an_attack_on_an_unhealthy_system_is_unknown() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(-BASELINE..0, 10), (0..HOLD, 80)];
    unknown(&drill, "the system was not healthy before");
}

#[test]
fn an_agent_that_died_is_unknown() {
    for (reason, why) in [
        (HealReason::WorkerDied, "worker died"),
        (HealReason::GuardianDied, "guardian died"),
        (HealReason::FoundAtStart, "restarted"),
        (HealReason::AgentStopping, "stopped or upgraded"),
        (HealReason::InjectFailed, "could not be made wholly"),
        (HealReason::NotAllowed, "policy changed"),
    ] {
        let mut drill = Drill::one();
        drill.acts[0].reason = reason;
        unknown(&drill, why);
    }
}

#[test]
fn a_stuck_dirty_or_unasked_host_ends_with_six() {
    for state in [HostState::Stuck, HostState::Dirty, HostState::Unproven] {
        let mut drill = Drill::one();
        drill.ends = vec![("app1", state)];
        let card = judged(&drill);
        assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Unclean as u8), "{state:?}");
    }
    let mut drill = Drill::one();
    drill.acts[0].end = State::Stuck;
    drill.ends.clear();
    let card = judged(&drill);
    assert_eq!(card.hosts[0].state, HostState::Unproven);
    assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Unclean as u8));
}

#[test]
fn a_guard_that_tripped_is_a_violation() {
    let mut drill = Drill::one();
    let trip = |blind| Event::GuardTripped { why: "buy below 90 % for 10 s".to_owned(), blind };
    drill.extra = vec![(40, trip(false))];
    drill.outcome = Some(RunOutcome::Guarded("buy below 90 %".to_owned()));
    assert_eq!(judged(&drill).exit, Exit::Violated as u8);
    drill.extra = vec![(40, trip(true))];
    unknown(&drill, "a guard was blind");
}

#[test]
fn too_few_requests_are_unknown() {
    let mut drill = Drill::one();
    drill.acts[0].bad.clear();
    drill.goals = vec![("users", Goal::Good(Share::from_fraction(0.9999).unwrap()), vec![])];
    unknown(&drill, "so few cannot show it");
}

#[track_caller]
fn never_held(records: &[Record]) {
    let card = fold(records);
    assert_ne!(card.verdict, Verdict::Held, "{} records", records.len());
    assert_ne!(card.exit, 0, "{} records", records.len());
    assert!(!card.story.is_empty());
}

#[test]
fn a_log_cut_at_every_record_is_never_held() {
    let mut drill = Drill::one();
    drill.vantages.truncate(1);
    let records = drill.records();
    assert_eq!(fold(&records).verdict, Verdict::Held);
    for cut in 0..records.len() {
        never_held(&records[..cut]);
    }
    let records = Drill::good().records();
    for cut in (0..records.len() - 1).step_by(41) {
        never_held(&records[..cut]);
        // The same for a log without a record in the middle.
        never_held(&[&records[..cut], &records[cut + 1..]].concat());
    }
}

#[test]
fn an_attack_is_judged_while_the_run_goes_on() {
    let drill = Drill::good();
    let mut records = drill.records();
    let end = records
        .iter()
        .position(|record| matches!(record.event, Event::AttackEnded { attack: 0, .. }))
        .unwrap();
    let now = records[end].at_us;
    records.truncate(end);
    let card = attack_so_far(&Log::of(&records), 0, now, &crate::log::Outcome::Ran).unwrap();
    assert_eq!(card.verdict, Some(Verdict::Held), "{card:#?}");
    assert!(attack_so_far(&Log::of(&records), 9, now, &crate::log::Outcome::Ran).is_none());
}

#[test]
fn garbage_times_do_not_panic() {
    let drill = Drill { acts: vec![Act::new("stop", &["app1"], stop())], ..Drill::one() };
    for wild in [i64::MIN, -1, i64::MAX] {
        let mut records = drill.records();
        for (place, record) in records.iter_mut().enumerate() {
            match &mut record.event {
                Event::Bin { start_us, bin, .. } if place % 3 == 0 => {
                    *start_us = wild;
                    (bin.length_us, bin.due) = (u64::MAX, u64::MAX);
                    (bin.good, bin.slipped) = (u64::MAX, u64::MAX);
                }
                Event::Agent { happened_us, .. } if place % 2 == 0 => *happened_us = wild,
                Event::Phase { .. } if place % 2 == 0 => record.at_us = wild,
                _ => {}
            }
        }
        assert_ne!(fold(&records).verdict, Verdict::Held);
    }
}

/// A host that goes down cannot journal the end of its fault; the evidence is that its agent started again.
fn reboot(back: bool) -> Vec<Record> {
    use firedrill_wire::{fault::HostReboot, journal::What};
    let mut drill = Drill::one();
    drill.acts[0].fault = firedrill_wire::Fault::HostReboot(HostReboot { back_within: Span::secs(60) });
    drill.acts[0].looks = false;
    let at = Drill::start(0) * S;
    if back {
        drill.extra = vec![
            (Drill::start(0) + 1, Event::LinkLost { host: "app1".to_owned(), why: "reset".to_owned() }),
            (Drill::start(0) + 20, Event::LinkBack { host: "app1".to_owned(), rebooted: true }),
        ];
    }
    let mut records = drill.records();
    records.retain(|record| match &record.event {
        Event::Agent { happened_us, what, .. } => {
            *happened_us < at || matches!(what.what, What::Changed { to: State::InForce, .. })
        }
        _ => true,
    });
    for (seq, record) in (1..).zip(&mut records) {
        record.seq = seq;
    }
    records
}

#[test]
fn an_attack_is_healed_although_nothing_began_on_one_host() {
    let mut records = Drill::good().records();
    records.retain_mut(|record| match &mut record.event {
        Event::Agent { host, what: AgentEvent { what: What::Changed { to, .. }, .. }, .. }
            if host == "db2" =>
        {
            if *to == State::Undone {
                *to = State::Disarmed;
            }
            ![State::Injecting, State::InForce, State::Undoing].contains(to)
        }
        _ => true,
    });
    for (seq, record) in (1..).zip(&mut records) {
        record.seq = seq;
    }
    let attack = &fold(&records).attacks[1];
    assert_eq!(attack.verdict, Some(Verdict::Unknown), "{:?}", attack.why);
    assert!(attack.why.iter().any(|why| why.contains("on db2 was never in force")), "{:?}", attack.why);
    assert!(attack.healed_us.is_some(), "app2 was");
}

#[test]
fn a_reboot_is_shown_by_the_host_that_comes_back() {
    let card = fold(&reboot(true));
    assert_eq!(card.verdict, Verdict::Held, "{:#?}", card.attacks[0]);
    assert_eq!(card.attacks[0].healed_us, Some((Drill::start(0) + 20) * S));
    assert_eq!(card.attacks[0].injections[0].exercised, Seen::Yes);
    let card = fold(&reboot(false));
    assert_eq!(card.verdict, Verdict::Unknown);
    assert!(
        card.attacks[0].why.iter().any(|why| why.contains("never went away")),
        "{:?}",
        card.attacks[0].why
    );
}

#[test]
fn a_fault_of_several_hosts_is_met_where_one_of_them_meets_it() {
    let drill = Drill::good();
    let hosts = drill.acts[1].hosts.clone();
    let card = |other: Option<Fault>, met: &[&str], there: &[&str]| {
        let mut records = drill.records();
        for record in &mut records {
            match &mut record.event {
                Event::RunStarted { plan, .. } => {
                    if let Some(other) = &other {
                        plan.attacks[1].injections[1].fault = other.clone();
                    }
                }
                Event::Agent { host, what, .. } => {
                    if let What::Looked { evidence, .. } = &mut what.what
                        && hosts.contains(&host.as_str())
                    {
                        let seen = |among: &[&str]| {
                            if among.contains(&host.as_str()) { Seen::Yes } else { Seen::No }
                        };
                        (evidence.exercised, evidence.in_force) = (seen(met), seen(there));
                    }
                }
                _ => {}
            }
        }
        fold(&records).attacks[1].clone()
    };
    assert!(hosts.len() > 1);
    let one = &hosts[..1];
    assert_eq!(card(None, one, &hosts).verdict, Some(Verdict::Held), "the other is idle");
    let assert_unknown = |card: AttackCard, wanted: &str| {
        assert_eq!(card.verdict, Some(Verdict::Unknown), "{:?}", card.why);
        assert!(card.why.join("\n").contains(wanted), "{:?}", card.why);
    };
    assert_unknown(card(None, &[], &hosts), "never exercised");
    assert_unknown(card(None, one, one), "host-isolate on db2 was not there");
    assert_unknown(card(Some(stop()), one, &hosts), "service-stop on db2 was never exercised");
}
