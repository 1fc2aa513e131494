//! Tests of faults that shape traffic by queues to which iptables chains send packets.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use firedrill_agent::{
    host::queue::FIRST,
    sandboxed,
    testing::{host, role, skip, wait_until},
    undo::Undo,
};
use firedrill_wire::{RefusalCode, Span, evidence::Seen};
use nix::{
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
    unistd::{Pid, getuid},
};

use super::{
    iptables::{Build, may_open_gates, on_builds},
    trip::{LATE, fault, out, out_within, slow, trip, within},
    world::{AGENT_PORT, Injection, OWNED, PEER4, PEERS, Reach, SELF4, World, own_on, owner},
};

/// Whether this user namespace has a spare user, by which reinjected packets are recognised.
fn has_users(test: &str) -> bool {
    let has = std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295");
    if !has {
        skip(&format!("{test}: in a user namespace of user {} there is no user to spare", getuid()));
    }
    has
}

sandboxed! {
    fn chosen_packets_are_late_and_no_others() {
        if !has_users("delays by iptables") {
            return;
        }
        on_builds("delays by iptables", |world, build| {
            for peer in PEERS {
                let warm = Injection::prepare(world, &slow(peer, "150ms"));
                let (before, rules) = (world.snapshot(), build.saved());
                let injection = Injection::make(world, &slow(peer, "150ms"));
                let evidence = injection.evidence();
                assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::No), "{}", evidence.detail);
                let there = out(world, peer, 50);
                assert_eq!(there.lost(50), 0);
                assert!(there.least() >= LATE, "{:?}", there.least());
                assert!(out_within(world, peer, Duration::from_millis(250)));
                let (near, far) = world.flow(peer);
                assert!(within((&far, &near), LATE));
                assert!(out_within(world, "10.2.0.2", LATE));
                wait_until("connections that are not chosen are not late", || {
                    let began = Instant::now();
                    assert_eq!(world.tcp_self("127.0.0.1", 8080), Reach::Yes);
                    assert_eq!((world.tcp_in(SELF4, AGENT_PORT), world.tcp_in(SELF4, 22)), (Reach::Yes, Reach::Yes));
                    began.elapsed() < LATE
                });
                // Longer than the third gate stays open by itself: the loop keeps it open.
                std::thread::sleep(Duration::from_secs(3));
                let evidence = injection.evidence();
                assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::Yes), "{}", evidence.detail);
                assert!(evidence.detail.contains("engine: user space") && evidence.detail.contains("iptables chains"), "{}", evidence.detail);
                assert!(out(world, peer, 10).least() >= LATE);
                injection.undo();
                assert_eq!(injection.evidence().in_force, Seen::No);
                assert!(out_within(world, peer, LATE));
                assert_eq!(build.saved(), rules);
                world.assert_same(&before);
                warm.undo();
            }
        });
    }
}

sandboxed! {
    fn incoming_and_forwarded_packets_are_late() {
        on_builds("inward delays by iptables", |world, build| {
            world.prepare(&fault(r#"{"net-slow":{"to":["10.1.0.2","fd00:1::2"],"delay":"150ms","direction":"in"}}"#)).unwrap();
            let rules = build.saved();
            for peer in PEERS {
                let json = format!(r#"{{"net-slow":{{"to":"{peer}","delay":"150ms","direction":"in"}}}}"#);
                let injection = Injection::make(world, &fault(&json));
                let (near, far) = world.flow(peer);
                let inward = trip((&far, &near), 30, Duration::from_secs(1));
                assert!(inward.lost(30) == 0 && inward.least() >= LATE, "{:?}", inward.least());
                assert!(within((&near, &far), LATE));
                if peer == PEER4 {
                    let (first, second) = world.flow_through();
                    assert!(trip((&first, &second), 30, Duration::from_secs(1)).least() >= LATE, "forwarded");
                    assert!(within((&second, &first), LATE));
                }
                injection.undo();
                assert_eq!(build.saved(), rules);
            }
        });
    }
}

sandboxed! {
    fn outgoing_packets_are_lost_duplicated_and_late() {
        if !has_users("losses by iptables") {
            return;
        }
        on_builds("losses by iptables", |world, build| {
            world.prepare(&fault(r#"{"net-slow":{"to":["10.1.0.2","fd00:1::2"],"delay":"10ms"}}"#)).unwrap();
            let rules = build.saved();
            for peer in PEERS {
                let all = fault(&format!(r#"{{"net-lose":{{"to":"{peer}","share":"100%"}}}}"#));
                let injection = Injection::make(world, &all);
                assert_eq!(out(world, peer, 10).lost(10), 10);
                injection.undo();
                let twice = fault(&format!(r#"{{"net-duplicate":{{"to":"{peer}","share":"100%"}}}}"#));
                let injection = Injection::make(world, &twice);
                let there = out(world, peer, 10);
                assert!(there.took.len() == 10 && there.took.values().all(|times| times.len() == 2), "{:?}", there.took);
                injection.undo();
            }
            let injection = Injection::make(world, &slow("10.2.0.2", "150ms"));
            let (first, second) = world.flow_through();
            assert!(trip((&first, &second), 30, Duration::from_secs(1)).least() >= LATE, "forwarded");
            injection.undo();
            assert_eq!(build.saved(), rules);
        });
    }
}

sandboxed! {
    fn a_stream_arrives_complete_and_a_block_beside_it_blocks() {
        if !has_users("streams by iptables") {
            return;
        }
        on_builds("streams by iptables", |world, _| {
            let injection = Injection::make(world, &slow(PEER4, "20ms"));
            let listener = world.at_peer(|| TcpListener::bind((PEER4, 0)).unwrap());
            let to = listener.local_addr().unwrap();
            let mut near = world.host_ns.run(|| TcpStream::connect(to)).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            let sent: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            let mut got = Vec::new();
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| far.read_to_end(&mut got).unwrap());
                near.write_all(&sent).unwrap();
                near.shutdown(std::net::Shutdown::Both).unwrap();
                reader.join().unwrap();
            });
            assert_eq!(got, sent);
            // A block comes after the queue, so that it judges the reinjected packets.
            let block = Injection::make(world, &fault(r#"{"net-block":{"to":"10.1.0.2"}}"#));
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::No);
            block.undo();
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
            injection.undo();
        });
    }
}

sandboxed! {
    fn two_delays_would_not_add_up_so_their_claims_conflict() {
        on_builds("claims", |world, _| {
            let inward = fault(r#"{"net-slow":{"to":"10.1.0.2","delay":"150ms","direction":"in"}}"#);
            let claims = world.prepare(&inward).unwrap().claims;
            assert!(claims.iter().any(|claim| claim.what == "iptables-queue" && !claim.shared), "{claims:?}");
            let kernel = fault(r#"{"net-throttle":{"to":"10.1.0.2","rate":"1mbit","engine":"kernel"}}"#);
            assert_eq!(world.prepare(&kernel).expect_err("refused").code, RefusalCode::EngineUnable);
        });
    }
}

sandboxed! {
    fn packets_pass_when_the_owner_dies_and_soon_after_it_was_stopped() {
        let fault = fault(r#"{"net-slow":{"to":"10.1.0.2","delay":"150ms","engine":"iptables"}}"#);
        if role().is_some() {
            own_on(&host(std::path::Path::new("/nonexistent")), &fault, Span::secs(60));
        }
        let test = "a stopped owner's queue by iptables";
        if !may_open_gates(test) {
            return;
        }
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        if let Err(why) = Build("iptables").run(false, "-save", &[], "") {
            return skip(&format!("{test}: {why}"));
        }
        if !has_users(test) {
            return;
        }
        let world = World::new();
        let prepared = world.prepare(&fault).unwrap();
        let rules = Build("iptables").saved();
        for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
            let mut child = owner();
            assert!(out(&world, PEER4, 20).least() >= LATE);
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            kill(pid, signal).unwrap();
            let ended = Instant::now();
            // Lease and hold are a minute each; the gate that the loop keeps open is shorter.
            let (near, far) = world.flow(PEER4);
            far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            wait_until("packets pass", || {
                near.send(b"x").unwrap();
                far.recv(&mut [0; 8]).is_ok()
            });
            eprintln!("packets passed {:?} after {signal}", ended.elapsed());
            kill(pid, Signal::SIGKILL).unwrap();
            child.wait().unwrap();
            for undo in prepared.undo.iter().rev() {
                let Undo::RemoveChains { table, program, families, .. } = undo.clone() else {
                    Undo::StopQueue { number: FIRST }.apply(&world.host).unwrap();
                    continue;
                };
                let injection = OWNED.parse().unwrap();
                Undo::RemoveChains { injection, table, program, families }.apply(&world.host).unwrap();
            }
            assert_eq!(Build("iptables").saved(), rules);
            assert!(out_within(&world, PEER4, LATE));
        }
    }
}
