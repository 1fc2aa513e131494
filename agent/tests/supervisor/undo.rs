//! Tests of undos: at the end of a hold, on request, and after errors.

use std::{fs, sync::atomic::Ordering};

use firedrill_agent::control::Control;
use firedrill_probe::clock::boot_us;
use firedrill_wire::{
    Fault, RefusalCode, Span, api::HostState, api::Renew, api::Undo, api::UndoScope, journal::HealReason,
    journal::State, journal::What,
};

use super::{
    Agent, HOLD, LEASE, a, fakes::alice, fakes::ask_arm, fakes::ask_prepare, fakes::pause, fakes::ready,
    fakes::run_id, fakes::wait, id, kill,
};

#[test]
fn a_hold_ends_by_itself_with_evidence_and_leaves_nothing() {
    let agent = Agent::new();
    let answer =
        agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), Span::millis(400))).unwrap();
    agent.arm(&ask_arm(&ready(answer), 50, Span::millis(400), LEASE)).unwrap();
    let active = fs::read_to_string(agent.dir.path().join("run/active")).unwrap();
    assert!(active.contains("Friday") && active.contains("undo --all"), "{active}");
    agent.renew().unwrap();
    agent.wait_for("a", State::Undone);
    let (states, reason, _) = agent.history("a");
    assert_eq!(states, [State::Armed, State::Injecting, State::InForce, State::Undoing, State::Undone]);
    assert_eq!(reason, Some(HealReason::HoldOver));
    let events = agent.events();
    let looks = events.iter().filter(|event| matches!(event.what, What::Looked { .. })).count();
    assert!(looks >= 2, "{looks}: one at the start, one at the end");
    assert!(events.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    assert!(!agent.file("a").exists());
    wait("the files in /run to go", || !agent.dir.path().join("run/active").exists());
    assert!(!agent.dir.path().join("run/open.json").exists());
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!((end.state, end.compared), (HostState::Clean, 1));
}

#[test]
fn an_undo_overtakes_a_delayed_arm_also_after_a_restart() {
    let agent = Agent::new();
    let [first, second] = ["first", "second"].map(|name| (name, pause(name, None, None)));
    let late = agent.prepared(&[first.clone(), second.clone()], 500);
    agent.undo(UndoScope::Injection(id("second")), false);
    assert_eq!(agent.arm(&late), Err("tombstone".into()), "all or none");
    assert!(agent.history("first").0.is_empty());
    let agent = agent.restart();
    assert_eq!(agent.arm(&agent.prepared(&[second], 500)), Err("tombstone".into()));
    agent.undo(UndoScope::Run(run_id()), false);
    let asked =
        agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(std::slice::from_ref(&first), HOLD));
    assert_eq!(asked.unwrap_err().code, RefusalCode::Tombstone);
    let agent = agent.restart();
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&[first], HOLD));
    assert_eq!(asked.unwrap_err().code, RefusalCode::Tombstone);
}

/// The event tells a coordinator that its run was undone, whichever of its hosts was asked.
#[test]
fn an_undo_with_nothing_in_force_is_an_event_once_if_the_run_is_known() {
    let agent = Agent::new();
    let undone_runs = || {
        let events = agent.events().into_iter();
        let undone = events.filter_map(|event| match event.what {
            What::RunUndone { run, by } => Some((run.to_string(), by)),
            _ => None,
        });
        undone.collect::<Vec<_>>()
    };
    agent.undo(UndoScope::Run("typo".parse().unwrap()), false);
    assert_eq!(undone_runs(), [], "the undo of an unknown run is no event");
    for _ in 0..2 {
        agent.undo(UndoScope::Run("measured".parse().unwrap()), false);
    }
    let measured = ("measured".to_owned(), "alice".to_owned());
    assert_eq!(undone_runs(), std::slice::from_ref(&measured));
    let _prepared = agent.prepared(&a(), 0);
    agent.undo(UndoScope::All, false);
    assert_eq!(undone_runs(), [measured, (run_id().to_string(), "alice".to_owned())]);

    let agent = Agent::new();
    agent.in_force(&a());
    agent.undo(UndoScope::Run(run_id()), false);
    assert_eq!(agent.history("a").1, Some(HealReason::Asked { by: "alice".to_owned() }));
    let twice = agent.events().into_iter().any(|event| matches!(event.what, What::RunUndone { .. }));
    assert!(!twice, "the events of its injections say it already");
}

#[test]
fn overlapping_injections_are_undone_in_every_order() {
    for order in [["a", "b"], ["b", "a"]] {
        let agent = Agent::new();
        let shared = Some("shared x");
        agent.in_force(&[("a", pause("a", None, shared)), ("b", pause("b", None, shared))]);
        agent.undo(UndoScope::Injection(id(order[0])), false);
        assert!(!agent.file(order[0]).exists() && agent.file(order[1]).exists(), "{order:?}");
        agent.undo(UndoScope::Injection(id(order[1])), false);
        assert!(!agent.file(order[1]).exists(), "{order:?}");
    }
}

#[test]
fn without_renewals_all_of_a_run_is_undone_for_good() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
    agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: Span::millis(300) }).unwrap();
    for name in ["a", "b"] {
        agent.wait_for(name, State::Undone);
        assert_eq!(agent.history(name).1, Some(HealReason::LeaseExpired));
        assert!(!agent.file(name).exists());
    }
    let expired =
        agent.events().iter().filter(|event| matches!(event.what, What::LeaseExpired { .. })).count();
    assert_eq!(expired, 1);
    assert_eq!(agent.renew(), Err("lease-over".into()));
    let again = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), HOLD));
    assert_eq!(again.unwrap_err().code, RefusalCode::LeaseOver);
    assert_eq!(
        agent.supervisor.renew(&alice(), &"r9".parse().unwrap(), &Renew { lease: LEASE }).unwrap_err().code,
        RefusalCode::UnknownRun
    );
}

#[test]
fn an_effect_that_fails_half_way_is_undone_and_not_tried_again() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("fails"), None))], 0)).unwrap();
    agent.renew().unwrap();
    agent.wait_for("a", State::Undone);
    let (states, reason, why) = agent.history("a");
    assert_eq!(states, [State::Armed, State::Injecting, State::Undoing, State::Undone]);
    assert_eq!(reason, Some(HealReason::InjectFailed));
    assert!(why.contains("half of it"), "{why}");
    assert!(!agent.file("a").exists());
    assert_eq!(agent.log().iter().filter(|line| line.starts_with("inject")).count(), 1);
}

#[test]
fn an_undo_waits_for_an_effect_that_is_being_made() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("slow"), None))], 0)).unwrap();
    agent.renew().unwrap();
    wait("the effect to begin", || agent.file("a.begun").exists());
    let answer = agent.undo(UndoScope::Run(run_id()), false);
    assert_eq!(answer.injections[0].state, State::Undone);
    assert!(!agent.file("a").exists(), "nothing comes after the undo");
}

#[test]
fn an_undo_calls_off_an_effect_that_is_being_made() {
    for (name, stop) in [("asked-patient", false), ("stopping-patient", true)] {
        let agent = Agent::new();
        agent.arm(&agent.prepared(&[(name, pause(name, Some("patient"), None))], 0)).unwrap();
        agent.renew().unwrap();
        wait("the effect to begin", || agent.file(&format!("{name}.begun")).exists());
        let reason = if stop {
            agent.supervisor.stop(&HealReason::AgentStopping);
            HealReason::AgentStopping
        } else {
            agent.undo(UndoScope::Run(run_id()), false);
            HealReason::Asked { by: "alice".into() }
        };
        wait("everything to settle", || agent.supervisor.is_settled());
        let (states, last, why) = agent.history(name);
        assert_eq!(states, [State::Armed, State::Injecting, State::Undoing, State::Undone]);
        assert_eq!(last, Some(reason), "the request is the reason");
        assert!(why.contains("called off"), "{why}");
    }
}

#[test]
fn an_effect_that_is_called_off_has_five_seconds_until_the_guardian_acts() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("gated"), None))], 0)).unwrap();
    agent.renew().unwrap();
    wait("the effect to begin", || agent.file("a.begun").exists());
    let deadline = || agent.guard.0.load(Ordering::SeqCst);
    let before = deadline();
    let asked = boot_us();
    let supervisor = agent.supervisor.clone();
    let undo = Undo { scope: UndoScope::Injection(id("a")), halt: false };
    let asking = std::thread::spawn(move || supervisor.undo(&alice(), &undo));
    wait("the guardian to get a deadline", || deadline() != before);
    assert!((asked + 5_000_000..=boot_us() + 5_000_000).contains(&deadline()), "{} {asked}", deadline());
    fs::write(agent.file("a.gate"), "").unwrap();
    assert_eq!(asking.join().expect("no panic").injections[0].state, State::Undone);
}

#[test]
fn a_passing_error_is_tried_again() {
    let agent = Agent::new();
    agent.in_force(&a());
    fs::write(agent.file("a.once"), "").unwrap();
    assert!(agent.undo(UndoScope::Run(run_id()), false).stuck.is_empty());
    assert!(!agent.file("a").exists());
    assert!(agent.events().iter().any(|event| matches!(event.what, What::UndoRetry { attempt: 1, .. })));
}

#[test]
fn an_undo_that_keeps_failing_is_stuck_and_can_be_done_later() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
    fs::write(agent.file("a.broken"), "").unwrap();
    let answer = agent.undo(UndoScope::All, false);
    assert_eq!(answer.stuck.len(), 1);
    assert!(answer.stuck[0].contains("rm "), "says how to do it by hand: {:?}", answer.stuck);
    assert!(!agent.file("b").exists(), "the other injection is undone");
    assert!(agent.supervisor.status().warnings.iter().any(|warning| warning.contains("stuck")));
    assert!(agent.supervisor.metrics().contains("firedrill_injections_stuck 1"));
    assert!(agent.dir.path().join("run/active").exists());
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap().state, HostState::Stuck);

    // A restart tries again, and the injection stays open in the status.
    let agent = agent.restart();
    assert_eq!(agent.supervisor.status().open.len(), 1);
    // A journal that was emptied is made anew with the injection, and the next agent needs no copy in /run.
    fs::File::create(agent.dir.path().join("state/journal")).unwrap();
    agent.supervisor.tidy();
    let text = fs::read_to_string(agent.dir.path().join("state/journal")).unwrap();
    assert!(text.contains("cannot remove it"), "the reason is in it: {text}");
    fs::remove_file(agent.dir.path().join("run/open.json")).unwrap();
    let agent = agent.restart();
    assert_eq!(agent.supervisor.status().open.len(), 1);
    fs::remove_file(agent.file("a.broken")).unwrap();
    assert!(agent.undo(UndoScope::All, false).stuck.is_empty());
    assert!(!agent.file("a").exists());
    assert!(agent.supervisor.status().open.is_empty());
    assert!(!agent.dir.path().join("run/active").exists());
}

#[test]
fn an_error_that_will_not_pass_is_not_tried_again() {
    let agent = Agent::new();
    agent.in_force(&a());
    fs::write(agent.file("a.hopeless"), "").unwrap();
    assert_eq!(agent.undo(UndoScope::All, false).stuck.len(), 1);
    assert_eq!(agent.log().iter().filter(|line| *line == "undo a").count(), 1);
}

#[test]
fn a_fault_without_an_undo_is_done_and_watched() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("k", kill("k"))], 0)).unwrap();
    agent.renew().unwrap();
    agent.wait_for("k", State::Done);
    wait("looks", || agent.events().iter().any(|event| matches!(event.what, What::Looked { .. })));
    assert!(agent.supervisor.status().open.is_empty());
    assert!(agent.undo(UndoScope::All, false).injections.is_empty());
    assert!(agent.file("k").exists());
}

#[test]
fn the_answer_to_an_undo_lists_all_injections_also_those_that_were_forgotten_meanwhile() {
    let agent = Agent::new();
    let faults: Vec<(String, Fault)> =
        (0..8).map(|number| (format!("f{number}"), pause(&format!("f{number}"), None, None))).collect();
    let faults: Vec<(&str, Fault)> = faults.iter().map(|(id, fault)| (id.as_str(), fault.clone())).collect();
    agent.in_force(&faults);
    // The undo of one injection takes a while. Meanwhile the host is compared for the run, and ended injections are forgotten.
    fs::write(agent.file("f0.broken"), "").unwrap();
    let answer = std::thread::scope(|scope| {
        let undo = scope.spawn(|| agent.undo(UndoScope::All, false));
        for (id, _) in &faults[1..] {
            agent.wait_for(id, State::Undone);
        }
        agent.supervisor.finish(&run_id()).unwrap();
        undo.join().unwrap()
    });
    let states: Vec<State> = answer.injections.iter().map(|injection| injection.state).collect();
    assert_eq!(states.len(), 8, "{states:?}");
    assert!(
        states[0] == State::Stuck && states[1..].iter().all(|state| *state == State::Undone),
        "{states:?}"
    );
}
