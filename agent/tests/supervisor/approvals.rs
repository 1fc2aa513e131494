//! Tests of faults that need approvals by the policy: each is armed once, as it was signed, soon after the signatures were verified.

use std::{
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use firedrill_agent::{
    control::Control as _,
    time::{HostTime, Sleeper, Time, Waker},
    wiring::Wiring,
};
use firedrill_approval::{Opened, Tree, leaf};
use firedrill_wire::{
    RefusalCode, Span,
    api::{Arm, Prepare, Prepared},
    journal::State,
};

use crate::{
    Agent, LEASE,
    fakes::{alice, approval, ask_arm, ask_prepare, pause, ready, run_id, wiring},
};

/// The policy of these tests.
const POLICY: &str = "[policy.approval]\npeople = 1\n";

/// The hold of the plan's faults. The tests wait for its end: after an undo a fault could never be armed again, with or without approvals.
const SHORT: Span = Span::millis(100);
/// Number of the plan's faults on host h: more than the number of ended faults that an agent remembers.
const FAULTS: usize = 8;

/// Returns the id of one of the plan's faults, the request to prepare it with its proof, and bob's approval of all faults.
fn approved(number: usize) -> (String, Prepare, [Result<Opened, String>; 1]) {
    let fault = |number: usize| pause(&format!("file{number}"), None, None);
    let leaves = (1..=FAULTS).map(|number| leaf("h", &format!("1-{number}"), &fault(number), SHORT));
    let tree = Tree::of(leaves.collect());
    let id = format!("r1-1-{number}");
    let mut ask = ask_prepare(&[(&id, fault(number))], SHORT);
    ask.injections[0].proof = tree.proof(number - 1);
    (id, ask, [approval("bob", tree.root())])
}

/// Prepares with approvals, and returns the request to arm.
fn prepared(agent: &Agent, ask: &Prepare, approvals: &[Result<Opened, String>], hold: Span) -> Arm {
    let answer = agent.supervisor.prepare_with(&alice(), &run_id(), ask, approvals).unwrap();
    ask_arm(&ready(answer), 0, hold, LEASE)
}

/// Arms each of the plan's faults, and waits until its hold is over.
fn arm_all(agent: &Agent) {
    for number in 1..=FAULTS {
        let (id, ask, approvals) = approved(number);
        agent.arm(&prepared(agent, &ask, &approvals, SHORT)).unwrap();
        agent.renew().unwrap();
        agent.wait_for(&id, State::Undone);
    }
}

#[test]
fn a_fault_is_armed_once_and_as_it_was_approved() {
    let agent = Agent::with(POLICY);
    let (_, ask, approvals) = approved(1);
    let answer = agent.supervisor.prepare(&alice(), &run_id(), &ask).unwrap();
    let Prepared::Ready { wants: 1, lacks: Some(lacks), .. } = &answer.injections[0].answer else {
        panic!("{answer:?}")
    };
    assert!(lacks.contains("nobody has"), "{lacks}");
    assert_eq!(agent.arm(&ask_arm(&ready(answer), 0, SHORT, LEASE)), Err("not-approved".to_owned()));
    // Bob has signed a short hold, and not one of ten minutes.
    let longer = prepared(&agent, &ask, &approvals, Span::secs(600));
    assert_eq!(agent.arm(&longer), Err("changed".to_owned()));
    arm_all(&agent);
    assert_eq!(agent.arm(&prepared(&agent, &ask, &approvals, SHORT)), Err("armed-already".to_owned()));
}

/// An agent that forgets a run also forgets that the run's faults were armed.
#[test]
fn a_run_that_armed_approved_faults_is_not_forgotten_when_others_are_prepared() {
    let agent = Agent::with(POLICY);
    arm_all(&agent);
    // An agent remembers 64 runs.
    for number in 0..70 {
        let other = ask_prepare(&[(&format!("other-{number}"), pause("other", None, None))], SHORT);
        ready(agent.supervisor.prepare(&alice(), &format!("run-{number}").parse().unwrap(), &other).unwrap());
    }
    let (_, ask, approvals) = approved(1);
    assert_eq!(agent.arm(&prepared(&agent, &ask, &approvals, SHORT)), Err("armed-already".to_owned()));
}

/// The host's clocks, with this number of microseconds added to the time since boot.
#[derive(Debug)]
struct Later(AtomicU64);

impl Time for Later {
    fn boot_us(&self) -> u64 {
        HostTime.boot_us() + self.0.load(Ordering::SeqCst)
    }

    fn awake_us(&self) -> u64 {
        HostTime.awake_us()
    }

    fn wall_us(&self) -> u64 {
        HostTime.wall_us()
    }

    fn sleeper(&self) -> io::Result<(Box<dyn Sleeper>, Arc<dyn Waker>)> {
        HostTime.sleeper()
    }

    fn sleep(&self, time: Duration) {
        HostTime.sleep(time);
    }

    fn wait_any(&self, fds: &[&dyn AsFd], within: Duration) {
        HostTime.wait_any(fds, within);
    }
}

#[test]
fn approvals_that_were_verified_long_ago_do_not_count() {
    static TIME: Later = Later(AtomicU64::new(0));
    let agent = Agent::with_wiring(POLICY, Wiring { time: &TIME, ..wiring() });
    let (_, ask, approvals) = approved(1);
    let arm = prepared(&agent, &ask, &approvals, SHORT);
    TIME.0.store(601_000_000, Ordering::SeqCst);
    let refused = agent.supervisor.arm(&alice(), &run_id(), &arm).unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotPrepared);
    assert!(refused.title.contains("r1-1-1 were verified more than 10 minutes ago"), "{refused:?}");
    TIME.0.store(0, Ordering::SeqCst);
    agent.arm(&arm).unwrap();
}
