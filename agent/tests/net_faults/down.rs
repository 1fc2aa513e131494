//! Interfaces down, and up again with all that they had.

use std::{net::TcpStream, path::Path};

use firedrill_agent::{
    host::link,
    sandboxed,
    testing::{address, down, host, remove_address, route, up},
    undo::Undo,
};
use firedrill_wire::{Fault, Span, evidence::Seen};

use super::{
    trip::fault,
    world::{AGENT_PORT, Injection, PEER4, PEER6, Reach, World},
};

/// More than an interface has by itself: routes through gateways, in both families, and addresses.
fn furnish(world: &World) {
    let own = &world.host_ns;
    address(own, "eth0", "10.3.0.1/24");
    address(own, "eth0", "fd00:3::1/64");
    route(own, "10.50.0.0/16", PEER4);
    route(own, "0.0.0.0/0", "10.2.0.2");
    route(own, "fd00:50::/32", PEER6);
    route(own, "::/0", PEER6);
    assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
    assert_eq!(world.tcp_out(PEER6, 8080), Reach::Yes);
}

fn is_up(name: &str) -> bool {
    link::all().unwrap().iter().find(|link| link.name == name).is_some_and(link::Link::is_up)
}

const ETH0: &str = r#"{"net-down":{"interface":"eth0"}}"#;

sandboxed! {
    fn an_interface_goes_down_and_comes_up_with_all_that_it_had() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::prepare(&world, &fault(ETH0));
        world.assert_same(&before); // preparing reads only
        let injected = injection.again().unwrap();
        assert!(!is_up("eth0") && is_up("eth1"));
        let evidence = injection.evidence();
        assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::Yes), "{}", evidence.detail);
        for peer in [PEER4, PEER6] {
            let tried = TcpStream::connect_timeout(&format_at(peer), std::time::Duration::from_millis(300));
            tried.expect_err("the way is cut");
        }
        assert_eq!(world.tcp_out("10.2.0.2", 8080), Reach::Yes, "the other interface");
        // What was learnt in the moment of going down, as the journal has it.
        let better = injected.undo.expect("a better undo");
        let text = serde_json::to_string(&better).unwrap();
        let better: Vec<Undo> = serde_json::from_str(&text).unwrap();
        for undo in &better {
            let undone = undo.apply(&world.host).unwrap();
            assert!(undone.detail.contains("was set up") && undone.foreign.is_empty(), "{undone:?}");
        }
        world.assert_same(&before);
        for peer in [PEER4, PEER6] {
            assert_eq!(world.tcp_out(peer, 8080), Reach::Yes);
        }
        assert_eq!(injection.evidence().in_force, Seen::No);
    }
}

fn format_at(peer: &str) -> std::net::SocketAddr {
    std::net::SocketAddr::new(peer.parse().unwrap(), 8080)
}

sandboxed! {
    fn twice_is_once_and_what_was_prepared_is_enough_for_whoever_is_left() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::make(&world, &fault(ETH0));
        let once = world.snapshot();
        let again = injection.again().unwrap();
        assert!(again.undo.is_some_and(|undo| !undo.is_empty()), "its own work is not somebody else's");
        world.assert_same(&once);
        // The agent died before it could journal what it had learnt.
        let other = host(Path::new("/nonexistent"));
        for undo in injection.live.prepared.undo.iter().rev() {
            undo.apply(&other).unwrap();
        }
        world.assert_same(&before);
        injection.undo();
        injection.undo();
        world.assert_same(&before);
    }
}

sandboxed! {
    fn an_interface_is_found_by_the_route_to_a_peer() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        for (to, name) in [("10.2.0.2", "eth1"), (PEER6, "eth0"), ("10.50.1.1", "eth0"), ("9.9.9.9", "eth1")] {
            let injection = Injection::make(&world, &fault(&format!(r#"{{"net-down":{{"to":"{to}"}}}}"#)));
            let effects = &injection.live.prepared.effects;
            assert_eq!(effects[0], format!("set interface {name} down"), "{to}");
            assert!(!is_up(name));
            injection.undo();
            world.assert_same(&before);
        }
    }
}

sandboxed! {
    fn what_cannot_be_taken_down_is_refused_before_anything_is_touched() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let refused = |parameters: &str| {
            let fault: Fault = fault(&format!(r#"{{"net-down":{parameters}}}"#));
            world.prepare(&fault).expect_err(parameters)
        };
        for (parameters, code) in [
            ("{}", "no-interface"),
            (r#"{"interface":"lo"}"#, "loopback"),
            (r#"{"interface":"eth9"}"#, "no-interface"),
            (r#"{"interface":"eth0; reboot"}"#, "bad-interface"),
            (r#"{"interface":"eth0","to":"10.1.0.2"}"#, "two-interfaces"),
            (r#"{"to":["10.1.0.2","10.2.0.2"]}"#, "several-interfaces"),
            (r#"{"to":"10.1.0.1"}"#, "loopback"),
        ] {
            assert_eq!(refused(parameters).code, code, "{parameters}");
        }
        down(&world.host_ns, "eth1");
        assert_eq!(refused(r#"{"interface":"eth1"}"#).code, "down-already");
        up(&world.host_ns, "eth1");
        route(&world.host_ns, "0.0.0.0/0", "10.2.0.2");
        world.assert_same(&before);
    }
}

sandboxed! {
    fn the_way_to_the_agent_is_refused_unless_it_is_meant() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let other = fault(r#"{"net-down":{"interface":"eth1"}}"#);
        for (to, port) in [("10.1.0.1", AGENT_PORT), ("fd00:1::1", AGENT_PORT), ("10.1.0.1", 22)] {
            let at = std::net::SocketAddr::new(to.parse().unwrap(), port);
            let control = world.at_peer(|| TcpStream::connect(at).unwrap());
            let problem = world.prepare(&fault(ETH0)).expect_err("the control path");
            assert_eq!(problem.code, "control-path", "{problem:?}");
            assert!(problem.title.contains("eth0"), "{problem:?}");
            world.prepare(&other).expect("another interface");
            let meant = fault(r#"{"net-down":{"interface":"eth0","cut_off":true}}"#);
            let injection = Injection::make(&world, &meant);
            assert!(!is_up("eth0"));
            injection.undo();
            drop(control);
        }
        world.assert_same(&before);
    }
}

sandboxed! {
    fn what_others_do_meanwhile_is_theirs() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        // Down before its time came: somebody else's will, and left so.
        let late = Injection::prepare(&world, &fault(ETH0));
        down(&world.host_ns, "eth0");
        let undo = late.again().unwrap().undo;
        assert_eq!(undo, Some(Vec::new()));
        assert_eq!(late.evidence().in_force, Seen::No);
        // The one that was prepared puts it back, as nothing else was journaled.
        late.undo();
        world.assert_same(&before);
        // Up before its time is over: the fault is not there any more, and all that was there comes back.
        let early = Injection::with(&world, &fault(ETH0), Span::secs(60), Span::secs(60));
        up(&world.host_ns, "eth0");
        let evidence = early.evidence();
        assert_eq!(evidence.in_force, Seen::No, "{}", evidence.detail);
        early.undo();
        world.assert_same(&before);
        // An address that somebody removes is not given back, nor are its routes; all else is.
        let meanwhile = Injection::with(&world, &fault(ETH0), Span::secs(60), Span::secs(60));
        remove_address(&world.host_ns, "eth0", "10.3.0.1/24");
        let undone = meanwhile.live.prepared.undo[0].apply(&world.host).unwrap();
        assert_eq!(undone.foreign, ["address 10.3.0.1/24 of eth0 was removed meanwhile; it is left so"]);
        assert_eq!(world.tcp_out(PEER6, 8080), Reach::Yes);
        address(&world.host_ns, "eth0", "10.3.0.1/24");
        world.assert_same(&before);
    }
}
