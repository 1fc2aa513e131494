//! Tests of starts: which injections start, when, and which never do.

use std::{fs, sync::atomic::Ordering};

use firedrill_agent::{control::Control, journal::read};
use firedrill_wire::{RefusalCode, Span, api::Renew, api::UndoScope, journal::HealReason, journal::State};

use super::{Agent, HOLD, a, fakes::alice, fakes::ask_prepare, fakes::pause, fakes::run_id, fakes::wait, id};

#[test]
fn the_hold_is_counted_from_when_each_fault_is_in_force() {
    let agent = Agent::new();
    let hold = Span::millis(400);
    agent.armed_for(
        &[("slow", pause("slow", Some("slow"), None)), ("quick", pause("quick", None, None))],
        hold,
    );
    for name in ["slow", "quick"] {
        agent.wait_for(name, State::Undone);
        let [begun, in_force, undoing] = [State::Injecting, State::InForce, State::Undoing]
            .map(|state| agent.when(name, state).expect("it had each of these states"));
        let held = undoing - in_force;
        assert!(held >= hold.as_micros(), "{name} was in force for {held} µs");
        assert!(name == "quick" || in_force - begun >= 300_000, "making it takes 300 ms");
        assert_eq!(agent.history(name).1, Some(HealReason::HoldOver));
    }
}

#[test]
fn the_guardian_and_the_status_have_the_real_end() {
    let agent = Agent::new();
    let hold = Span::secs(10);
    agent.armed_for(&[("a", pause("a", Some("slow"), None))], hold);
    let deadline = || agent.guard.0.load(Ordering::SeqCst);
    wait("the effect to begin", || agent.file("a.begun").exists());
    let begun = agent.when("a", State::Injecting).expect("it has begun");
    // Making the effect may take as long as the hold, and its thread has some seconds more to report.
    assert!((begun + 10_000_000..begun + 16_000_000).contains(&deadline()), "{} {begun}", deadline());
    agent.wait_for("a", State::InForce);
    let ends = agent.when("a", State::InForce).expect("it is in force") + hold.as_micros();
    wait("the guardian to get the deadline", || deadline() == ends);
    assert_eq!(agent.supervisor.status().open[0].ends_boot_us, ends);
    wait("the copy", || {
        fs::read_to_string(agent.dir.path().join("run/open.json"))
            .is_ok_and(|text| text.contains(&format!("\"ends_boot_us\":{ends}")))
    });
    let replayed = read(&agent.config.paths()).unwrap();
    assert_eq!(replayed.open().next().expect("open").intent.live.ends_boot_us, ends);
    agent.undo(UndoScope::All, false);
}

#[test]
fn a_start_is_armed_an_hour_ahead_at_most() {
    let agent = Agent::new();
    let far = agent.prepared(&a(), 3_700_000);
    let refused = agent.supervisor.arm(&alice(), &run_id(), &far).unwrap_err();
    assert_eq!(refused.code, RefusalCode::TooEarly);
    assert!(refused.title.contains("at most 1h before its start"), "{refused:?}");
    agent.arm(&agent.prepared(&a(), 3_500_000)).unwrap();
    agent.undo(UndoScope::All, false);
    let agent = Agent::with("[policy]\nmax_hold = \"2h\"\n");
    agent.arm(&agent.prepared(&a(), 3_700_000)).unwrap();
    agent.undo(UndoScope::All, false);
}

#[test]
fn a_halt_lasts_until_it_is_released_also_after_a_restart() {
    let agent = Agent::new();
    agent.in_force(&a());
    let answer = agent.undo(UndoScope::All, true);
    assert_eq!(answer.injections.len(), 1);
    assert_eq!(answer.injections[0].state, State::Undone);
    assert!(!agent.file("a").exists());
    let other = "r2".parse().unwrap();
    let ask = ask_prepare(&[("b", pause("b", None, None))], HOLD);
    assert_eq!(agent.supervisor.prepare(&alice(), &other, &ask).unwrap_err().code, RefusalCode::Halted);
    let agent = agent.restart();
    assert_eq!(agent.supervisor.status().halted_by.as_deref(), Some("alice"));
    assert_eq!(agent.supervisor.prepare(&alice(), &other, &ask).unwrap_err().code, RefusalCode::Halted);
    agent.supervisor.release(&alice()).unwrap();
    assert!(agent.supervisor.prepare(&alice(), &other, &ask).is_ok());
}

#[test]
fn renewals_reach_the_faults_kind() {
    let agent = Agent::new();
    agent.in_force(&a());
    agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: Span::secs(7) }).unwrap();
    wait("the kind to be renewed", || agent.log().iter().any(|line| line == "renew a 7s"));
}

#[test]
fn staged_faults_are_undone_when_they_never_start() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("staged"), None))], 60_000)).unwrap();
    agent.renew().unwrap();
    // A minute before the start nothing is staged; half a second before, everything that has no effect is.
    assert!(agent.log().is_empty());
    let arm = agent.prepared(&[("b", pause("b", Some("staged"), None))], 400);
    agent.arm(&arm).unwrap();
    agent.renew().unwrap();
    wait("staging", || agent.log().iter().any(|line| line == "stage b"));
    assert!(agent.undo(UndoScope::Injection(id("b")), false).stuck.is_empty());
    let (states, ..) = agent.history("b");
    match states.as_slice() {
        [State::Armed, State::Disarmed] => {
            assert!(!agent.log().iter().any(|line| line.starts_with("inject")));
        }
        // This machine was busy: the start overtook the undo.
        [State::Armed, State::Injecting, .., State::Undone] => {}
        other => panic!("{other:?}"),
    }
    assert!(!agent.file("b").exists(), "the staged file is removed");
    assert!(agent.undo(UndoScope::All, false).stuck.is_empty());
    assert_eq!(agent.history("a").0, [State::Armed, State::Disarmed]);
}

#[test]
fn a_start_of_another_boot_or_plan_is_refused() {
    let agent = Agent::new();
    let mut arm = agent.prepared(&a(), 500);
    arm.boot_id = "another".into();
    assert_eq!(agent.arm(&arm), Err("rebooted".into()));
    arm = agent.prepared(&a(), 500);
    arm.plan_digest = "another".into();
    assert_eq!(agent.arm(&arm), Err("other-plan".into()));
    arm = agent.prepared(&a(), 500);
    arm.injections[0].id = id("unasked");
    assert_eq!(agent.arm(&arm), Err("not-prepared".into()));
    arm = agent.prepared(&a(), 500);
    agent.arm(&arm).unwrap();
    assert_eq!(agent.arm(&arm), Err("armed-already".into()));
}

#[test]
fn a_host_that_changed_since_prepare_is_refused() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 500);
    fs::write(agent.file("basis"), "another pid").unwrap();
    assert_eq!(agent.arm(&arm), Err("changed".into()));
    assert!(agent.history("a").0.is_empty());
    agent.arm(&agent.prepared(&a(), 500)).unwrap();
}

#[test]
fn a_stopping_agent_undoes_and_refuses() {
    let agent = Agent::new();
    agent.in_force(&a());
    agent.supervisor.stop(&HealReason::AgentStopping);
    wait("everything to settle", || agent.supervisor.is_settled());
    assert!(!agent.file("a").exists() && !agent.supervisor.is_stuck());
    assert_eq!(agent.history("a").1, Some(HealReason::AgentStopping));
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), HOLD));
    assert_eq!(asked.unwrap_err().code, RefusalCode::Stopping);
}
