//! Two faults on a host at once, undone in each order. Also tests that the comparison finds leftovers.

use firedrill_agent::snapshot::compare;
use firedrill_wire::{
    Fault,
    api::{Undo, UndoScope},
    journal::State,
};

use super::{
    Case,
    drill::{Drill, fault},
    host::{Host, World, states},
    inside::Look,
    matrix::of_kind,
};

/// Two blocks whose peers overlap, so that the same packet meets both.
const BLOCKS: [&str; 2] = [
    r#"{"net-block":{"to":["10.77.0.99","10.77.0.98"]}}"#,
    r#"{"net-block":{"to":["10.77.0.98"],"protocol":"tcp"}}"#,
];

/// Two faults that act on the same packets.
const SHAPES: [&str; 2] = [
    r#"{"net-slow":{"to":["10.77.0.99","10.77.0.98"],"delay":"500ms","jitter":"100ms"}}"#,
    r#"{"net-lose":{"to":["10.77.0.98"],"share":"5%"}}"#,
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let orders: [(&str, &'static [usize]); 3] =
        [("first_first", &[0, 1]), ("last_first", &[1, 0]), ("together", &[])];
    let stop = of_kind("service-stop");
    let pairs = [
        ("two_blocks", BLOCKS.map(fault)),
        ("service_and_block", [stop, fault(BLOCKS[0])]),
        ("slow_and_lossy", SHAPES.map(fault)),
        ("slow_and_block", [fault(SHAPES[0]), fault(BLOCKS[0])]),
    ];
    for (name, pair) in pairs {
        for (order_name, order) in orders {
            let pair = pair.clone();
            cases.push(Case::new(format!("overlap::{name}::{order_name}"), move |world, host| {
                world.runtime.block_on(put_back_in(world, host, &pair, order));
            }));
        }
    }
    cases.push(Case::new("overlap::dirt_made_by_hand_is_found", |world, host| {
        world.runtime.block_on(dirt(world, host));
    }));
    cases
}

/// Returns what differs between now and before, by whomever it was changed.
fn differences(before: &Look, host: &Host<'_>) -> Vec<String> {
    let difference = compare(&before.snapshot, &host.look().snapshot, &[]);
    [difference.ours, difference.foreign].concat()
}

/// Undoes two faults one after another in an order. If the order is empty, one call undoes both.
async fn put_back_in(world: &World, host: &Host<'_>, faults: &[Fault], order: &[usize]) {
    let before = host.quiet().await;
    let mut drill = Drill::prepare(world, host, faults).await;
    drill.in_force(&[0, 1]).await;
    let both = differences(&before, host);
    for (done, &at) in order.iter().enumerate() {
        drill.undo(at).await;
        let left = differences(&before, host);
        if done == 0 {
            assert!(
                !left.is_empty() && left.len() < both.len(),
                "not exactly one fault is put back: {left:?} of {both:?}"
            );
            assert!(left.iter().all(|line| both.contains(line)), "{left:?} of {both:?}");
            assert_eq!(
                drill.state(1 - at).await,
                Some(State::InForce),
                "the undo of one fault has touched the other"
            );
        }
    }
    if order.is_empty() {
        let answer = drill.agent.undo(&Undo { scope: UndoScope::All, halt: false }).await.unwrap();
        assert_eq!((answer.injections.len(), answer.stuck.len()), (2, 0));
    }
    let after = host.clean(&before, &drill.run).await;
    for id in &drill.ids {
        assert_eq!(states(&after, id).0.last(), Some(&State::Undone));
    }
}

/// Changes the host by hand after a drill, and checks that the comparisons find the change.
async fn dirt(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let mut drill = Drill::prepare(world, host, &[fault(BLOCKS[0])]).await;
    drill.in_force(&[0]).await;
    drill.undo(0).await;
    host.clean(&before, &drill.run).await;
    for (what, wanted) in
        [("table", "nft-table:inet by_hand is new"), ("address", "addr:lo 10.99.0.1/32 is new")]
    {
        host.inside(&["dirt", what]);
        let seen = differences(&before, host);
        assert!(seen.iter().any(|line| line == wanted), "{seen:?}");
        let end = drill.agent.finish(&drill.run).await.unwrap();
        assert!(end.foreign.iter().any(|line| line == wanted), "{end:?}");
    }
    // The next test must not find the leftovers. A boot removes them.
    host.power_cycle().await;
}
