//! Tests of the parameters that choose fewer packets: exceptions, interfaces, users, shares of flows, new connections, replies.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use firedrill_agent::sandboxed;
use firedrill_wire::RefusalCode;

use super::{
    trip::fault,
    world::{Injection, PEER4, PEER6, PEERS, Reach, SELF4, SELF6, World},
};

sandboxed! {
    fn exceptions_are_spared_and_only_named_interfaces_are_blocked() {
        let world = World::new();
        let before = world.snapshot();
        let json = r#"{"net-block":{"to":["10.0.0.0/8","fd00::/16"],"except":["10.1.0.2","fd00:1::2"]}}"#;
        let injection = Injection::make(&world, &fault(json));
        assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::Yes; 2]);
        assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::No);
        injection.undo();
        for (interface, first, second) in [("eth0", Reach::No, Reach::Yes), ("eth1", Reach::Yes, Reach::No)] {
            let json = format!(r#"{{"net-block":{{"to":["10.0.0.0/8","fd00::/16"],"interfaces":"{interface}"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [first; 2], "{interface}");
            assert_eq!(world.tcp_in(SELF4, 8080), first, "{interface}");
            assert_eq!(world.tcp_out("10.2.0.2", 8080), second, "{interface}");
            injection.undo();
        }
        let missing = fault(r#"{"net-block":{"to":"10.1.0.2","interfaces":"eth7"}}"#);
        assert_eq!(world.prepare(&missing).expect_err("refused").code, RefusalCode::NoInterface);
        world.assert_same(&before);
    }
}

sandboxed! {
    fn only_packets_of_the_named_user_are_blocked() {
        let world = World::new();
        let own = nix::unistd::getuid().as_raw();
        for (user, reach) in [(own, Reach::No), (own + 1, Reach::Yes)] {
            let json = format!(r#"{{"net-block":{{"to":["10.1.0.2","fd00:1::2"],"user":"{user}","direction":"out"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [reach; 2], "{user}");
            // The kernel's answers for a listener belong to the listener's user.
            assert_eq!(world.tcp_in(SELF4, 8080), reach, "{user}");
            injection.undo();
        }
        let refused = |json: &str| world.prepare(&fault(json)).expect_err("refused").code.to_string();
        assert_eq!(refused(r#"{"net-block":{"to":"10.1.0.2","user":"no-such","direction":"out"}}"#), "no-user");
    }
}

sandboxed! {
    fn a_share_of_the_flows_is_blocked_completely() {
        let world = World::new();
        for peer in PEERS {
            let json = format!(r#"{{"net-block":{{"to":"{peer}","flows":"50%"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            let mut blocked = 0;
            for _ in 0..60 {
                let (near, far) = world.flow(peer);
                far.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                for _ in 0..3 {
                    let _ = near.send(b"x");
                }
                match (0..3).take_while(|_| far.recv(&mut [0]).is_ok()).count() {
                    0 => blocked += 1,
                    3 => {}
                    some => panic!("{some} of 3 packets of one flow"),
                }
            }
            // 30 of 60; one standard deviation is 4.
            assert!((10..=50).contains(&blocked), "{blocked} of 60 flows");
            injection.undo();
        }
    }
}

sandboxed! {
    fn new_connections_are_refused_and_open_ones_live() {
        let world = World::new();
        for peer in PEERS {
            let listener = world.at_peer(|| std::net::TcpListener::bind((peer, 0)).unwrap());
            let to = listener.local_addr().unwrap();
            let mut open = world.host_ns.run(|| std::net::TcpStream::connect(to)).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            let json = format!(r#"{{"net-block":{{"to":"{peer}","connections":"new"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            assert_eq!(world.tcp_out(peer, 8080), Reach::No);
            assert_eq!(world.udp_out(peer, 9999), Reach::Yes);
            open.write_all(b"still here").unwrap();
            far.read_exact(&mut [0; 10]).unwrap();
            injection.undo();
        }
    }
}

sandboxed! {
    fn requests_arrive_and_only_replies_are_lost() {
        let world = World::new();
        for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
            let json = format!(r#"{{"net-block":{{"to":"{peer}","connections":"replies","direction":"out"}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            // The host's answers are lost; the peer answers the host's own requests.
            assert_eq!(world.tcp_in(own, 8080), Reach::No, "{own}");
            assert_eq!(world.udp_in(own, 9999), Reach::Yes, "{own}");
            assert_eq!(world.tcp_out(peer, 8080), Reach::Yes, "{peer}");
            injection.undo();
        }
    }
}
