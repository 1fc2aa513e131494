//! Single decisions at the edges, and whole lives of an injection under any order of events.

use firedrill_wire::{
    Span,
    journal::{HealReason, State},
};
use proptest::prelude::*;

use super::*;

const TOLERANCE: Span = Span::millis(250);
const LATEST: u64 = 1_000_000 + 250_000;
const STOPPING: HealReason = HealReason::AgentStopping;

/// An injection that starts at one second. [`LEASE`] was renewed once since it was armed.
const ARMED: Armed<'static> = Armed {
    start: 1_000_000,
    tolerance: TOLERANCE,
    renewals_before: 0,
    staged: true,
    wanted: None,
    refusal: "",
};
const LEASE: Lease = Lease { until: 5_000_000, renewals: 1, ended: false };

/// Returns the next step of an injection that the agent knows, under a lease that it knows.
fn start(now: u64, armed: Armed<'_>, lease: Lease) -> Next {
    may_start(now, Some(&armed), Some(&lease))
}

/// Returns the explanation of a step [`Next::Never`]; panics for all other steps.
fn never(next: Next) -> String {
    match next {
        Next::Never(_, why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_injection_starts_from_its_start_time_until_the_tolerance_is_over() {
    assert_eq!(start(999_999, ARMED, LEASE), Next::Wait(1_000_000));
    assert_eq!(start(1_000_000, ARMED, LEASE), Next::Start);
    assert_eq!(start(LATEST, ARMED, LEASE), Next::Start);
    assert_eq!(
        never(start(LATEST + 1, ARMED, LEASE)),
        "251ms late, 250ms is allowed: the host was paused or overloaded at the start"
    );
    assert!(!is_late(LATEST, 1_000_000, TOLERANCE) && is_late(LATEST + 1, 1_000_000, TOLERANCE));
}

#[test]
fn a_start_without_a_renewal_waits_until_it_is_too_late() {
    let silent = Lease { renewals: 0, ..LEASE };
    assert_eq!(start(0, ARMED, silent), Next::Wait(1_000_000));
    assert_eq!(start(1_000_000, ARMED, silent), Next::Wait(LATEST + 1));
    assert!(never(start(LATEST + 1, ARMED, silent)).starts_with("the lease was not renewed"));
    // A renewal from before it was armed does not count.
    let earlier = Armed { renewals_before: 1, ..ARMED };
    assert_eq!(start(1_000_000, earlier, LEASE), Next::Wait(LATEST + 1));
}

#[test]
fn a_lease_is_over_at_its_end() {
    let short = Lease { until: 1_000_000, ..LEASE };
    assert_eq!(start(999_999, ARMED, short), Next::Wait(1_000_000));
    assert_eq!(start(1_000_000, ARMED, short), Next::Expired);
    assert_eq!(start(1_000_000, ARMED, Lease { ended: true, ..LEASE }), Next::Expired);
    let held = Held { ends: 9_000_000, wanted: None, renewed: true, look_at: 0 };
    assert_eq!(hold(4_999_999, &held, Some(&LEASE)), Holding::Renew);
    assert_eq!(hold(5_000_000, &held, Some(&LEASE)), Holding::Expired);
    assert_eq!(hold(0, &held, None), Holding::Expired);
}

#[test]
fn an_unknown_injection_never_starts_and_an_unwanted_one_gives_the_reason() {
    assert_eq!(never(may_start(0, None, Some(&LEASE))), "its run is not known any more");
    assert_eq!(never(may_start(0, Some(&ARMED), None)), "its run is not known any more");
    let undone = Armed { wanted: Some(&STOPPING), ..ARMED };
    assert_eq!(start(1_000_000, undone, LEASE), Next::Never(STOPPING, "it had not started".to_owned()));
    let refused = Armed { wanted: Some(&HealReason::NotAllowed), refusal: "no longer", ..ARMED };
    assert_eq!(start(1_000_000, refused, LEASE), Next::Never(HealReason::NotAllowed, "no longer".to_owned()));
}

#[test]
fn staging_comes_once_half_a_second_before_the_start_and_only_if_there_is_time() {
    let new = Armed { staged: false, ..ARMED };
    assert_eq!(start(499_999, new, LEASE), Next::Wait(500_000));
    assert_eq!(start(500_000, new, LEASE), Next::Stage);
    assert_eq!(start(994_999, new, LEASE), Next::Stage);
    assert_eq!(start(995_000, new, LEASE), Next::Wait(1_000_000));
    assert_eq!(start(500_000, ARMED, LEASE), Next::Wait(1_000_000));
    assert_eq!(start(500_000, new, Lease { renewals: 0, ..LEASE }), Next::Wait(1_000_000), "not renewed");
}

#[test]
fn a_hold_ends_at_its_end_and_an_undo_comes_before_everything() {
    let held = Held { ends: 2_000_000, wanted: None, renewed: false, look_at: 1_500_000 };
    assert_eq!(hold(1_499_999, &held, Some(&LEASE)), Holding::Wait(1_500_000));
    assert_eq!(hold(1_500_000, &held, Some(&LEASE)), Holding::Look);
    let looked = Held { look_at: 2_500_000, ..held };
    assert_eq!(hold(1_999_999, &looked, Some(&LEASE)), Holding::Wait(2_000_000));
    assert_eq!(hold(2_000_000, &looked, Some(&LEASE)), Holding::Undo(HealReason::HoldOver));
    let everything_due = Held { wanted: Some(&STOPPING), renewed: true, look_at: 0, ends: 0 };
    assert_eq!(hold(9_000_000, &everything_due, None), Holding::Undo(STOPPING));
}

#[test]
fn a_renewal_that_comes_too_late_ends_the_run_once() {
    assert_eq!(renewal(4_999_999, &LEASE, true), Renewal::Renewed);
    assert_eq!(renewal(5_000_000, &LEASE, true), Renewal::Ends);
    assert_eq!(renewal(5_000_000, &LEASE, false), Renewal::Renewed, "its end has ended no injection");
    assert_eq!(renewal(0, &Lease { ended: true, ..LEASE }, false), Renewal::Ended);
}

#[test]
fn a_deadline_is_that_of_the_present_work_else_the_end_of_hold_or_lease() {
    // The hold ends at 30 and the lease at 20.
    let by = |state, act_by, made_by| deadline(state, act_by, made_by, 30, 20);
    for idle in [State::Armed, State::Undone, State::Done, State::Disarmed, State::Stuck] {
        assert_eq!(by(idle, Some(1), Some(1)), None, "{idle:?}");
    }
    assert_eq!(by(State::Injecting, None, Some(10)), Some(10));
    assert_eq!(by(State::Injecting, None, Some(40)), Some(20), "the end of the lease calls the effect off");
    assert_eq!(by(State::InForce, None, Some(10)), Some(20));
    assert_eq!(deadline(State::InForce, None, None, 30, u64::MAX), Some(30));
    assert_eq!(by(State::Undoing, Some(50), None), Some(50));
    assert_eq!(made_by(1, 2), 5_000_003);
    assert_eq!(called_off_by(1, 60_000_000), 5_000_001);
    assert_eq!(called_off_by(1, 7), 7, "the deadline is never moved to a later time");
    assert!(is_over(0, State::Undone, 9) && !is_over(9, State::Done, 9) && is_over(10, State::Done, 9));
    assert!(!is_over(u64::MAX, State::Stuck, 0), "the undo of a stuck injection can still be tried");
}

/// The state of the one injection in a simulated life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Armed,
    InForce,
    Over,
}

/// A run with one injection, whose thread acts on each decision as the agent's thread does. Times are in microseconds.
#[derive(Debug)]
struct Life {
    now: u64,
    lease: Lease,
    start: u64,
    staged: bool,
    /// The length of the hold.
    hold: u64,
    /// The end of the hold, once the injection is in force.
    ends: u64,
    /// Whether the lease was renewed and the thread has not yet seen it.
    renewed: bool,
    look_at: u64,
    wanted: Option<HealReason>,
    phase: Phase,
    /// The time at which the thread wakes by itself.
    wakes: u64,
}

/// The number of renewals before the injection was armed.
const RENEWALS_BEFORE: u64 = 3;

/// An event in the life of the run.
#[derive(Clone, Debug)]
enum Event {
    /// Time passes, and the thread wakes at each time until which it waits.
    Wait(u64),
    /// The host is suspended, or all its threads are stopped: time passes, and the thread wakes only after it.
    Suspend(u64),
    /// The coordinator renews the lease for this time from now on.
    Renew(u64),
    /// A person asks for the undo.
    Undo,
}

impl Life {
    /// Begins a life at `now`, with the start after `until_start`.
    fn new(now: u64, until_start: u64, hold: u64, lease: u64) -> Self {
        let until = now.saturating_add(lease);
        let mut life = Self {
            now,
            lease: Lease { until, renewals: RENEWALS_BEFORE, ended: false },
            start: now.saturating_add(until_start),
            staged: false,
            hold,
            ends: 0,
            renewed: false,
            look_at: 0,
            wanted: None,
            phase: Phase::Armed,
            wakes: 0,
        };
        life.act();
        life
    }

    fn ask_for_undo(&mut self, reason: HealReason) {
        self.wanted.get_or_insert(reason);
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Wait(time) => {
                let until = self.now.saturating_add(*time);
                while self.phase != Phase::Over && self.wakes <= until {
                    self.now = self.wakes;
                    self.act();
                }
                self.now = until;
            }
            Event::Suspend(time) => self.now = self.now.saturating_add(*time),
            Event::Renew(time) => match renewal(self.now, &self.lease, self.phase != Phase::Over) {
                Renewal::Renewed => {
                    self.lease.until = self.now.saturating_add(*time);
                    self.lease.renewals += 1;
                    self.renewed = true;
                }
                Renewal::Ends | Renewal::Ended => {
                    self.lease.ended = true;
                    self.ask_for_undo(HealReason::LeaseExpired);
                }
            },
            Event::Undo => self.ask_for_undo(HealReason::Asked { by: "alice".to_owned() }),
        }
        self.act();
    }

    /// The thread is awake, and acts until it has to wait. Panics after more steps than any thread can have to do.
    fn act(&mut self) {
        for _ in 0..20 {
            match self.phase {
                Phase::Armed => {
                    let armed = Armed {
                        start: self.start,
                        tolerance: TOLERANCE,
                        renewals_before: RENEWALS_BEFORE,
                        staged: self.staged,
                        wanted: self.wanted.as_ref(),
                        refusal: "",
                    };
                    match may_start(self.now, Some(&armed), Some(&self.lease)) {
                        Next::Stage => {
                            assert!(!self.staged, "staged twice");
                            self.staged = true;
                        }
                        Next::Start => {
                            assert!(self.wanted.is_none(), "undo wins");
                            assert!(self.lease.renewals > RENEWALS_BEFORE, "renewed since it was armed");
                            assert!(!self.lease.ended && self.now < self.lease.until, "under a lease");
                            assert!(self.now >= self.start && self.now - self.start <= TOLERANCE.as_micros());
                            self.phase = Phase::InForce;
                            self.ends = self.now.saturating_add(self.hold);
                            self.look_at = self.now;
                        }
                        Next::Never(..) => self.phase = Phase::Over,
                        Next::Expired => {
                            self.lease.ended = true;
                            self.ask_for_undo(HealReason::LeaseExpired);
                        }
                        Next::Wait(until) => return self.wait(until, self.lease.until),
                    }
                }
                Phase::InForce => {
                    let renewed = std::mem::take(&mut self.renewed);
                    let held = Held {
                        ends: self.ends,
                        wanted: self.wanted.as_ref(),
                        renewed,
                        look_at: self.look_at,
                    };
                    match hold(self.now, &held, Some(&self.lease)) {
                        Holding::Undo(_) => self.phase = Phase::Over,
                        Holding::Expired => {
                            self.lease.ended = true;
                            self.ask_for_undo(HealReason::LeaseExpired);
                            self.phase = Phase::Over;
                        }
                        Holding::Renew => {}
                        Holding::Look => self.look_at = self.now.saturating_add(1_000_000),
                        Holding::Wait(until) => return self.wait(until, self.lease.until.min(self.ends)),
                    }
                }
                Phase::Over => return,
            }
        }
        panic!("the thread never waits: {self:?}");
    }

    /// The thread waits. It has nothing to do now, and wakes no later than at its next deadline `at_most`.
    fn wait(&mut self, until: u64, at_most: u64) {
        assert!(self.wanted.is_none(), "undo wins: {self:?}");
        assert!(until > self.now && until <= at_most, "{until}: {self:?}");
        assert!(!self.lease.ended && self.now < self.lease.until, "{self:?}");
        assert!(self.phase != Phase::InForce || self.now < self.ends, "{self:?}");
        self.wakes = until;
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u64..3_000_000).prop_map(Event::Wait),
        1 => (0_u64..10_000_000).prop_map(Event::Suspend),
        4 => (100_000_u64..4_000_000).prop_map(Event::Renew),
        1 => Just(Event::Undo),
    ]
}

/// Times since boot: just after it, some time later, and near the largest number that the clock can show.
fn moment() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..10, 1_000_000_u64..1_000_000_000_000, (u64::MAX - 5_000_000)..u64::MAX - 4_000_000]
}

proptest! {
    #[test]
    fn no_order_of_events_makes_a_wrong_start_or_lets_a_fault_outlive_its_hold_or_lease(
        now in moment(),
        until_start in 0_u64..2_000_000,
        hold in 1_u64..5_000_000,
        lease in 100_000_u64..4_000_000,
        events in prop::collection::vec(event(), 0..40),
    ) {
        // Whether the clock can show the time after an event.
        let fits = |life: &Life, event: &Event| match event {
            Event::Wait(time) | Event::Suspend(time) | Event::Renew(time) => u64::MAX - life.now > *time,
            Event::Undo => true,
        };
        let mut life = Life::new(now, until_start, hold, lease);
        for event in &events {
            let before = life.phase;
            if !fits(&life, event) {
                break;
            }
            life.happen(event);
            prop_assert!(before != Phase::Over || life.phase == Phase::Over, "it is over for good");
            let must_be_over = matches!(event, Event::Undo) || life.lease.ended;
            prop_assert!(!must_be_over || life.phase == Phase::Over, "{:?} after {:?}", life, event);
        }
        // The coordinator is silent from now on, so the end of the lease ends the fault.
        let lease_left = life.lease.until.saturating_sub(life.now);
        life.happen(&Event::Wait(lease_left));
        prop_assert_eq!(life.phase, Phase::Over);
    }

    #[test]
    fn a_coordinator_that_renews_in_time_gets_its_start_and_its_whole_hold(
        now in 0_u64..1_000_000_000_000,
        until_start in 0_u64..2_000_000,
        hold in 1_u64..5_000_000,
    ) {
        let mut life = Life::new(now, until_start, hold, 1_000_000);
        let (mut began, mut ended) = (None, None);
        for _ in 0..100 {
            if life.phase != Phase::Over {
                life.happen(&Event::Renew(1_000_000));
            }
            life.happen(&Event::Wait(1));
            if life.phase == Phase::InForce {
                began.get_or_insert(life.ends - hold);
            }
            if life.phase == Phase::Over {
                ended.get_or_insert(life.now);
            }
            life.happen(&Event::Wait(99_999));
        }
        if let Some(began) = began {
            prop_assert_eq!(began, life.start.max(now));
        }
        prop_assert!(ended.is_some_and(|ended| ended >= life.start.saturating_add(hold)), "{:?}", life);
        prop_assert!(life.wanted.is_none(), "nothing but the end of its hold has ended it");
    }
}
