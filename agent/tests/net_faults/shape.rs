//! Tests of traffic that is delayed, lost, duplicated, corrupted, reordered and throttled, with each engine.
//!
//! Chances are asserted five standard deviations wide, times only as wide as a busy machine needs.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use firedrill_agent::{sandboxed, testing::wait_until};
use firedrill_wire::{
    Fault, RefusalCode,
    evidence::Seen,
    fault::{Direction, NetBlock, NetDuplicate, Protocol},
};

use crate::on_engines;

use super::{
    engine::{Engine, by, by_kernel},
    trip::{COUNT, LATE, SOON, Trip, fault, out, out_within, rush_out, slow, slowed, trip, within},
    world::{AGENT_PORT, Injection, PEER4, PEER6, PEERS, Reach, SELF4, World},
};

on_engines! {
    "netem" fn chosen_packets_are_late_by_as_much_as_asked_and_no_others() {
        let world = World::new();
        let before = world.snapshot();
        for peer in PEERS {
            let injection = Injection::make(&world, &slow(peer, "150ms"));
            let evidence = injection.evidence();
            assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::No), "{}", evidence.detail);
            let there = out(&world, peer, 50);
            assert_eq!(there.lost(50), 0);
            assert!(there.least() >= LATE, "{:?}", there.least());
            assert!(out_within(&world, peer, Duration::from_millis(250)));
            // Packets from the peer, and packets to another, are not delayed.
            let (near, far) = world.flow(peer);
            assert!(within((&far, &near), SOON));
            assert!(out_within(&world, "10.2.0.2", SOON));
            // Loopback, the agent and SSH.
            wait_until("connections that are not chosen are not late", || {
                let began = Instant::now();
                assert_eq!(world.tcp_self("127.0.0.1", 8080), Reach::Yes);
                assert_eq!(world.tcp_in(SELF4, AGENT_PORT), Reach::Yes);
                assert_eq!(world.tcp_in(SELF4, 22), Reach::Yes);
                began.elapsed() < LATE
            });
            let evidence = injection.evidence();
            assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::Yes), "{}", evidence.detail);
            assert!(evidence.count.unwrap() >= 50);
            let engine = if by_kernel() { "engine: kernel (qdiscs)" } else { "engine: user space (NFQUEUE)" };
            assert!(evidence.detail.contains(engine), "{}", evidence.detail);
            injection.undo();
            assert_eq!(injection.evidence().in_force, Seen::No);
            assert!(out_within(&world, peer, SOON));
        }
        world.assert_same(&before);
    }
}

on_engines! {
    "netem" fn both_ways_and_inwards() {
        let world = World::new();
        for (peer, direction) in [(PEER4, "in"), (PEER6, "both"), (PEER4, "both")] {
            let json = format!(r#"{{"net-slow":{{"to":"{peer}","delay":"150ms","direction":"{direction}"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            let (near, far) = world.flow(peer);
            let inward = trip((&far, &near), 30, Duration::from_secs(1));
            assert!(inward.lost(30) == 0 && inward.least() >= LATE, "{direction}: {:?}", inward.least());
            let outward = trip((&near, &far), 30, Duration::from_secs(1));
            assert!((outward.least() >= LATE) == (direction == "both"), "{direction}: {:?}", outward.least());
            injection.undo();
        }
    }
}

on_engines! {
    "netem" fn forwarded_packets_are_late() {
        let world = World::new();
        let injection = Injection::make(&world, &slow("10.2.0.2", "150ms"));
        let (near, far) = world.flow_through();
        let there = trip((&near, &far), 30, Duration::from_secs(1));
        assert!(there.lost(30) == 0 && there.least() >= LATE, "{:?}", there.least());
        injection.undo();
        assert!(within((&near, &far), SOON));
    }
}

/// Returns the number of datagrams that took less than `most`.
fn sooner(there: &Trip, most: Duration) -> usize {
    there.took.values().filter(|times| times[0] < most).count()
}

/// Fails unless one of five flows is as wanted. On a busy machine many datagrams of one flow may be late.
fn scattered<T: std::fmt::Debug>(what: &str, flow: impl Fn() -> Result<(), T>) {
    let others: Vec<T> = (0..5).map_while(|_| flow().err()).collect();
    assert!(others.len() < 5, "{what}: {others:?}");
}

on_engines! {
    "netem" fn delays_scatter_as_asked() {
        let world = World::new();
        let json = format!(r#"{{"net-slow":{{"to":"{PEER4}","delay":"150ms","jitter":"100ms"}}}}"#);
        let injection = Injection::make(&world, &fault(&json));
        scattered("early and late", || {
            let there = out(&world, PEER4, 400);
            assert_eq!(there.lost(400), 0);
            assert!(there.least() >= Duration::from_millis(49), "{:?}", there.least());
            let early = sooner(&there, Duration::from_millis(100));
            let late = 400 - sooner(&there, Duration::from_millis(200));
            // A quarter each: 100 of 400, one standard deviation is 9.
            ((55..=145).contains(&early) && (55..=200).contains(&late)).then_some(()).ok_or((early, late))
        });
        injection.undo();
    }
}

on_engines! {
    "netem" fn the_share_of_lost_packets_is_as_asked() {
        let world = World::new();
        for (peer, json) in [
            (PEER4, r#"{"net-lose":{"to":"10.1.0.2","share":"30%"}}"#),
            (PEER6, r#"{"net-lose":{"to":"fd00:1::2","share":"30%"}}"#),
        ] {
            let injection = Injection::make(&world, &fault(json));
            let lost = out(&world, peer, 600).lost(600);
            // 180 of 600, one standard deviation is 11.
            assert!((124..=236).contains(&lost), "{lost} of 600");
            let evidence = injection.evidence();
            assert_eq!(evidence.exercised, Seen::Yes, "{}", evidence.detail);
            assert!(evidence.detail.contains(&format!("{lost} {}", if by_kernel() { "dropped" } else { "lost" })), "{lost}: {}", evidence.detail);
            injection.undo();
            assert_eq!(out(&world, peer, 100).lost(100), 0);
        }
    }
}

on_engines! {
    "netem" fn packets_of_which_none_was_lost_or_damaged_show_no_fault() {
        let world = World::new();
        // One of a hundred million packets.
        for kind in ["net-lose", "net-corrupt", "net-duplicate"] {
            let json = format!(r#"{{"{kind}":{{"to":"10.1.0.2","share":"0.000001%"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            assert_eq!(out(&world, PEER4, 50).lost(50), 0);
            let evidence = injection.evidence();
            let wanted = if by_kernel() && kind != "net-lose" { Seen::Unknown } else { Seen::No };
            assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, wanted), "{}", evidence.detail);
            assert!(evidence.count >= Some(50), "{}", evidence.detail);
            injection.undo();
        }
    }
}

on_engines! {
    "netem" fn bursts_are_lost_in_bursts() {
        let world = World::new();
        // Bursts of 10 on average, 90 between them: a tenth is lost.
        let json = r#"{"net-lose":{"to":"10.1.0.2","gilbert_elliott":{"to_bad":"1.1%","to_good":"10%"}}}"#;
        let injection = Injection::make(&world, &fault(json));
        let there = out(&world, PEER4, 3000);
        let gone: Vec<u32> = (0..3000).filter(|number| !there.took.contains_key(number)).collect();
        let bursts = 1 + gone.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!((60..=900).contains(&gone.len()), "{} lost", gone.len());
        let mean = gone.len() / bursts;
        assert!((4..=25).contains(&mean), "{} lost in {bursts} bursts", gone.len());
        injection.undo();
    }
}

on_engines! {
    "netem" fn the_share_of_duplicated_packets_is_as_asked() {
        let world = World::new();
        for peer in PEERS {
            let json = format!(r#"{{"net-duplicate":{{"to":"{peer}","share":"30%"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            let there = out(&world, peer, 600);
            assert_eq!(there.lost(600), 0);
            let twice = there.took.values().filter(|times| times.len() == 2).count();
            assert!((124..=236).contains(&twice), "{twice} of 600");
            assert!(there.took.values().all(|times| times.len() <= 2));
            injection.undo();
        }
    }
}

on_engines! {
    "netem" fn damaged_packets_are_found_by_the_receiver() {
        let world = World::new();
        for peer in PEERS {
            let json = format!(r#"{{"net-corrupt":{{"to":"{peer}","share":"30%"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            let gone = out(&world, peer, 600).lost(600);
            assert!((124..=236).contains(&gone), "{gone} of 600");
            let evidence = injection.evidence();
            assert!(by_kernel() || evidence.detail.contains("corrupted"), "{}", evidence.detail);
            injection.undo();
        }
    }
}

on_engines! {
    "netem" fn the_share_of_reordered_packets_is_as_asked() {
        let world = World::new();
        let json = format!(r#"{{"net-reorder":{{"to":"{PEER4}","delay":"150ms","share":"30%"}}}}"#);
        let injection = Injection::make(&world, &fault(&json));
        scattered("overtook", || {
            let there = out(&world, PEER4, 400);
            assert_eq!(there.lost(400), 0);
            assert!(there.order.windows(2).any(|pair| pair[1] < pair[0]));
            let ahead = sooner(&there, LATE);
            // 120 of 400, one standard deviation is 9.
            (74..=166).contains(&ahead).then_some(()).ok_or(ahead)
        });
        injection.undo();
    }
}

on_engines! {
    "tbf" fn packets_pass_at_the_asked_rate() {
        let world = World::new();
        let json = format!(r#"{{"net-throttle":{{"to":"{PEER4}","rate":"400kbit","burst":"2kB"}}}}"#);
        let injection = Injection::make(&world, &fault(&json));
        let there = rush_out(&world, PEER4);
        assert_eq!(there.lost(COUNT), 0);
        // 228 bytes each; those beyond the burst have to wait for their turn at 50 bytes a millisecond.
        assert!(slowed(&there), "all took {:?}", there.lasted);
        assert!(there.order.is_sorted(), "nothing overtakes");
        injection.undo();
    }
}

on_engines! {
    "netem" fn faults_on_the_same_peer_combine() {
        let world = World::new();
        let before = world.snapshot();
        let lose = fault(r#"{"net-lose":{"to":"10.1.0.2","share":"30%"}}"#);
        // In either order: a reinjected packet must meet the other queue, and none twice.
        for faults in [[slow(PEER4, "150ms"), lose.clone()], [lose, slow(PEER4, "150ms")]] {
            let [one, other] = faults.map(|fault| Injection::make(&world, &fault));
            assert_ne!(one.live.prepared.undo, other.live.prepared.undo, "different queues or ifbs");
            let there = out(&world, PEER4, 600);
            let lost = there.lost(600);
            assert!((124..=236).contains(&lost), "{lost} of 600");
            assert!(there.least() >= LATE, "{:?}", there.least());
            assert!(there.took.values().all(|times| times.len() == 1));
            for injection in [&one, &other] {
                let seen = injection.evidence().count.unwrap();
                assert!((360..=610).contains(&seen), "{seen} seen of 600");
            }
            assert!(out_within(&world, PEER4, Duration::from_millis(300)));
            one.undo();
            assert_eq!(other.evidence().in_force, Seen::Yes, "the other is left alone");
            other.undo();
            assert_eq!(out(&world, PEER4, 50).lost(50), 0);
        }
        world.assert_same(&before);
    }
}

on_engines! {
    "netem" fn a_block_also_blocks_traffic_that_is_shaped() {
        let world = World::new();
        let slow = Injection::make(&world, &slow(PEER4, "50ms"));
        let block = Fault::NetBlock(NetBlock { to: vec![PEER4.to_owned()].into(), protocol: Some(Protocol::Tcp), ..NetBlock::default() });
        let block = Injection::make(&world, &block);
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::No);
        assert_eq!(block.evidence().exercised, Seen::Yes);
        let there = out(&world, PEER4, 20);
        assert!(there.lost(20) == 0 && there.least() >= Duration::from_millis(49));
        assert_eq!(slow.evidence().exercised, Seen::Yes);
        block.undo();
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
        slow.undo();
    }
}

on_engines! {
    "netem" fn a_stream_arrives_whole() {
        let world = World::new();
        let injections = [
            Injection::make(&world, &fault(r#"{"net-slow":{"to":["10.1.0.2"],"delay":"5ms","jitter":"2ms","direction":"both"}}"#)),
            Injection::make(&world, &fault(r#"{"net-lose":{"to":["10.1.0.2"],"share":"1%"}}"#)),
            Injection::make(&world, &fault(r#"{"net-corrupt":{"to":["10.1.0.2"],"share":"1%"}}"#)),
        ];
        let listener = world.at_peer(|| TcpListener::bind((PEER4, 0)).unwrap());
        let to = listener.local_addr().unwrap();
        let wanted: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
        let got = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut got = Vec::new();
                listener.accept().unwrap().0.read_to_end(&mut got).unwrap();
                got
            });
            let mut stream = world.host_ns.run(|| TcpStream::connect(to)).unwrap();
            stream.write_all(&wanted).unwrap();
            drop(stream);
            reader.join().unwrap()
        });
        assert!(got == wanted, "{} of {} bytes", got.len(), wanted.len());
        for injection in &injections {
            let evidence = injection.evidence();
            assert!(evidence.count > Some(0), "{}", evidence.detail);
            injection.undo();
        }
    }
}

sandboxed! {
    fn held_packets_are_sent_on_at_the_end() {
        by(Engine::UserSpace, "", "", held_at_the_end);
    }
}

fn held_at_the_end() {
    let world = World::new();
    for peer in PEERS {
        let json = format!(r#"{{"net-slow":{{"to":"{peer}","delay":"30s","direction":"both"}}}}"#);
        let injection = Injection::make(&world, &fault(&json));
        let (near, far) = world.flow(peer);
        for (from, to) in [(&near, &far), (&far, &near)] {
            from.send(b"patience").unwrap();
            to.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        wait_until("both are held", || injection.evidence().detail.contains(" 2 held"));
        injection.undo();
        for end in [&near, &far] {
            assert_eq!(end.recv(&mut [0; 8]).unwrap(), 8);
        }
    }
}

sandboxed! {
    fn an_impossible_shape_is_refused_and_a_possible_one_is_described() {
        by(Engine::UserSpace, "", "", impossible_and_possible_shapes);
    }
}

fn impossible_and_possible_shapes() {
    let world = World::new();
    let before = world.snapshot();
    let code = |json: &str| world.prepare(&fault(json)).expect_err("refused").code.to_string();
    assert_eq!(code(r#"{"net-lose":{"to":"no-such-name.invalid","share":"5%"}}"#), "no-address");
    for direction in [Direction::In, Direction::Both] {
        let twice = NetDuplicate {
            to: vec![PEER4.to_owned()].into(),
            share: "5%".parse().unwrap(),
            direction,
            engine: firedrill_wire::fault::Engine::UserSpace,
            ..NetDuplicate::default()
        };
        assert_eq!(
            world.prepare(&Fault::NetDuplicate(twice)).expect_err("refused").code,
            RefusalCode::EngineUnable
        );
    }
    let twice = world.prepare(&fault(r#"{"net-duplicate":{"to":"10.1.0.2","share":"5%"}}"#)).unwrap();
    assert!(twice.notes.iter().any(|note| note.contains("not what it forwards")), "{:?}", twice.notes);
    let one = Injection::prepare(&world, &slow(PEER4, "150ms"));
    let other = Injection::prepare(&world, &slow(PEER4, "150ms"));
    assert_ne!(one.live.prepared.undo, other.live.prepared.undo, "different queues");
    let again = one.fault().prepare(&world.host, &one.live.ask).unwrap();
    assert_eq!(again, one.live.prepared);
    let prepared = &one.live.prepared;
    assert!(
        prepared.effects[0].starts_with("delay packets to 10.1.0.2 by 150ms, in user space by queue "),
        "{:?}",
        prepared.effects
    );
    assert!(prepared.notes.iter().any(|note| note.contains("NFQUEUE")), "{:?}", prepared.notes);
    assert!(prepared.notes[0].contains("7790") && prepared.notes[0].contains("22"), "{:?}", prepared.notes);
    world.assert_same(&before);
}
