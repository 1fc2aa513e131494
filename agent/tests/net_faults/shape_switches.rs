//! Tests of the ends of faults that shape traffic, whichever process dies or hangs. Such a fault is made once, and leaves nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use firedrill_agent::{
    host::{kinds::has_qdisc, queue::FIRST},
    sandboxed,
    testing::{host, role, wait_until},
    undo::Undo,
};
use firedrill_wire::{Fault, Span, evidence::Seen};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::on_engines;

use super::{
    engine::by_kernel,
    trip::{LATE, SOON, fault, out, out_within, slow},
    world::{Injection, PEER4, World, own, owner},
};

/// One fault of each kind, all on the first peer.
const KINDS: [&str; 6] = [
    r#"{"net-slow":{"to":["10.1.0.2","fd00:1::2"],"delay":"20ms","jitter":"5ms"}}"#,
    r#"{"net-lose":{"to":["10.1.0.2","fd00:1::2"],"share":"50%"}}"#,
    r#"{"net-duplicate":{"to":["10.1.0.2","fd00:1::2"],"share":"50%"}}"#,
    r#"{"net-corrupt":{"to":["10.1.0.2","fd00:1::2"],"share":"50%"}}"#,
    r#"{"net-reorder":{"to":["10.1.0.2","fd00:1::2"],"delay":"20ms","share":"50%"}}"#,
    r#"{"net-throttle":{"to":["10.1.0.2","fd00:1::2"],"rate":"1mbit","burst":"3kB"}}"#,
];

/// Returns the kinds for which this kernel has an engine.
fn kinds() -> impl Iterator<Item = &'static str> {
    let netem = !by_kernel() || has_qdisc("netem").is_ok();
    KINDS.into_iter().filter(move |json| netem || json.contains("net-throttle"))
}

on_engines! {
    "netem" fn a_delay_ends_with_its_lease_or_hold() {
        let world = World::new();
        let by_lease = Injection::with(&world, &slow(PEER4, "150ms"), Span::secs(5), Span::secs(60));
        by_lease.renew(Span::millis(200)).unwrap();
        wait_until("the lease lifts it", || by_lease.evidence().in_force == Seen::No);
        assert!(out_within(&world, PEER4, SOON));
        by_lease.renew(Span::secs(60)).expect_err("never revived");
        by_lease.undo();
        let by_hold = Injection::with(&world, &slow(PEER4, "150ms"), Span::secs(60), Span::secs(2));
        wait_until("the hold lifts it", || by_hold.evidence().in_force == Seen::No);
        assert!(out_within(&world, PEER4, SOON));
        by_hold.undo();
    }
}

sandboxed! {
    fn the_loop_keeps_its_gate_open() {
        let world = World::new();
        let injection = Injection::make(&world, &by_queue());
        // Longer than the gate stays open by itself.
        thread::sleep(Duration::from_secs(3));
        let evidence = injection.evidence();
        assert_eq!(evidence.in_force, Seen::Yes, "{}", evidence.detail);
        assert!(out(&world, PEER4, 20).least() >= LATE);
        injection.undo();
    }
}

on_engines! {
    "tbf" fn injecting_twice_is_injecting_once_staged_or_not() {
        let world = World::new();
        let before = world.snapshot();
        for json in kinds() {
            let injection = Injection::make(&world, &fault(json));
            let once = world.snapshot();
            injection.again().unwrap();
            world.assert_same(&once);
            assert_eq!(injection.evidence().in_force, Seen::Yes);
            injection.undo();
            world.assert_same(&before);
            let staged = Injection::prepare(&world, &fault(json));
            staged.fault().stage(&world.host, &staged.live).unwrap();
            assert_eq!(staged.evidence().in_force, Seen::No, "its gates are closed");
            assert_eq!(out(&world, PEER4, 5).lost(5), 0);
            assert_eq!(staged.evidence().exercised, Seen::No);
            staged.again().unwrap();
            assert_eq!(staged.evidence().in_force, Seen::Yes);
            staged.undo();
            world.assert_same(&before);
        }
    }
}

on_engines! {
    "tbf" fn a_failed_injection_leaves_nothing_and_undoing_twice_is_undoing_once() {
        let world = World::new();
        let before = world.snapshot();
        for json in kinds() {
            let mut injection = Injection::prepare(&world, &fault(json));
            world.assert_same(&before); // preparing reads only
            // Another process has the queue and the name, so that neither is available.
            let other = host(std::path::Path::new("/nonexistent"));
            injection.fault().inject(&other, &injection.live).unwrap();
            let taken = world.snapshot();
            injection.again().expect_err("the queue is taken");
            world.assert_same(&taken);
            for undo in injection.live.prepared.undo.iter().rev() {
                undo.apply(&other).unwrap();
            }
            drop(other);
            injection.undo();
            injection.undo();
            injection.live.ends_boot_us = 1;
            injection.again().expect_err("its hold is over");
            injection.undo();
            injection.undo();
            world.assert_same(&before);
            assert_eq!(out(&world, PEER4, 5).lost(5), 0);
        }
    }
}

/// A delay by a queue in user space: only that engine has a loop.
fn by_queue() -> Fault {
    fault(r#"{"net-slow":{"to":"10.1.0.2","delay":"150ms","engine":"user-space"}}"#)
}

fn pid(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

sandboxed! {
    fn packets_pass_when_the_owner_dies() {
        if role().is_some() {
            own(&by_queue());
        }
        let world = World::new();
        let mut child = owner();
        assert!(out(&world, PEER4, 20).least() >= LATE);
        kill(pid(&child), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        wait_until("packets are as before", || out(&world, PEER4, 1).took.get(&0).is_some_and(|took| took[0] < SOON));
        wait_until("the table is gone", || world.host.nft.our_tables().unwrap().is_empty());
        // Another process has nothing to undo, however often it tries.
        for _ in 0..2 {
            let undone = Undo::StopQueue { number: FIRST }.apply(&world.host).unwrap();
            assert!(undone.detail.contains("ends with its owner"), "{}", undone.detail);
        }
    }
}

sandboxed! {
    fn packets_pass_soon_after_the_owner_was_stopped() {
        if role().is_some() {
            own(&by_queue());
        }
        let world = World::new();
        let mut child = owner();
        assert!(out(&world, PEER4, 20).least() >= LATE);
        kill(pid(&child), Signal::SIGSTOP).unwrap();
        let stopped = Instant::now();
        // Lease and hold are a minute each; the gate that the loop keeps open is shorter.
        let (near, far) = world.flow(PEER4);
        far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        wait_until("packets pass", || {
            near.send(b"x").unwrap();
            far.recv(&mut [0; 8]).is_ok()
        });
        assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
        eprintln!("packets passed {:?} after SIGSTOP", stopped.elapsed());
        kill(pid(&child), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }
}
