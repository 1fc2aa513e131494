//! Tests of net-block and host-isolate by real traffic between namespaces.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    net::TcpListener,
    thread,
    time::Duration,
};

use super::trip::fault;
use super::world::{AGENT_PORT, Injection, PEER4, PEER6, PEERS, Reach, SELF4, SELF6, World, owner};
use firedrill_agent::{
    sandboxed,
    testing::{role, wait_until},
    undo,
};
use firedrill_wire::{
    Fault, RefusalCode, Span,
    evidence::Seen,
    fault::{Direction, HostIsolate, NetBlock, PortRange, Protocol, Refuse},
};

const PORT: PortRange = PortRange { first: 8080, last: 8080 };

fn block(to: &[&str]) -> NetBlock {
    NetBlock { to: to.iter().map(|&text| text.to_owned()).collect(), ..NetBlock::default() }
}

sandboxed! {
    fn a_block_stops_all_traffic_with_a_peer_and_no_other() {
        let world = World::new();
        let before = world.snapshot();
        for peer in PEERS {
            world.wait_reached(peer);
        }
        world.quiet();
        let injection = Injection::make(&world, &Fault::NetBlock(block(&[PEER4, "fd00:1::/64"])));
        assert_eq!(injection.evidence().in_force, Seen::Yes);
        assert_eq!(injection.evidence().exercised, Seen::No);
        for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
            assert_eq!(world.tcp_out(peer, 8080), Reach::No);
            assert_eq!(world.tcp_in(own, 8080), Reach::No);
            assert!(world.udp_out(peer, 8080) != Reach::Yes);
            assert_eq!(world.udp_in(own, 8080), Reach::No);
        }
        // The other end of the second cable is not a peer.
        world.wait_reached("10.2.0.2");
        // Loopback, the agent and SSH are spared.
        assert_eq!(world.tcp_self("127.0.0.1", 8080), Reach::Yes);
        assert_eq!(world.tcp_in(SELF4, AGENT_PORT), Reach::Yes);
        assert_eq!(world.tcp_in(SELF6, AGENT_PORT), Reach::Yes);
        assert_eq!(world.tcp_in(SELF4, 22), Reach::Yes);
        let evidence = injection.evidence();
        assert_eq!(evidence.exercised, Seen::Yes, "{}", evidence.detail);
        assert!(evidence.count.unwrap() >= 4);
        injection.undo();
        assert_eq!(injection.evidence().in_force, Seen::No);
        for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
            assert_eq!(world.tcp_out(peer, 8080), Reach::Yes);
            assert_eq!(world.udp_in(own, 8080), Reach::Yes);
        }
        world.assert_same(&before);
    }
}

sandboxed! {
    fn a_direction_is_seen_from_the_host() {
        let world = World::new();
        // UDP shows each direction by itself; TCP needs both.
        let out = Injection::make(&world, &Fault::NetBlock(NetBlock { direction: Direction::Out, ..block(&[PEER4]) }));
        assert!(world.udp_out(PEER4, 8080) != Reach::Yes);
        assert_eq!(world.udp_in(SELF4, 8080), Reach::Yes);
        out.undo();
        let inward = Injection::make(&world, &Fault::NetBlock(NetBlock { direction: Direction::In, ..block(&[PEER6]) }));
        assert_eq!(world.udp_out(PEER6, 8080), Reach::Yes);
        assert_eq!(world.udp_in(SELF6, 8080), Reach::No);
        assert_eq!(world.udp_in(SELF4, 8080), Reach::Yes);
        inward.undo();
    }
}

sandboxed! {
    fn ports_and_protocols_choose() {
        let world = World::new();
        let range = PortRange { first: 8000, last: 8090 };
        let remote = Injection::make(&world, &Fault::NetBlock(NetBlock { remote_ports: vec![range], ..NetBlock::default() }));
        for peer in PEERS {
            assert_eq!(world.tcp_out(peer, 8080), Reach::No);
            assert_eq!(world.tcp_out(peer, 9090), Reach::Yes);
            assert!(world.udp_out(peer, 8080) != Reach::Yes);
        }
        assert_eq!(world.tcp_in(SELF4, 8080), Reach::Yes);
        remote.undo();
        let local = NetBlock { local_ports: vec![PORT], protocol: Some(Protocol::Tcp), ..block(&["10.0.0.0/8", PEER6]) };
        let local = Injection::make(&world, &Fault::NetBlock(local));
        for own in [SELF4, SELF6] {
            assert_eq!(world.tcp_in(own, 8080), Reach::No);
            assert_eq!(world.tcp_in(own, 9090), Reach::Yes);
            assert_eq!(world.udp_in(own, 8080), Reach::Yes);
        }
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
        local.undo();
        let udp = Injection::make(&world, &Fault::NetBlock(NetBlock { protocol: Some(Protocol::Udp), ..block(&[PEER4]) }));
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
        assert!(world.udp_out(PEER4, 8080) != Reach::Yes);
        udp.undo();
    }
}

sandboxed! {
    fn a_rejected_sender_gets_an_error_at_once() {
        let world = World::new();
        for direction in [Direction::Both, Direction::In, Direction::Out] {
            let reject = NetBlock { how: Refuse::Reject, direction, ..block(&[PEER4, PEER6]) };
            let reject = Injection::make(&world, &Fault::NetBlock(reject));
            world.assert_rejected(direction);
            assert_eq!(reject.evidence().exercised, Seen::Yes);
            reject.undo();
        }
    }
}

sandboxed! {
    fn the_port_on_which_sshd_listens_is_spared() {
        if role().is_some() {
            fs::write("/proc/self/comm", "sshd").unwrap();
            let _server = TcpListener::bind(("::", 2022)).unwrap();
            println!("\nready");
            io::stdout().flush().unwrap();
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
        let world = World::new();
        let mut sshd = owner();
        for fault in [Fault::NetBlock(block(&PEERS)), Fault::HostIsolate(HostIsolate::default())] {
            let injection = Injection::make(&world, &fault);
            let notes = &injection.live.prepared.notes;
            assert!(notes[0].contains("TCP ports 22, 2022, 7790 of this host"), "{notes:?}");
            for own in [SELF4, SELF6] {
                assert_eq!((world.tcp_in(own, 2022), world.tcp_in(own, 8080)), (Reach::Yes, Reach::No));
            }
            injection.undo();
        }
        sshd.kill().unwrap();
        sshd.wait().unwrap();
    }
}

sandboxed! {
    fn an_isolated_host_keeps_only_its_control_path() {
        let world = World::new();
        let before = world.snapshot();
        let isolate = HostIsolate { except: vec!["10.2.0.2".to_owned()].into() };
        let isolate = Injection::make(&world, &Fault::HostIsolate(isolate));
        for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
            assert_eq!(world.tcp_out(peer, 8080), Reach::No);
            assert_eq!(world.tcp_in(own, 8080), Reach::No);
            assert_eq!(world.udp_in(own, 8080), Reach::No);
            assert_eq!(world.tcp_in(own, AGENT_PORT), Reach::Yes);
            assert_eq!(world.tcp_out(peer, AGENT_PORT), Reach::Yes, "it may be the coordinator's host");
            assert_eq!(world.tcp_in(own, 22), Reach::Yes);
            // DHCP passes, both ways.
            let dhcp = if own == SELF4 { 67 } else { 547 };
            assert_eq!(world.udp_in(own, dhcp), Reach::Yes);
            assert_eq!(world.udp_out(peer, dhcp), Reach::Yes);
        }
        assert_eq!(world.tcp_self("127.0.0.1", 8080), Reach::Yes);
        assert_eq!(world.tcp_self("::1", 8080), Reach::Yes);
        assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::Yes);
        assert_eq!(world.tcp_out("169.254.169.254", 8080), Reach::Yes, "cloud metadata");
        assert_eq!(world.tcp_out("fd00:ec2::254", 8080), Reach::Yes, "cloud metadata");
        isolate.undo();
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
        world.assert_same(&before);
    }
}

sandboxed! {
    fn an_isolated_host_still_finds_its_neighbours() {
        let world = World::new();
        let isolate = Injection::make(&world, &Fault::HostIsolate(HostIsolate::default()));
        // Nothing has been sent yet, so the neighbour has to be resolved while the fault is in force.
        assert_eq!(world.tcp_in(SELF6, AGENT_PORT), Reach::Yes);
        assert_eq!(world.tcp_in(SELF4, AGENT_PORT), Reach::Yes);
        isolate.undo();
    }
}

sandboxed! {
    fn forwarded_traffic_is_reached() {
        let world = World::new();
        // From the first peer through the host to the second.
        assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::Yes);
        for fault in [
            Fault::NetBlock(block(&["10.2.0.2"])),
            Fault::NetBlock(NetBlock { direction: Direction::In, ..block(&[PEER4]) }),
            Fault::NetBlock(NetBlock { remote_ports: vec![PORT], ..NetBlock::default() }),
            Fault::HostIsolate(HostIsolate::default()),
        ] {
            let injection = Injection::make(&world, &fault);
            assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::No, "{fault:?}");
            assert_eq!(injection.evidence().exercised, Seen::Yes);
            injection.undo();
            assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::Yes);
        }
        let reject = Injection::make(&world, &Fault::NetBlock(NetBlock { how: Refuse::Reject, ..block(&["10.2.0.2"]) }));
        assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::Refused);
        reject.undo();
    }
}

sandboxed! {
    fn a_block_ends_with_its_lease_or_hold_and_a_renewal_prolongs_the_lease() {
        let world = World::new();
        let by_lease = Injection::with(&world, &Fault::NetBlock(block(&[PEER4])), Span::secs(5), Span::secs(60));
        by_lease.renew(Span::secs(60)).unwrap();
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::No);
        by_lease.renew(Span::millis(200)).unwrap();
        wait_until("the lease lifts it", || world.tcp_out(PEER4, 8080) == Reach::Yes);
        assert_eq!(by_lease.evidence().in_force, Seen::No);
        by_lease.renew(Span::secs(60)).expect_err("never revived");
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
        by_lease.undo();
        let by_hold = Injection::with(&world, &Fault::NetBlock(block(&[PEER4])), Span::secs(60), Span::secs(2));
        wait_until("the hold lifts it", || by_hold.evidence().in_force == Seen::No);
        by_hold.renew(Span::secs(60)).unwrap();
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
        by_hold.undo();
    }
}

sandboxed! {
    fn injecting_twice_is_injecting_once() {
        let world = World::new();
        let before = world.snapshot();
        for fault in [Fault::NetBlock(block(&[PEER4])), Fault::HostIsolate(HostIsolate::default())] {
            let injection = Injection::make(&world, &fault);
            let once = world.snapshot();
            injection.again().unwrap();
            world.assert_same(&once);
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::No);
            injection.undo();
            world.assert_same(&before);
        }
    }
}

sandboxed! {
    fn a_failed_injection_leaves_nothing_and_undoing_twice_is_undoing_once() {
        let world = World::new();
        let before = world.snapshot();
        for fault in [Fault::NetBlock(block(&[PEER4])), Fault::HostIsolate(HostIsolate::default())] {
            let mut injection = Injection::prepare(&world, &fault);
            world.assert_same(&before); // preparing reads only
            // Another process has the name, so that the kernel refuses the whole transaction.
            let other = firedrill_agent::testing::host(std::path::Path::new("/nonexistent"));
            injection.fault().inject(&other, &injection.live).unwrap();
            let taken = world.snapshot();
            injection.again().expect_err("the name is taken");
            world.assert_same(&taken);
            let table = injection.table();
            undo::nft::apply(&world.host, &table).expect_err("another process lives that owns it");
            drop(other);
            injection.undo();
            injection.undo();
            injection.live.ends_boot_us = 1;
            injection.again().expect_err("its hold is over");
            injection.undo();
            world.assert_same(&before);
        }
    }
}

sandboxed! {
    fn an_impossible_block_is_refused_and_a_possible_one_is_described() {
        let world = World::new();
        let refusal = |fault: NetBlock| world.prepare(&Fault::NetBlock(fault)).expect_err("refused");
        assert_eq!(refusal(block(&["no-such-name.invalid"])).code, RefusalCode::NoAddress);
        let prepared = world.prepare(&Fault::NetBlock(block(&["localhost", PEER6]))).unwrap();
        assert!(prepared.notes[0].contains("7790") && prepared.notes[0].contains("22"), "{:?}", prepared.notes);
        assert!(prepared.notes.iter().any(|note| note.contains("forwards")));
        assert!(prepared.effects[0].starts_with("drop packets to and from fd00:1::2, localhost ("), "{:?}", prepared.effects);
        assert_eq!(prepared, world.prepare(&Fault::NetBlock(block(&["localhost", PEER6]))).unwrap());
    }
}

sandboxed! {
    fn udp_senders_on_the_host_get_the_error_that_the_notes_announce() {
        let world = World::new();
        let injection = Injection::make(&world, &Fault::NetBlock(block(&[PEER4])));
        let socket = world.host_ns.run(|| std::net::UdpSocket::bind("0.0.0.0:0").unwrap());
        let error = socket.send_to(b"x", (PEER4, 8080)).expect_err("dropped on the way out");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(injection.live.prepared.notes.iter().any(|note| note.contains("operation not permitted")));
        injection.undo();
    }
}

// chaos-mesh/chaos-mesh#692, #3252: names that resolve to many addresses, and to other addresses while the fault holds.
sandboxed! {
    fn a_name_is_followed_while_it_holds() {
        let world = World::new();
        let before = world.snapshot();
        world.assert_followed(&fault(r#"{"net-block":{"to":"db.example"}}"#));
        world.assert_same(&before);
    }
}
