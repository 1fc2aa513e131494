//! Tests of the journal: damage to it, its length, and its readers.

use std::{fs, sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

use firedrill_agent::{
    control::Caller, control::Control, identity::Identity, journal::read, journal::read_any,
};
use firedrill_wire::{
    RefusalCode, api::HostState, api::Undo, api::UndoScope, journal::HealReason, journal::State,
    journal::What,
};

use super::{Agent, HOLD, a, fakes::alice, fakes::ask_prepare, fakes::pause, fakes::run_id, fakes::wait, id};

#[test]
fn open_injections_are_undone_before_a_new_agent_serves() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
    let agent = agent.restart();
    for name in ["a", "b"] {
        assert!(!agent.file(name).exists());
        assert_eq!(agent.history(name).1, Some(HealReason::FoundAtStart));
    }
    let undos: Vec<String> = agent.log().into_iter().filter(|line| line.starts_with("undo")).collect();
    assert_eq!(undos, ["undo b", "undo a"], "the newest first");
    assert!(agent.events().iter().any(|event| matches!(event.what, What::AgentStarted { healed: 2, .. })));
    assert_eq!(
        agent.supervisor.finish(&run_id()).unwrap().state,
        HostState::Clean,
        "the snapshot outlives a restart"
    );
}

#[test]
fn after_the_loss_of_the_journal_the_copy_is_enough_to_undo() {
    let agent = Agent::new();
    agent.in_force(&a());
    fs::remove_file(agent.dir.path().join("state/journal")).unwrap();
    let agent = agent.restart();
    assert!(!agent.file("a").exists());
    assert!(agent.supervisor.status().warnings.iter().any(|warning| warning.contains("open.json")));
    let replayed = read(&agent.config.paths()).unwrap();
    assert_eq!(replayed.open().count(), 0);
}

#[test]
fn a_journal_that_is_lost_while_the_agent_runs_is_made_anew_with_open_injections() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 7] = [
        ("deleted", |file| fs::remove_file(file).unwrap()),
        ("deleted", |file| fs::remove_dir_all(file.parent().unwrap()).unwrap()),
        ("replaced", |file| {
            fs::write(file.with_extension("x"), "garbage").unwrap();
            fs::rename(file.with_extension("x"), file).unwrap();
        }),
        ("cut", |file| drop(fs::File::create(file).unwrap())),
        ("deleted", |file| {
            drop(fs::File::create(file).unwrap());
            fs::remove_file(file).unwrap();
        }),
        ("replaced", |file| {
            drop(fs::File::create(file).unwrap());
            fs::write(file.with_extension("x"), "garbage").unwrap();
            fs::rename(file.with_extension("x"), file).unwrap();
        }),
        ("cut", |file| {
            let half = fs::metadata(file).unwrap().len() / 2;
            fs::File::options().write(true).open(file).unwrap().set_len(half).unwrap();
        }),
    ];
    for (word, harm) in harms {
        let agent = Agent::new();
        agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
        agent.undo(UndoScope::Injection(id("b")), true);
        agent.undo(UndoScope::Run("gone".parse().unwrap()), false);
        harm(&agent.dir.path().join("state/journal"));
        agent.supervisor.tidy();
        let warnings = agent.supervisor.status().warnings.join("; ");
        assert!(
            warnings.contains(&format!("was {word} while the agent ran; it was made anew")),
            "{warnings}"
        );
        // The copy in /run is removed, so that only the journal is left.
        fs::remove_file(agent.dir.path().join("run/open.json")).unwrap();
        let agent = agent.restart();
        assert!(!agent.file("a").exists(), "{word}: it was undone");
        let (states, reason, _) = agent.history("a");
        assert_eq!(reason, Some(HealReason::FoundAtStart), "{word}: {states:?}");
        assert!(states.ends_with(&[State::InForce, State::Undoing, State::Undone]), "{word}: {states:?}");
        let status = agent.supervisor.status();
        assert_eq!(status.halted_by.as_deref(), Some("alice"), "{word}");
        let damage = status.warnings.iter().find(|warning| warning.contains("journal"));
        assert_eq!(damage, None, "{word}");
        agent.supervisor.release(&alice()).unwrap();
        let asked = agent.supervisor.prepare(&alice(), &"gone".parse().unwrap(), &ask_prepare(&a(), HOLD));
        assert_eq!(asked.unwrap_err().code, RefusalCode::Tombstone, "{word}");
    }
}

/// Cuts a journal after its last intent, so that all changes of state are lost.
fn cut_after_the_intents(file: &std::path::Path) {
    let text = fs::read_to_string(file).unwrap();
    let intent = text.rfind("{\"intent\":").unwrap();
    let end = intent + text[intent..].find('\n').unwrap() + 1;
    fs::File::options().write(true).open(file).unwrap().set_len(end as u64).unwrap();
}

#[test]
fn an_end_that_is_cut_off_is_in_the_journal_that_is_made_anew() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
    agent.undo(UndoScope::Injection(id("b")), false);
    cut_after_the_intents(&agent.dir.path().join("state/journal"));
    agent.supervisor.tidy();
    let open = |agent: &Agent| {
        let replayed = read(&agent.config.paths()).unwrap();
        replayed.open().map(|found| found.intent.id().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(open(&agent), ["a"]);
    assert!(agent.history("b").0.ends_with(&[State::Undoing, State::Undone]), "{:?}", agent.history("b"));
    // After its comparison a run's ended injections are kept in memory with fewer details.
    agent.undo(UndoScope::Run(run_id()), false);
    agent.supervisor.finish(&run_id()).unwrap();
    cut_after_the_intents(&agent.dir.path().join("state/journal"));
    agent.supervisor.tidy();
    assert!(open(&agent).is_empty());
}

/// The journal is cut and made anew after the end was written to it, and before the memory has the end.
#[test]
fn an_end_that_is_journaled_while_the_journal_is_made_anew_is_not_lost() {
    let agent = Agent::new();
    agent.in_force(&a());
    let run = agent.dir.path().join("run");
    fs::write(run.join("crash-point"), "end-journaled").unwrap();
    let supervisor = agent.supervisor.clone();
    let undo = Undo { scope: UndoScope::Run(run_id()), halt: false };
    let undo = std::thread::spawn(move || supervisor.undo(&alice(), &undo));
    wait("the end to be journaled", || run.join("crash-point.reached").exists());
    cut_after_the_intents(&agent.dir.path().join("state/journal"));
    agent.supervisor.tidy();
    fs::remove_file(run.join("crash-point")).unwrap();
    undo.join().unwrap();
    // In memory the injection has ended.
    assert!(agent.supervisor.status().open.is_empty());
    let (replayed, _) = read_any(&agent.config.paths(), &Identity::here());
    assert_eq!(replayed.open().count(), 0, "{:?}", replayed.injections);
    assert_eq!(agent.history("a").0.last(), Some(&State::Undone));
}

#[test]
fn nothing_is_armed_without_a_journal() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 0);
    let state = agent.dir.path().join("state");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "no directory").unwrap();
    assert_eq!(agent.arm(&arm).unwrap_err(), "journal");
    fs::remove_file(&state).unwrap();
    let arm = agent.prepared(&[("b", pause("b", None, None))], 0);
    agent.arm(&arm).unwrap();
    let (replayed, known) = (read(&agent.config.paths()).unwrap(), id("b"));
    assert!(replayed.open().any(|found| *found.intent.id() == known), "{:?}", replayed.damage);
}

#[test]
fn an_arm_that_finds_the_journal_cut_writes_its_intents_once() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 0);
    let file = agent.dir.path().join("state/journal");
    drop(fs::File::create(&file).unwrap());
    agent.arm(&arm).unwrap();
    let intents = fs::read_to_string(&file).unwrap().matches("{\"intent\":").count();
    assert_eq!(intents, 1);
    // A later cut loses nothing of the armed injection.
    drop(fs::File::create(&file).unwrap());
    agent.supervisor.tidy();
    let known = id("a");
    assert!(read(&agent.config.paths()).unwrap().open().any(|found| *found.intent.id() == known));
    agent.undo(UndoScope::All, false);
    let agent = agent.restart();
    let (states, _, _) = agent.history("a");
    assert_eq!(states.iter().filter(|state| !state.is_open()).count(), 1, "{states:?}");
}

#[test]
fn undos_of_unknown_runs_fill_no_disk_and_are_remembered() {
    let agent = Agent::new();
    agent.in_force(&a());
    let length = || fs::metadata(agent.dir.path().join("state/journal")).unwrap().len();
    let before = length();
    for number in 0..1000 {
        agent.undo(UndoScope::Run(format!("no-such-run-{number}").parse().unwrap()), false);
    }
    assert!(length() - before < 20_000, "{}", length() - before);
    let asked =
        agent.supervisor.prepare(&alice(), &"no-such-run-999".parse().unwrap(), &ask_prepare(&a(), HOLD));
    assert_eq!(asked.unwrap_err().code, RefusalCode::Tombstone);
    // An undo of a known run is written to the journal.
    agent.undo(UndoScope::Run(run_id()), false);
    let replayed = read(&agent.config.paths()).unwrap();
    assert!(replayed.tombstones.bars_run(&run_id()) && replayed.open().next().is_none());
}

#[test]
fn a_long_journal_is_made_shorter_while_something_is_in_force() {
    let agent = Agent::new();
    agent.in_force(&a());
    let journal = agent.dir.path().join("state/journal");
    for number in 0..100 {
        agent.undo(UndoScope::Run(format!("{number}").parse().unwrap()), false);
        let by = Caller { name: "x".repeat(100_000), ..alice() };
        agent.supervisor.release(&by).unwrap();
    }
    let long = fs::metadata(&journal).unwrap().len();
    assert!(long > 9_000_000, "{long}");
    agent.supervisor.tidy();
    assert!(fs::metadata(&journal).unwrap().len() < 5_000_000);
    let agent = agent.restart();
    assert!(!agent.file("a").exists());
    assert_eq!(agent.history("a").1, Some(HealReason::FoundAtStart));
}

#[test]
fn readers_get_old_and_new_events_in_order() {
    let agent = Agent::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let feed = agent.supervisor.events(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            agent.in_force(&a());
            agent.undo(UndoScope::Run(run_id()), false);
            done.store(true, Ordering::SeqCst);
        });
        let mut feed = feed;
        runtime.block_on(async {
            use futures_util::StreamExt;
            let mut next = 1;
            loop {
                let event =
                    tokio::time::timeout(Duration::from_secs(20), feed.next()).await.unwrap().unwrap();
                assert_eq!(event.seq, next);
                next += 1;
                if matches!(event.what, What::Changed { to: State::Undone, .. }) {
                    return;
                }
            }
        });
    });
    assert!(done.load(Ordering::SeqCst));
    runtime.block_on(async {
        use futures_util::StreamExt;
        let first = agent.supervisor.events(3).next().await.unwrap();
        assert_eq!(first.seq, 4);
    });
}
