//! Shaping by the kernel's qdiscs on ifbs. Uses only rates, so that any kernel with ifb and tbf will do.

use std::time::Duration;

use firedrill_agent::{
    host::{ifb, link},
    sandboxed,
    testing::{role, wait_until},
    undo::Undo,
};
use firedrill_wire::{Span, evidence::Seen};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    engine::{Engine, by},
    trip::{COUNT, at_full_rate, out_at_full_rate, rush, rush_out, slowed, throttle},
    world::{Injection, OWNED, PEER4, PEERS, World, own, owner},
};

fn in_the_kernel(test: &str, body: impl FnOnce()) {
    by(Engine::Kernel, "tbf", test, body);
}

/// Returns the number of the agent's ifbs.
fn ifbs() -> usize {
    link::all().unwrap().iter().filter(|link| ifb::is_our_ifb(link)).count()
}

sandboxed! {
    fn each_way_and_through_the_host() {
        in_the_kernel("each_way_and_through_the_host", || {
            let world = World::new();
            let before = world.snapshot();
            for peer in PEERS {
                for (direction, outward, inward) in [("out", true, false), ("in", false, true), ("both", true, true)] {
                    let more = format!(r#","direction":"{direction}""#);
                    let injection = Injection::make(&world, &throttle(peer, &more));
                    let (near, far) = world.flow(peer);
                    for (ends, wanted) in [((&near, &far), outward), ((&far, &near), inward)] {
                        let there = rush(ends);
                        assert_eq!(there.lost(COUNT), 0, "{peer} {direction}");
                        let is_so = slowed(&there) == wanted || !wanted && at_full_rate(ends);
                        assert!(is_so, "{peer} {direction}: {:?}", there.lasted);
                    }
                    let evidence = injection.evidence();
                    assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::Yes), "{}", evidence.detail);
                    assert!(evidence.count.unwrap() >= u64::from(COUNT), "{}", evidence.detail);
                    injection.undo();
                    assert!(out_at_full_rate(&world, peer));
                }
            }
            let injection = Injection::make(&world, &throttle("10.2.0.2", ""));
            let (near, far) = world.flow_through();
            assert!(slowed(&rush((&near, &far))));
            injection.undo();
            world.assert_same(&before);
        });
    }
}

sandboxed! {
    fn several_combine_and_none_replaces_another() {
        in_the_kernel("several_combine_and_none_replaces_another", || {
            let world = World::new();
            let before = world.snapshot();
            let ports = r#","remote_ports":"1-65535""#;
            let wide = Injection::make(&world, &throttle(PEER4, ports));
            let narrow = Injection::make(&world, &throttle(PEER4, ""));
            assert_eq!(ifbs(), 3, "one each, and one for both");
            assert!(slowed(&rush_out(&world, PEER4)));
            for injection in [&wide, &narrow] {
                let evidence = injection.evidence();
                assert!(evidence.count.unwrap() >= u64::from(COUNT), "{}", evidence.detail);
            }
            // The counts of an ifb outlive it.
            let seen = wide.evidence().count.unwrap();
            narrow.undo();
            assert_eq!(wide.evidence().count.unwrap(), seen);
            assert!(slowed(&rush_out(&world, PEER4)), "the other is left alone");
            let anew = Injection::make(&world, &throttle("10.2.0.2", ""));
            assert!(slowed(&rush_out(&world, "10.2.0.2")));
            wide.undo();
            assert!(out_at_full_rate(&world, PEER4));
            anew.undo();
            assert_eq!(ifbs(), 0);
            world.assert_same(&before);
        });
    }
}

sandboxed! {
    fn narrower_clauses_also_choose_packets_at_ifbs() {
        in_the_kernel("narrower_clauses_also_choose_packets_at_ifbs", || {
            let world = World::new();
            let before = world.snapshot();
            for peer in PEERS {
                for (direction, clause, expected) in [
                    ("in", r#""flows":"50%""#, 25..=75),
                    ("out", r#""flows":"50%""#, 25..=75),
                    ("in", r#""interfaces":"eth1""#, 0..=0),
                    ("out", r#""interfaces":"eth1""#, 0..=0),
                    ("out", r#""user":"0""#, 100..=110),
                    ("in", r#""except":["10.1.0.0/16","fd00:1::/32"]"#, 0..=0),
                ] {
                    let injection = Injection::make(&world, &throttle(peer, &format!(r#","direction":"{direction}",{clause}"#)));
                    for _ in 0..100 {
                        let (near, far) = world.flow(peer);
                        if direction == "in" { far.send(b"x").unwrap() } else { near.send(b"x").unwrap() };
                    }
                    // Packets to the other end of a cable arrive at once.
                    let seen = injection.evidence().count.unwrap();
                    assert!(expected.contains(&seen), "{peer} {direction} {clause}: {seen} of 100");
                    injection.undo();
                }
            }
            world.assert_same(&before);
        });
    }
}

sandboxed! {
    fn an_undo_waits_until_an_ifb_is_empty() {
        in_the_kernel("an_undo_waits_until_an_ifb_is_empty", || {
            // As many as the buffer of an unread socket holds.
            const COUNT: usize = 150;
            let world = World::new();
            let injection = Injection::make(&world, &throttle(PEER4, ""));
            let (near, far) = world.flow(PEER4);
            for _ in 0..COUNT {
                near.send(&[0; 200]).unwrap();
            }
            injection.undo();
            far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let came = (0..COUNT).filter(|_| far.recv(&mut [0; 200]).is_ok()).count();
            assert_eq!(came, COUNT);
        });
    }
}

sandboxed! {
    fn packets_pass_when_the_owner_dies_and_another_process_removes_the_ifb() {
        if role().is_some() {
            own(&throttle(PEER4, r#","engine":"kernel""#));
        }
        in_the_kernel("packets_pass_when_the_owner_dies", || {
            let world = World::new();
            let before = world.snapshot();
            let mut child = owner();
            assert!(slowed(&rush_out(&world, PEER4)));
            kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
            child.wait().unwrap();
            wait_until("the tables are gone", || world.host.nft.our_tables().unwrap().is_empty());
            assert!(out_at_full_rate(&world, PEER4));
            assert_eq!(ifbs(), 1, "idle");
            let undo = Undo::RemoveIfbs { prefix: ifb::prefix(&OWNED.parse().unwrap()), patience: Span::secs(3) };
            assert!(undo.apply(&world.host).unwrap().detail.contains("1 interfaces"));
            assert!(undo.apply(&world.host).unwrap().detail.contains("gone already"));
            world.assert_same(&before);
        });
    }
}
