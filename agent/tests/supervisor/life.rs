//! Tests of injections from arming to their end in simulated time: a minute takes milliseconds, and each moment is exact.

use std::time::Duration;

use firedrill_agent::{
    control::Control,
    time::{Time, simulated::Simulated},
    wiring::Wiring,
};
use firedrill_wire::{
    Span,
    api::{Arm, Renew, UndoScope},
    journal::{HealReason, State},
};

use super::{
    Agent, fakes::alice, fakes::ask_arm, fakes::ask_prepare, fakes::pause, fakes::ready, fakes::run_id,
    fakes::wait, fakes::wiring, id,
};

const HOLD: Span = Span::secs(3);
const LEASE: Span = Span::secs(1);
const TOLERANCE: &str = "start_tolerance = \"250ms\"\n";
/// Time since the boot of the simulated host, in microseconds: long, and not a round number.
const NOW: u64 = 86_400_000_007;

/// One injection, `a`, on a host with simulated time.
struct Life {
    agent: Agent,
    clock: &'static Simulated,
    /// The lease that is asked for at arming and at each renewal.
    lease: Span,
    /// The start of the injection, in microseconds since boot.
    start: u64,
}

impl Life {
    fn new() -> Self {
        let clock = Simulated::at(NOW);
        let agent = Agent::with_wiring(TOLERANCE, Wiring { time: clock, ..wiring() });
        Self { agent, clock, lease: LEASE, start: 0 }
    }

    /// Prepares and arms the fault `a`, which starts in `ahead_ms` milliseconds.
    fn armed(ahead_ms: u64) -> Self {
        let mut life = Self::new();
        life.arm(None, ahead_ms).unwrap();
        life
    }

    /// Prepares the fault `a`, and returns the request that arms it.
    fn prepare(&mut self, behaviour: Option<&str>, ahead_ms: u64) -> Arm {
        self.prepare_as("a", behaviour, ahead_ms)
    }

    fn prepare_as(&mut self, name: &str, behaviour: Option<&str>, ahead_ms: u64) -> Arm {
        let asked = ask_prepare(&[(name, pause(name, behaviour, None))], HOLD);
        let answer = self.agent.supervisor.prepare(&alice(), &run_id(), &asked).unwrap();
        let mut arm = ask_arm(&ready(answer), 0, HOLD, self.lease);
        self.start = self.clock.boot_us() + ahead_ms * 1000;
        arm.injections[0].start_boot_us = self.start;
        arm
    }

    fn arm(&mut self, behaviour: Option<&str>, ahead_ms: u64) -> Result<(), String> {
        let arm = self.prepare(behaviour, ahead_ms);
        let armed = self.agent.arm(&arm);
        self.clock.settle();
        armed
    }

    /// Arms another fault, `b`, in the same run.
    fn arm_another(&mut self) -> Result<(), String> {
        let arm = self.prepare_as("b", None, 500);
        let armed = self.agent.arm(&arm);
        self.clock.settle();
        armed
    }

    fn renew(&self) -> Result<(), String> {
        let renewed = self.agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: self.lease });
        self.clock.settle();
        renewed.map(drop).map_err(|problem| problem.code.to_string())
    }

    /// Lets time pass, with a renewal each 100 ms.
    fn renewed_for(&self, time_ms: u64) {
        for _ in 0..time_ms / 100 {
            self.renew().unwrap();
            self.pass(100);
        }
    }

    fn pass(&self, time_ms: u64) {
        self.clock.pass(Duration::from_millis(time_ms));
    }

    /// Returns the states with their moments in microseconds since boot, and the last reason.
    fn lived(&self) -> (Vec<(State, u64)>, Option<HealReason>) {
        self.clock.settle();
        let (states, reason, _) = self.agent.history("a");
        (states.into_iter().map(|state| (state, self.agent.when("a", state).unwrap())).collect(), reason)
    }

    /// Returns the deadline that the guardian has, in microseconds since boot; 0 is none.
    fn deadline(&self) -> u64 {
        self.agent.guard.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Asserts that it never started, and returns why.
    fn never_started(&self) -> String {
        self.clock.settle();
        let (states, _, why) = self.agent.history("a");
        assert_eq!(states, [State::Armed, State::Disarmed]);
        assert!(!self.agent.log().iter().any(|line| line.starts_with("inject")));
        why
    }
}

#[test]
fn each_step_of_an_injection_is_at_its_exact_moment() {
    let life = Life::armed(2000);
    life.renewed_for(1900);
    assert_eq!(life.agent.history("a").0, [State::Armed]);
    assert_eq!(life.deadline(), 0, "nothing has happened yet");
    life.renewed_for(200);
    assert!(life.agent.file("a").exists());
    let ends = life.start + HOLD.as_micros();
    assert_eq!(
        life.deadline(),
        life.clock.boot_us() - 100_000 + LEASE.as_micros(),
        "the lease is nearer than the hold"
    );
    life.renewed_for(2800);
    assert_eq!(life.deadline(), ends, "the hold is nearer than the lease");
    life.renewed_for(200);
    let (states, reason) = life.lived();
    let expected = [
        (State::Armed, NOW),
        (State::Injecting, life.start),
        (State::InForce, life.start),
        (State::Undoing, ends),
        (State::Undone, ends),
    ];
    assert_eq!((states, reason), (expected.to_vec(), Some(HealReason::HoldOver)));
    assert_eq!(life.deadline(), 0);
    assert!(!life.agent.file("a").exists());
    let renewals = life.agent.log().iter().filter(|line| line.starts_with("renew a")).count();
    assert!(renewals > 20, "each renewal reaches the fault's kind: {renewals}");
}

#[test]
fn without_renewals_an_injection_ends_with_its_lease_for_good() {
    let life = Life::armed(500);
    life.renewed_for(1000);
    let last = life.clock.boot_us() - 100_000;
    life.pass(60_000);
    let (states, reason) = life.lived();
    assert_eq!(states[3..], [State::Undoing, State::Undone].map(|state| (state, last + LEASE.as_micros())));
    assert_eq!(reason, Some(HealReason::LeaseExpired));
    assert_eq!(life.renew(), Err("lease-over".into()));
}

#[test]
fn the_renewal_that_finds_the_lease_over_ends_the_run() {
    let life = Life::armed(500);
    life.renewed_for(1000);
    // All threads were stopped for a second. The renewal is the first thing that happens when they continue.
    life.clock.stall(Duration::from_secs(1));
    assert_eq!(life.renew(), Err("lease-over".into()));
    assert_eq!(life.lived().1, Some(HealReason::LeaseExpired));
    assert!(!life.agent.file("a").exists());
}

#[test]
fn arming_that_finds_the_lease_over_ends_the_run() {
    let mut life = Life::armed(500);
    life.renewed_for(1000);
    life.clock.stall(Duration::from_secs(1));
    assert_eq!(life.arm_another(), Err("lease-over".into()));
    assert_eq!(life.lived().1, Some(HealReason::LeaseExpired));
    assert!(!life.agent.file("a").exists());
}

#[test]
fn without_a_renewal_between_arming_and_start_it_never_starts() {
    let life = Life::armed(500);
    life.pass(750);
    assert_eq!(life.agent.history("a").0, [State::Armed], "a renewal may still come");
    life.pass(1);
    assert!(life.never_started().contains("not renewed"));
}

#[test]
fn a_renewal_before_arming_does_not_count() {
    let mut life = Life::new();
    let arm = life.prepare(None, 500);
    life.renew().unwrap();
    life.agent.arm(&arm).unwrap();
    life.clock.settle();
    life.pass(751);
    assert!(life.never_started().contains("not renewed"));
}

#[test]
fn a_renewal_within_the_tolerance_starts_it_at_once() {
    let life = Life::armed(500);
    life.pass(750);
    life.renew().unwrap();
    assert_eq!(
        life.lived().0[1..],
        [State::Injecting, State::InForce].map(|state| (state, life.start + 250_000))
    );
}

#[test]
fn a_start_that_is_late_by_more_than_the_tolerance_is_refused() {
    let late = |late_us: u64| {
        let life = Life::armed(500);
        life.renew().unwrap();
        life.clock.stall(Duration::from_micros(500_000 + late_us));
        life
    };
    assert!(late(250_001).never_started().starts_with("251ms late, 250ms is allowed"));
    let life = late(250_000);
    assert_eq!(life.lived().0[1], (State::Injecting, life.start + 250_000));
}

#[test]
fn arming_for_a_moment_that_is_past_is_refused() {
    let mut life = Life::new();
    let mut arm = life.prepare(None, 0);
    arm.injections[0].start_boot_us = NOW - 250_001;
    assert_eq!(life.agent.arm(&arm), Err("too-late".into()));
    arm.injections[0].start_boot_us = NOW - 250_000;
    life.agent.arm(&arm).unwrap();
    life.clock.settle();
    life.start = NOW - 250_000;
    life.renew().unwrap();
    assert_eq!(life.lived().0[2], (State::InForce, NOW));
}

#[test]
fn the_time_of_a_suspend_counts() {
    // Armed: the host was suspended past the start.
    let life = Life::armed(500);
    life.renew().unwrap();
    life.clock.suspend(Duration::from_millis(900));
    assert!(life.never_started().contains("late"));
    // In force: the host was suspended past the lease and the hold.
    let life = Life::armed(500);
    life.renewed_for(1000);
    life.clock.suspend(Duration::from_secs(3600));
    let woke = life.clock.boot_us();
    let (states, reason) = life.lived();
    assert_eq!((states[4], reason), ((State::Undone, woke), Some(HealReason::HoldOver)));
    // In force: the host was suspended past the lease, and not past the hold.
    let life = Life::armed(500);
    life.renewed_for(1000);
    life.clock.suspend(Duration::from_secs(2));
    assert_eq!(life.lived().1, Some(HealReason::LeaseExpired));
}

#[test]
fn a_wall_clock_that_jumps_changes_no_moment() {
    for wall_us in [0, 1_600_000_000_000_000, 4_000_000_000_000_000] {
        let life = Life::armed(500);
        life.renewed_for(300);
        life.clock.set_wall(wall_us);
        life.renewed_for(3500);
        let (states, reason) = life.lived();
        let moments: Vec<u64> = states.iter().map(|(_, when)| when - NOW).collect();
        assert_eq!(moments, [0, 500_000, 500_000, 3_500_000, 3_500_000], "{wall_us}");
        assert_eq!(reason, Some(HealReason::HoldOver));
    }
}

#[test]
fn an_undo_wins_at_every_moment() {
    // An undo before the start; at last both are due at the same moment, and the undo was asked first.
    for stalled_us in [0, 499_999, 500_000] {
        let life = Life::armed(500);
        life.renew().unwrap();
        life.agent.supervisor.stop(&HealReason::AgentStopping);
        life.clock.stall(Duration::from_micros(stalled_us));
        assert_eq!(life.never_started(), "it had not started");
    }
    // An undo before arming.
    let mut life = Life::new();
    life.agent.undo(UndoScope::Injection(id("a")), false);
    assert_eq!(life.arm(None, 500), Err("tombstone".into()));
    // An undo while the injection is in force.
    let life = Life::armed(500);
    life.renewed_for(1000);
    life.agent.undo(UndoScope::All, false);
    let (states, reason) = life.lived();
    assert_eq!(states[4], (State::Undone, life.clock.boot_us()));
    assert_eq!(reason, Some(HealReason::Asked { by: "alice".into() }));
}

#[test]
fn the_hold_begins_when_the_effect_is_made() {
    // The lease ends long after the hold, so only the hold determines the guardian's deadline.
    let mut life = Life { lease: Span::secs(20), ..Life::new() };
    life.arm(Some("slow"), 500).unwrap();
    life.renewed_for(400);
    life.renew().unwrap();
    life.clock.stall(Duration::from_millis(100));
    wait("the effect to begin", || life.agent.file("a.begun").exists());
    // Making an effect may take the hold or five seconds, whichever is longer, and its thread has five seconds more to report.
    assert_eq!(life.deadline(), life.start + 10_000_000);
    life.clock.stall(Duration::from_millis(300));
    life.renewed_for(3300);
    let (states, _) = life.lived();
    let made = life.start + 300_000;
    assert_eq!(states[1..3], [(State::Injecting, life.start), (State::InForce, made)]);
    assert_eq!(states[4], (State::Undone, made + HOLD.as_micros()));
}

#[test]
fn an_undo_that_fails_is_tried_again_and_then_stuck() {
    let mut life = Life::armed(500);
    life.renewed_for(3000);
    std::fs::write(life.agent.file("a.broken"), "").unwrap();
    life.renewed_for(400);
    life.pass(200);
    let (states, _) = life.lived();
    let ends = life.start + HOLD.as_micros();
    // Pauses of 20 and 40 ms between three tries.
    assert_eq!(states[3..], [(State::Undoing, ends), (State::Stuck, ends + 60_000)]);
    // A stuck injection stays until somebody asks for an undo again.
    life.pass(3_600_000);
    assert!(life.agent.supervisor.is_stuck());
    // A stuck injection needs no lease: the run may arm and renew other injections.
    life.arm_another().unwrap();
    std::fs::remove_file(life.agent.file("a.broken")).unwrap();
    assert!(life.agent.undo(UndoScope::All, false).stuck.is_empty());
    assert!(!life.agent.file("a").exists());
}
