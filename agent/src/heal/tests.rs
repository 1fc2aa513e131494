//! The order, the tries and the budget of undoing, with actions that only note that they were done.

use std::{cell::RefCell, collections::BTreeMap};

use firedrill_wire::{
    Fault, Span,
    api::About,
    fault::{ProcessKill, ProcessMatch, ProcessPause, ServiceManager, Signal},
};

use super::*;
use crate::{
    injection::{Ask, Basis, Live, Prepared},
    time::{HostTime, simulated::Simulated},
};

thread_local! {
    /// The names of the undo actions that were tried, and how often each action still has to fail.
    static LOG: RefCell<(Vec<String>, BTreeMap<String, u32>)> = RefCell::default();
}

/// Notes the try of an action, and fails if [`fail`] says so. The failure of an action `never` is not temporary.
fn apply(undo: &Undo, _: &Host) -> Result<Undone, UndoError> {
    let name = match undo {
        Undo::StartService { unit, .. } => unit.clone(),
        Undo::ContinueProcess { pid, .. } => pid.to_string(),
        Undo::DeleteNftTable { table } => table.clone(),
        other => panic!("{other:?}"),
    };
    LOG.with_borrow_mut(|(log, fail)| {
        log.push(name.clone());
        match fail.get_mut(&name) {
            Some(0) | None => Ok(Undone { detail: format!("{name} done"), foreign: Vec::new() }),
            Some(failures) => {
                *failures -= 1;
                Err(UndoError {
                    what: format!("{name} fails"),
                    by_hand: "do it".into(),
                    passing: name != "never",
                })
            }
        }
    })
}

/// Lets the next tries of an action fail.
fn fail(name: &str, times: u32) {
    LOG.with_borrow_mut(|(_, fail)| fail.insert(name.into(), times));
}

fn log() -> Vec<String> {
    LOG.with_borrow(|(log, _)| log.clone())
}

fn here() -> Identity {
    Identity { machine_id: "m".into(), boot_id: "now".into() }
}

fn start(unit: &str) -> Undo {
    Undo::StartService { manager: ServiceManager::Runit, unit: unit.into(), stopped_mark: None }
}

/// Returns an injection as a journal shows it. The present boot is `now`.
fn found(id: &str, boot: &str, state: State, reversible: bool, undo: Vec<Undo>) -> Found {
    let which = ProcessMatch::default();
    let fault = if reversible {
        Fault::ProcessPause(ProcessPause { which })
    } else {
        Fault::ProcessKill(ProcessKill { which, signal: Signal::Kill })
    };
    let prepared = Prepared {
        claims: Vec::new(),
        effects: Vec::new(),
        undo,
        switches: Vec::new(),
        notes: Vec::new(),
        basis: Basis::Text(String::new()),
    };
    let intent = Intent {
        identity: Identity { machine_id: "m".into(), boot_id: boot.into() },
        run: "r".parse().unwrap(),
        plan_digest: String::new(),
        about: About::default(),
        start_boot_us: 0,
        live: Live {
            ask: Ask { id: id.parse().unwrap(), fault, hold: Span::secs(1) },
            prepared,
            ends_boot_us: 0,
            lease: Span::secs(1),
        },
    };
    Found::new(intent, state, Some(state))
}

/// Puts these injections back, with three tries. Returns the final state of each.
fn heal(open: &[Found]) -> Vec<(String, State)> {
    let (first, most) = (Duration::from_millis(1), Duration::from_millis(2));
    let retry = Retry { tries: 3, first, most, within: Duration::from_secs(60) };
    let host = Host::new("h", crate::host::Paths::default(), 1, Vec::new());
    put_back_all(open.iter(), &here(), apply, &host, &retry, &HostTime, || {})
        .into_iter()
        .map(|healed| (healed.intent.id().to_string(), healed.state))
        .collect()
}

#[test]
fn the_newest_is_undone_first_and_no_error_stops_the_rest() {
    fail("b2", 9);
    fail("never", 9);
    let open = [
        found("a", "now", State::InForce, true, vec![start("a1"), start("a2")]),
        found("b", "now", State::Undoing, true, vec![start("b1"), start("b2"), start("b3")]),
        found("c", "now", State::InForce, true, vec![start("never")]),
    ];
    let ends = heal(&open);
    assert_eq!(
        log(),
        ["never", "b3", "b2", "b1", "a2", "a1", "b2", "b2"],
        "only what is left is tried again"
    );
    assert_eq!(ends, [("c".into(), State::Stuck), ("b".into(), State::Stuck), ("a".into(), State::Undone)]);
}

#[test]
fn a_temporary_error_is_overcome_by_further_tries() {
    fail("a1", 2);
    assert_eq!(
        heal(&[found("a", "now", State::InForce, true, vec![start("a1")])]),
        [("a".into(), State::Undone)]
    );
}

#[test]
fn injections_that_never_started_or_cannot_be_undone_are_left_alone() {
    let open = [
        found("armed", "now", State::Armed, true, vec![start("x")]),
        found("armed-for-good", "before", State::Armed, false, vec![]),
        found("made", "before", State::Injecting, false, vec![]),
    ];
    let states: Vec<State> = heal(&open).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [State::Disarmed, State::Disarmed, State::Done]);
    assert!(log().is_empty());
}

#[test]
fn of_an_armed_injection_only_staged_objects_are_removed() {
    let table = Undo::DeleteNftTable { table: "t".into() };
    // The injection has not started. If the service is down, somebody else has stopped it.
    let undo = vec![start("s"), table];
    let healed = |state, boot| heal(&[found("a", boot, state, true, undo.clone())]);
    assert_eq!(healed(State::Armed, "now"), [("a".into(), State::Disarmed)]);
    assert_eq!(log(), ["t"]);
    fail("t", 9);
    assert_eq!(healed(State::Armed, "now"), [("a".into(), State::Stuck)], "the table could not be removed");
    assert_eq!(log().len(), 4, "three tries more");
    fail("t", 0);
    assert_eq!(healed(State::Injecting, "now"), [("a".into(), State::Undone)]);
    assert_eq!(log()[4..], ["t", "s"]);
    assert_eq!(healed(State::Armed, "before"), [("a".into(), State::Undone)]);
    assert_eq!(log()[6..], ["s"], "the table went with the kernel");
}

#[test]
fn after_a_reboot_only_effects_that_outlive_it_are_undone() {
    let process = Undo::ContinueProcess { pid: 7, start_ticks: 1 };
    // A power loss may have taken the record of the start, so armed injections are undone too.
    let open = [found("a", "before", State::Armed, true, vec![process.clone(), start("s")])];
    assert_eq!(heal(&open), [("a".into(), State::Undone)]);
    assert_eq!(log(), ["s"]);
    assert_eq!(
        heal(&[found("b", "now", State::InForce, true, vec![process])]),
        [("b".into(), State::Undone)]
    );
    assert_eq!(log(), ["s", "7"]);
}

#[test]
fn the_boot_decides_and_not_the_machine_id() {
    let process = Undo::ContinueProcess { pid: 7, start_ticks: 1 };
    let of_machine = |id: &str, boot: &str| {
        let mut found = found("a", boot, State::InForce, true, vec![process.clone(), start("s")]);
        found.intent.identity.machine_id = id.into();
        found
    };
    assert_eq!(heal(&[of_machine("another", "now")]), [("a".into(), State::Undone)]);
    assert_eq!(log(), ["s", "7"], "the kernel is the same, so all effects are still there");
    // In another boot, on a clone or on a machine with a new id, the effects in memory are gone.
    assert_eq!(heal(&[of_machine("another", "before")]), [("a".into(), State::Undone)]);
    assert_eq!(log()[2..], ["s"]);
}

thread_local! {
    /// The clock of tests whose undo takes time.
    static CLOCK: &'static Simulated = Simulated::at(1_000_000);
}

#[test]
fn no_try_begins_that_would_end_after_the_budget() {
    fn slow(undo: &Undo, host: &Host) -> Result<Undone, UndoError> {
        CLOCK.with(|clock| clock.stall(secs(3)));
        apply(undo, host)
    }
    let clock = CLOCK.with(|clock| *clock);
    let host = Host::new("h", crate::host::Paths::default(), 1, Vec::new());
    let retry = Retry { tries: 10, first: secs(1), most: secs(1), within: secs(9) };
    let open = [found("a", "now", State::InForce, true, vec![start("a1")])];
    fail("a1", 9);
    let mut failed = 0;
    let work = PutBack::of(&open[0].intent, State::InForce, &here());
    let done = put_back(work, slow, &host, &retry, clock, |_, _, pause| {
        failed += 1;
        clock.sleep(pause);
    });
    assert_eq!((done.end().0, failed), (State::Stuck, 1), "a third try would end after 11 s");
    assert_eq!(log(), ["a1", "a1"]);
    let began = clock.boot_us();
    let ends = put_back_all(open.iter(), &here(), slow, &host, &retry, clock, || {});
    assert_eq!((ends[0].state, clock.boot_us() - began), (State::Stuck, 7_000_000));
    assert_eq!(log()[2..], ["a1", "a1"]);
}

#[test]
fn a_suspend_between_two_tries_uses_up_no_budget() {
    fn asleep(undo: &Undo, host: &Host) -> Result<Undone, UndoError> {
        CLOCK.with(|clock| clock.suspend(secs(3600)));
        apply(undo, host)
    }
    let host = Host::new("h", crate::host::Paths::default(), 1, Vec::new());
    let open = [found("a", "now", State::InForce, true, vec![start("a1")])];
    fail("a1", 3);
    let clock = CLOCK.with(|clock| *clock);
    let ends = put_back_all(open.iter(), &here(), asleep, &host, &Retry::default(), clock, || {});
    assert_eq!((ends[0].state, log().len()), (State::Undone, 4));
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Returns the time of all tries and pauses if each try takes `took` and may wait for `longest`.
fn time_of_all_tries(took: Duration, longest: Duration) -> Duration {
    let mut tries = Retry::default().begin(&HostTime);
    let mut total = took;
    while let Some(pause) = tries.pause_after(total, took, longest) {
        total += pause + took;
    }
    total
}

#[test]
fn a_service_that_its_manager_kills_late_is_waited_for() {
    let total = time_of_all_tries(secs(6), secs(6));
    assert!(
        total >= secs(110),
        "systemd kills after 90 s, and the service then needs time to start: {total:?}"
    );
    assert!(total <= Retry::default().within);
}

#[test]
fn an_undo_that_fails_at_once_is_tried_ten_times() {
    let (mut tries, mut total) = (Retry::default().begin(&HostTime), Duration::ZERO);
    let pauses = std::iter::from_fn(|| {
        tries.pause_after(total, Duration::ZERO, secs(6)).inspect(|pause| total += *pause)
    });
    assert_eq!(pauses.count(), 9);
    assert_eq!(total, Retry::default().all_pauses());
}

#[test]
fn no_try_begins_that_may_wait_beyond_the_budget() {
    let retry = Retry::default();
    let quick = Duration::from_millis(5);
    // With 19 s left, and services that may take 6 s each.
    let services =
        |count: u32| retry.begin(&HostTime).pause_after(retry.within - secs(19), quick, count * secs(6));
    assert!(services(3).is_some());
    assert_eq!(services(4), None, "four services may take 24 s, however quickly they failed before");
    let begun = found("a", "now", State::InForce, true, vec![start("a1"), start("a2")]);
    assert_eq!(PutBack::of(&begun.intent, begun.state, &here()).longest(), secs(12));
    // With a short budget, tries that fail at once are still repeated.
    let short = Retry { within: secs(8), ..retry };
    assert!(short.begin(&HostTime).pause_after(secs(3), quick, secs(6)).is_some());
}

#[test]
fn the_pauses_of_the_default_are_about_half_a_minute() {
    let pauses = Retry::default().all_pauses();
    assert!((20..40).contains(&pauses.as_secs()), "{pauses:?}");
}
