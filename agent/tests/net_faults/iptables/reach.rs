//! The traffic that faults by iptables reach and spare: the same as with nftables.

use firedrill_agent::sandboxed;
use firedrill_wire::{
    Fault,
    evidence::Seen,
    fault::{Direction, NetBlock, Refuse},
};

use super::{
    super::{
        trip::fault,
        world::{AGENT_PORT, Injection, PEER4, PEER6, PEERS, Reach, SELF4, SELF6},
    },
    block, on_builds,
};

sandboxed! {
    fn a_block_stops_all_traffic_with_a_peer_and_no_other() {
        on_builds("a block by iptables", |world, build| {
            let rules = build.saved();
            world.quiet();
            let injection = Injection::make(world, &block(r#"{"to":["10.1.0.2","fd00:1::/64"]}"#));
            let evidence = injection.evidence();
            assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::No), "{}", evidence.detail);
            for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
                assert_eq!(world.tcp_out(peer, 8080), Reach::No, "{peer}");
                assert_eq!(world.tcp_in(own, 8080), Reach::No, "{own}");
                assert_eq!(world.udp_in(own, 8080), Reach::No, "{own}");
                assert_eq!(world.tcp_in(own, AGENT_PORT), Reach::Yes, "{own}");
                assert_eq!(world.tcp_in(own, 22), Reach::Yes, "{own}");
            }
            assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::Yes);
            assert_eq!(world.tcp_self("127.0.0.1", 8080), Reach::Yes);
            assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::No, "forwarded from the peer");
            let evidence = injection.evidence();
            assert!(evidence.count.unwrap() >= 4 && evidence.exercised == Seen::Yes, "{}", evidence.detail);
            injection.undo();
            assert_eq!(build.saved(), rules);
            assert_eq!(injection.evidence().in_force, Seen::No);
            for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
                assert_eq!((world.tcp_out(peer, 8080), world.tcp_in(own, 8080)), (Reach::Yes, Reach::Yes));
            }
        });
    }
}

sandboxed! {
    fn directions_ports_protocols_interfaces_exceptions() {
        on_builds("choices by iptables", |world, build| {
            let rules = build.saved();
            let with = |json: &str, look: &dyn Fn()| {
                let injection = Injection::make(world, &block(json));
                assert_eq!(injection.evidence().in_force, Seen::Yes, "{}", injection.evidence().detail);
                look();
                injection.undo();
                assert_eq!(build.saved(), rules, "{json}");
            };
            with(r#"{"to":"10.1.0.2","direction":"out"}"#, &|| {
                assert!(world.udp_out(PEER4, 8080) != Reach::Yes);
                assert_eq!(world.udp_in(SELF4, 8080), Reach::Yes);
            });
            with(r#"{"to":"fd00:1::2","direction":"in"}"#, &|| {
                assert_eq!((world.udp_out(PEER6, 8080), world.udp_in(SELF6, 8080)), (Reach::Yes, Reach::No));
                assert_eq!(world.udp_in(SELF4, 8080), Reach::Yes);
            });
            let many: Vec<_> = (1..=15).map(|port| port.to_string()).collect();
            with(&format!(r#"{{"remote_ports":[{},"8000-8090"]}}"#, many.join(",")), &|| {
                for peer in PEERS {
                    assert_eq!((world.tcp_out(peer, 8080), world.tcp_out(peer, 9090)), (Reach::No, Reach::Yes));
                    assert!(world.udp_out(peer, 8080) != Reach::Yes);
                }
                assert_eq!(world.tcp_in(SELF4, 8080), Reach::Yes);
                assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::No);
            });
            with(r#"{"to":["10.0.0.0/8","fd00:1::2"],"local_ports":8080,"protocol":"tcp"}"#, &|| {
                for own in [SELF4, SELF6] {
                    assert_eq!((world.tcp_in(own, 8080), world.tcp_in(own, 9090)), (Reach::No, Reach::Yes));
                    assert_eq!(world.udp_in(own, 8080), Reach::Yes);
                }
            });
            with(r#"{"to":["10.0.0.0/8","fd00::/16"],"except":["10.1.0.2","fd00:1::2"]}"#, &|| {
                assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::Yes; 2]);
                assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::No);
            });
            with(r#"{"to":["10.0.0.0/8","fd00::/16"],"interfaces":"eth1"}"#, &|| {
                assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
                assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::No);
            });
            with(r#"{"to":["10.1.0.2","fd00:1::2"],"connections":"new"}"#, &|| {
                assert_eq!((world.tcp_out(PEER4, 8080), world.udp_out(PEER4, 9999)), (Reach::No, Reach::Yes));
            });
            with(r#"{"to":["10.1.0.2","fd00:1::2"],"connections":"replies","direction":"out"}"#, &|| {
                assert_eq!((world.tcp_in(SELF4, 8080), world.tcp_out(PEER4, 8080)), (Reach::No, Reach::Yes));
                assert_eq!((world.tcp_in(SELF6, 8080), world.tcp_out(PEER6, 8080)), (Reach::No, Reach::Yes));
            });
            // A sandbox has only one user.
            with(r#"{"to":["10.1.0.2","fd00:1::2"],"user":"0","direction":"out"}"#, &|| {
                assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::No; 2]);
            });
        });
    }
}

sandboxed! {
    fn a_rejected_sender_gets_an_error_at_once() {
        on_builds("a rejection by iptables", |world, _| {
            for direction in [Direction::Both, Direction::In, Direction::Out] {
                let block = NetBlock { how: Refuse::Reject, direction, to: PEERS.map(str::to_owned).to_vec().into(), ..NetBlock::default() };
                let reject = Injection::make(world, &Fault::NetBlock(block));
                world.assert_rejected(direction);
                assert_eq!(reject.evidence().exercised, Seen::Yes);
                reject.undo();
            }
        });
    }
}

sandboxed! {
    fn an_isolated_host_keeps_only_its_control_path() {
        on_builds("isolation by iptables", |world, build| {
            let rules = build.saved();
            let isolate = Injection::make(world, &fault(r#"{"host-isolate":{"except":"10.2.0.2"}}"#));
            for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
                assert_eq!((world.tcp_out(peer, 8080), world.tcp_in(own, 8080)), (Reach::No, Reach::No));
                assert_eq!((world.tcp_in(own, AGENT_PORT), world.tcp_in(own, 22)), (Reach::Yes, Reach::Yes));
                assert_eq!(world.tcp_out(peer, AGENT_PORT), Reach::Yes, "it may be the coordinator's host");
                let dhcp = if own == SELF4 { 67 } else { 547 };
                assert_eq!((world.udp_in(own, dhcp), world.udp_out(peer, dhcp)), (Reach::Yes, Reach::Yes));
            }
            assert_eq!((world.tcp_self("127.0.0.1", 8080), world.tcp_self("::1", 8080)), (Reach::Yes, Reach::Yes));
            assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::Yes);
            for metadata in ["169.254.169.254", "fd00:ec2::254"] {
                assert_eq!(world.tcp_out(metadata, 8080), Reach::Yes, "cloud metadata");
            }
            isolate.undo();
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
            assert_eq!(build.saved(), rules);
        });
    }
}

sandboxed! {
    fn a_name_is_followed_while_it_holds() {
        on_builds("names by iptables", |world, build| {
            let rules = build.saved();
            world.assert_followed(&block(r#"{"to":"db.example"}"#));
            assert_eq!(build.saved(), rules);
        });
    }
}
