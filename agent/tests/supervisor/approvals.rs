//! Faults that the policy wants approved: armed once, as they were signed, soon after the signatures were verified.

use firedrill_agent::control::Control as _;
use firedrill_approval::{Opened, Tree, leaf};
use firedrill_wire::{
    Span,
    api::{Arm, Prepare, Prepared, UndoScope},
    journal::State,
};

use crate::{
    Agent, HOLD, LEASE,
    fakes::{alice, approval, ask_arm, ask_prepare, pause, ready, run_id},
};

/// Number of the plan's faults on host h: more than an agent remembers of those that are over.
const FAULTS: usize = 8;

/// The question about one of the plan's faults, with its proof, and bob's approval of all of them.
fn approved(number: usize) -> (String, Prepare, [Result<Opened, String>; 1]) {
    let fault = |number: usize| pause(&format!("file{number}"), None, None);
    let leaves = (1..=FAULTS).map(|number| leaf("h", &format!("1-{number}"), &fault(number), HOLD));
    let tree = Tree::of(leaves.collect());
    let id = format!("r1-1-{number}");
    let mut ask = ask_prepare(&[(&id, fault(number))], HOLD);
    ask.injections[0].proof = tree.proof(number - 1);
    (id, ask, [approval("bob", tree.root())])
}

fn prepared(agent: &Agent, ask: &Prepare, approvals: &[Result<Opened, String>], hold: Span) -> Arm {
    let answer = agent.supervisor.prepare_with(&alice(), &run_id(), ask, approvals).unwrap();
    ask_arm(&ready(answer), 0, hold, LEASE)
}

#[test]
fn a_fault_is_armed_once_and_as_it_was_approved() {
    let agent = Agent::with("[policy.approval]\npeople = 1\n");
    let (_, ask, bobs) = approved(1);
    let answer = agent.supervisor.prepare(&alice(), &run_id(), &ask).unwrap();
    let Prepared::Ready { wants: 1, lacks: Some(lacks), .. } = &answer.injections[0].answer else {
        panic!("{answer:?}")
    };
    assert!(lacks.contains("nobody has"), "{lacks}");
    assert_eq!(agent.arm(&ask_arm(&ready(answer), 0, HOLD, LEASE)), Err("not-approved".to_owned()));
    // Bob has signed a hold of a minute, and not of ten.
    let longer = prepared(&agent, &ask, &bobs, Span::secs(600));
    assert_eq!(agent.arm(&longer), Err("changed".to_owned()));
    for number in 1..=FAULTS {
        let (id, ask, bobs) = approved(number);
        agent.arm(&prepared(&agent, &ask, &bobs, HOLD)).unwrap();
        agent.renew().unwrap();
        agent.wait_for(&id, State::InForce);
        agent.undo(UndoScope::Injection(id.parse().unwrap()), false);
        agent.wait_for(&id, State::Undone);
    }
    assert_eq!(agent.arm(&prepared(&agent, &ask, &bobs, HOLD)), Err("armed-already".to_owned()));
}
