//! Tests of the end of a run on a host: which differences the run has made, and which are by others.

use std::fs;

use firedrill_agent::control::Control;
use firedrill_wire::{RefusalCode, RunId, api::HostState, api::Renew, api::UndoScope, journal::State};

use super::{
    Agent, HOLD, LEASE, fakes::alice, fakes::ask_arm, fakes::ask_prepare, fakes::pause, fakes::ready,
    fakes::run_id, id,
};

#[test]
fn differences_in_claimed_things_are_ours() {
    for (claim, state) in [("value", HostState::Dirty), ("else", HostState::Clean)] {
        let agent = Agent::new();
        agent.in_force(&[("a", pause("a", None, Some(claim)))]);
        agent.undo(UndoScope::Injection(id("a")), false);
        fs::write(agent.file("value"), "changed").unwrap();
        let agent = agent.restart();
        let end = agent.supervisor.finish(&run_id()).unwrap();
        assert_eq!(end.state, state, "{end:?}");
        assert_eq!(end.ours.len() + end.foreign.len(), 1);
    }
    let agent = Agent::new();
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap_err().code, RefusalCode::UnknownRun);
}

/// Makes a fault that changes the host as part of another run, r2. Returns a function that ends that run.
fn another_run(agent: &Agent) -> impl Fn(&Agent) + use<> {
    let run: RunId = "r2".parse().unwrap();
    let ask = ask_prepare(&[("z", pause("z", None, Some("value")))], HOLD);
    let prepared = ready(agent.supervisor.prepare(&alice(), &run, &ask).unwrap());
    agent.supervisor.arm(&alice(), &run, &ask_arm(&prepared, 0, HOLD, LEASE)).unwrap();
    agent.supervisor.renew(&alice(), &run, &Renew { lease: LEASE }).unwrap();
    agent.wait_for("z", State::InForce);
    fs::write(agent.file("value"), "changed").unwrap();
    move |agent: &Agent| {
        agent.undo(UndoScope::Run(run.clone()), false);
        fs::remove_file(agent.file("value")).unwrap();
    }
}

#[test]
fn changes_by_another_run_are_not_this_runs() {
    let finish = |agent: &Agent, words: &str| {
        let end = agent.supervisor.finish(&run_id()).unwrap();
        assert_eq!((end.state, end.ours.len()), (HostState::Clean, 0), "{end:?}");
        assert!(end.foreign.len() == 1 && end.foreign[0].contains("run r2 (Friday, by alice)"), "{end:?}");
        assert!(end.foreign[0].contains(words), "{end:?}");
    };
    // The other run's fault began after this run's snapshot, and is still in force.
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None))]);
    let end = another_run(&agent);
    agent.undo(UndoScope::Injection(id("a")), false);
    finish(&agent, "open true");
    end(&agent);
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap().foreign, Vec::<String>::new());
    // The other run's fault was in force before this run's snapshot, and has ended since. The same holds after a restart of the agent.
    let agent = Agent::new();
    let end = another_run(&agent);
    agent.in_force(&[("a", pause("a", None, None))]);
    end(&agent);
    agent.undo(UndoScope::Injection(id("a")), false);
    finish(&agent, "open false");
    finish(&agent.restart(), "open false");
}

#[test]
fn leftovers_are_not_attributed_to_a_run_that_has_not_started() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, Some("value")))]);
    agent.undo(UndoScope::Injection(id("a")), false);
    fs::write(agent.file("value"), "left over").unwrap();
    let run: RunId = "r2".parse().unwrap();
    let ask = ask_prepare(&[("z", pause("z", None, Some("value")))], HOLD);
    let prepared = ready(agent.supervisor.prepare(&alice(), &run, &ask).unwrap());
    agent.supervisor.arm(&alice(), &run, &ask_arm(&prepared, 60_000, HOLD, LEASE)).unwrap();
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!((end.state, end.ours.len()), (HostState::Dirty, 1), "{end:?}");
    agent.undo(UndoScope::Run(run), false);
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!(end.state, HostState::Dirty, "it was never in force: {end:?}");
}

#[test]
fn a_difference_in_something_that_two_runs_claimed_is_unproven() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, Some("value")))]);
    agent.undo(UndoScope::Injection(id("a")), false);
    let end_other = another_run(&agent);
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!((end.state, end.ours.len()), (HostState::Unproven, 1), "{end:?}");
    assert!(end.ours[0].contains("run r2 (Friday, by alice)"), "{end:?}");
    end_other(&agent);
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap().state, HostState::Clean);
}

#[test]
fn a_difference_that_is_left_to_an_administrator_is_not_ours() {
    for (file, text) in [("a.theirs", "file:value"), ("a.taken", "")] {
        let agent = Agent::new();
        fs::write(agent.file(file), text).unwrap();
        agent.in_force(&[("a", pause("a", None, Some("value")))]);
        fs::write(agent.file("value"), "as the administrator wants it").unwrap();
        agent.undo(UndoScope::Injection(id("a")), false);
        let end = agent.supervisor.finish(&run_id()).unwrap();
        assert_eq!((end.state, end.foreign.len()), (HostState::Clean, 1), "{file}: {end:?}");
        let end = agent.restart().supervisor.finish(&run_id()).unwrap();
        assert_eq!((end.state, end.foreign.len()), (HostState::Clean, 1), "{file}: {end:?}");
    }
}

#[test]
fn a_run_in_memory_ends_without_reading_the_journal() {
    let agent = Agent::new();
    let drill = |n: usize| {
        let (run, id): (RunId, _) = (format!("r-{n}").parse().unwrap(), format!("i-{n}"));
        let ask = ask_prepare(&[(&id, pause(&id, None, None))], HOLD);
        let prepared = ready(agent.supervisor.prepare(&alice(), &run, &ask).unwrap());
        agent.supervisor.arm(&alice(), &run, &ask_arm(&prepared, 0, HOLD, LEASE)).unwrap();
        agent.supervisor.renew(&alice(), &run, &Renew { lease: LEASE }).unwrap();
        agent.wait_for(&id, State::InForce);
        agent.undo(UndoScope::Run(run.clone()), false);
        run
    };
    for n in 0..10 {
        agent.supervisor.finish(&drill(n)).unwrap();
    }
    let last = drill(10);
    let journal = agent.dir.path().join("state/journal");
    fs::remove_file(&journal).unwrap();
    // A directory in place of the journal cannot be read.
    fs::create_dir(&journal).unwrap();
    assert_eq!(agent.supervisor.finish(&last).unwrap().state, HostState::Clean);
    // Earlier runs are not in memory any more.
    let forgotten: RunId = "r-0".parse().unwrap();
    assert_eq!(agent.supervisor.finish(&forgotten).unwrap_err().code, RefusalCode::CannotCompare);
}
