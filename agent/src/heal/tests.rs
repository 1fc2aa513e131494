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
    /// The undo actions that were applied, and how often each has yet to fail.
    static LOG: RefCell<(Vec<String>, BTreeMap<String, u32>)> = RefCell::default();
}

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
            Some(left) => {
                *left -= 1;
                Err(UndoError {
                    what: format!("{name} fails"),
                    by_hand: "do it".into(),
                    passing: name != "never",
                })
            }
        }
    })
}

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

fn heal(open: &[Found]) -> Vec<(String, State)> {
    let (first, most) = (Duration::from_millis(1), Duration::from_millis(2));
    let retry = Retry { tries: 3, first, most, within: Duration::from_secs(60) };
    let host = Host::new("h", crate::host::Paths::default(), 1, Vec::new());
    put_back_all(open.iter(), &here(), apply, &host, &retry, &HostTime, || {})
        .into_iter()
        .map(|one| (one.intent.id().to_string(), one.state))
        .collect()
}

#[test]
fn last_things_go_first_and_no_error_stops_the_rest() {
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
fn a_passing_error_passes() {
    fail("a1", 2);
    assert_eq!(
        heal(&[found("a", "now", State::InForce, true, vec![start("a1")])]),
        [("a".into(), State::Undone)]
    );
}

#[test]
fn what_never_started_and_what_cannot_be_undone_is_left_alone() {
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
fn of_what_is_armed_only_what_may_be_staged_is_taken_away() {
    let table = Undo::DeleteNftTable { table: "t".into() };
    // The service was stopped before the start, so it is not ours to start.
    let undo = vec![start("s"), table];
    let healed = |state, boot| heal(&[found("a", boot, state, true, undo.clone())]);
    assert_eq!(healed(State::Armed, "now"), [("a".into(), State::Disarmed)]);
    assert_eq!(log(), ["t"]);
    fail("t", 9);
    assert_eq!(healed(State::Armed, "now"), [("a".into(), State::Stuck)], "what is left is told");
    assert_eq!(log().len(), 4, "tried again");
    fail("t", 0);
    assert_eq!(healed(State::Injecting, "now"), [("a".into(), State::Undone)]);
    assert_eq!(log()[4..], ["t", "s"]);
    assert_eq!(healed(State::Armed, "before"), [("a".into(), State::Undone)]);
    assert_eq!(log()[6..], ["s"], "the table went with the kernel");
}

#[test]
fn after_a_reboot_only_what_outlives_one_is_undone() {
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
    assert_eq!(log(), ["s", "7"], "the same kernel: all of it is ours");
    // A clone, or a machine with a new id: what was in memory is gone.
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
    assert_eq!((done.end().0, failed), (State::Stuck, 1), "a third one would take until 11 s");
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

/// Returns how long tries continue if each takes `took` and may take `longest`.
fn goes_on(took: Duration, longest: Duration) -> Duration {
    let mut tries = Retry::default().begin(&HostTime);
    let mut all = took;
    while let Some(pause) = tries.pause_after(all, took, longest) {
        all += pause + took;
    }
    all
}

#[test]
fn a_service_that_its_manager_kills_late_is_waited_for() {
    let all = goes_on(secs(6), secs(6));
    assert!(all >= secs(110), "systemd kills after 90 s, and a service takes its time to start: {all:?}");
    assert!(all <= Retry::default().within);
}

#[test]
fn what_fails_at_once_is_tried_ten_times() {
    let (mut tries, mut all) = (Retry::default().begin(&HostTime), Duration::ZERO);
    let pauses =
        std::iter::from_fn(|| tries.pause_after(all, Duration::ZERO, secs(6)).inspect(|one| all += *one));
    assert_eq!(pauses.count(), 9);
    assert_eq!(all, Retry::default().all_pauses());
}

#[test]
fn no_try_begins_that_may_wait_beyond_the_budget() {
    let retry = Retry::default();
    let quick = Duration::from_millis(5);
    let services =
        |count: u32| retry.begin(&HostTime).pause_after(retry.within - secs(19), quick, count * secs(6));
    assert!(services(3).is_some());
    assert_eq!(services(4), None, "four services may take 24 s, however quickly they failed before");
    let begun = found("a", "now", State::InForce, true, vec![start("a1"), start("a2")]);
    assert_eq!(PutBack::of(&begun.intent, begun.state, &here()).longest(), secs(12));
    // With a short budget, failures that pass at once are still retried.
    let short = Retry { within: secs(8), ..retry };
    assert!(short.begin(&HostTime).pause_after(secs(3), quick, secs(6)).is_some());
}

#[test]
fn the_pauses_of_the_default_are_about_half_a_minute() {
    let all = Retry::default().all_pauses();
    assert!((20..40).contains(&all.as_secs()), "{all:?}");
}
