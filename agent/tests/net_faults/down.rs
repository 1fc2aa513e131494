//! Tests of net-down: interfaces go down, and come up again with everything that they had.

use std::{net::TcpStream, path::Path};

use firedrill_agent::{
    host::link::{
        self,
        link_state::{Class, LinkState},
    },
    sandboxed,
    testing::{address, down, host, remove_address, route, skip, up, wait_until},
    undo::Undo,
};
use firedrill_netlink::{
    Attrs, NetlinkError, Request, Socket, find,
    route::{Link, Neighbour},
};
use firedrill_wire::{Fault, RefusalCode, Span, evidence::Seen};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{setsockopt, sockopt::Linger},
};

use super::{
    trip::fault,
    world::{AGENT_PORT, Injection, PEER4, PEER6, World},
};

/// Adds more than an interface has by default: routes through gateways, in both families, and addresses.
pub(crate) fn furnish(world: &World) {
    let own = &world.host_ns;
    address(own, "eth0", "10.3.0.1/24");
    address(own, "eth0", "fd00:3::1/64");
    route(own, "10.50.0.0/16", PEER4);
    route(own, "0.0.0.0/0", "10.2.0.2");
    route(own, "fd00:50::/32", PEER6);
    route(own, "::/0", PEER6);
    // Also an unreachable route, for fd99::/16.
    let to = [&[0xfd, 0x99][..], &[0; 14]].concat();
    ask(24, &[10, 16, 0, 0, 254, 4, 0, 7, 0, 0, 0, 0], &Attrs::new().bytes(1, &to)).unwrap();
    for peer in [PEER4, PEER6] {
        world.wait_reached(peer);
    }
}

/// Makes a request of a kind that only these tests make.
fn ask(kind: u16, header: &[u8], attrs: &Attrs) -> Result<(), NetlinkError> {
    let flags = u16::try_from(libc::NLM_F_CREATE | libc::NLM_F_EXCL).unwrap();
    let request = Request { kind, flags, body: attrs.after(header).unwrap() };
    socket().request("furnish", &request)
}

fn socket() -> Socket {
    Socket::open(libc::NETLINK_ROUTE).unwrap()
}

fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// Adds a route with two next hops, one over each interface.
fn two_ways(family: u8, to: &[u8], hops: [(&str, &[u8]); 2]) {
    let hop = |(name, through): (&str, &[u8])| {
        let gateway = Attrs::new().bytes(5, through).after(&[]).unwrap();
        let length = u16::try_from(8 + gateway.len()).unwrap();
        [&length.to_ne_bytes()[..], &[0, 0], &index(name).to_ne_bytes(), &gateway].concat()
    };
    let header = [family, 16, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    ask(24, &header, &Attrs::new().bytes(1, to).bytes(9, &hops.map(hop).concat())).unwrap();
}

sandboxed! {
    fn leased_addresses_neighbours_and_multipath_routes_come_back_too() {
        let world = World::new();
        furnish(&world);
        address(&world.host_ns, "eth1", "fd00:2::1/64");
        let eth0 = index("eth0").to_ne_bytes();
        // An address that expires in ten minutes, like a leased one or a router's.
        let own = "fd00:4::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let life = [300_u32, 600, 0, 0].map(u32::to_ne_bytes).concat();
        let leased = Attrs::new().bytes(2, &own).bytes(1, &own).bytes(6, &life);
        ask(20, &[&[10, 64, 2, 0][..], &eth0].concat(), &leased).unwrap();
        // A permanent neighbour.
        let written = Neighbour {
            link: index("eth0"),
            address: [10, 1, 0, 77].into(),
            hardware_address: [2, 0, 0, 0, 0, 77],
        };
        written.add(&mut socket(), "furnish").unwrap();
        two_ways(2, &[10, 60, 0, 0], [("eth0", &[10, 1, 0, 2]), ("eth1", &[10, 2, 0, 2])]);
        let six = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        two_ways(10, &six("fd60::"), [("eth0", &six(PEER6)), ("eth1", &six("fd00:2::2"))]);
        let before = world.snapshot();
        let links = link::all().unwrap();
        let eth0_alone: Vec<_> = links.iter().filter(|link| link.name == "eth0").cloned().collect();
        let had = LinkState::now(&eth0_alone, false).unwrap();
        assert_eq!(had.count(Class::Neighbour), 1);
        // With the undo from the moment of going down, then with the prepared one: both must work.
        for learnt in [true, false] {
            let injection = Injection::prepare(&world, &fault(ETH0));
            let better = injection.again().unwrap().undo.unwrap();
            assert_ne!(LinkState::now(&eth0_alone, false).unwrap(), had, "the kernel forgot");
            for undo in if learnt { &better } else { &injection.live.prepared.undo } {
                undo.apply(&world.host).unwrap();
            }
            world.assert_same(&before);
            let mut has = LinkState::now(&link::all().unwrap()[..], false).unwrap();
            has.entries.retain(|entry| had.entries.contains(entry));
            assert_eq!(has.entries.len(), had.entries.len(), "neighbours too");
            // It must not outlive its lease; if its lifetime is unknown, it gets two hours.
            let left = lifetime(&own).expect("it is there");
            let most = if learnt { 600 } else { 7200 };
            assert!((most - 60..=most).contains(&left), "{left} s are left, learnt: {learnt}");
        }
    }
}

/// Returns the remaining lifetime of an address, in seconds.
fn lifetime(address: &[u8]) -> Option<u32> {
    let request = Request { kind: 22, flags: 0, body: vec![0; 8] };
    let addresses = socket().dump("list addresses", &request).unwrap();
    let attrs =
        addresses.iter().map(|message| &message.body[8..]).find(|attrs| find(attrs, 1) == Some(address))?;
    Some(u32::from_ne_bytes(find(attrs, 6)?[4..8].try_into().unwrap()))
}

sandboxed! {
    fn vlans_go_down_and_come_up_with_their_parent_as_they_were() {
        let world = World::new();
        furnish(&world);
        for (name, number) in [("eth0.7", 7_u16), ("eth0.8", 8)] {
            let parent = Attrs::new().ne32(libc::IFLA_LINK, index("eth0"));
            let vlan = Attrs::new().bytes(1, &number.to_ne_bytes());
            let made = Link::named(name).with(&parent).of_kind("vlan", &vlan).create(&mut socket(), "furnish");
            match made {
                Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => {
                    return skip(&format!("VLANs on an interface that goes down: {error}"));
                }
                made => made.unwrap(),
            }
        }
        // Both have been up, with everything that this brings; the second stays down.
        for name in ["eth0.7", "eth0.8"] {
            up(&world.host_ns, name);
            down(&world.host_ns, name);
        }
        up(&world.host_ns, "eth0.7");
        let carries = || link::all().unwrap().iter().any(|link| link.name == "eth0.7" && link.carries());
        wait_until("the VLAN carries packets", carries);
        address(&world.host_ns, "eth0.7", "10.7.0.1/24");
        address(&world.host_ns, "eth0.7", "fd00:7::1/64");
        route(&world.host_ns, "10.77.0.0/16", "10.7.0.2");
        route(&world.host_ns, "fd77::/32", "fd00:7::2");
        let before = world.snapshot();
        let injection = Injection::make(&world, &fault(ETH0));
        assert!(!is_up("eth0") && !is_up("eth0.7"));
        injection.undo();
        assert!(is_up("eth0.7") && !is_up("eth0.8"));
        world.assert_same(&before);
        // The route to the agent may go over an interface on top of this one.
        let (own, at) = (&world.host_ns, std::net::SocketAddr::from(([10, 7, 0, 1], AGENT_PORT)));
        assert_eq!(link::towards(at.ip(), None).map(|index| index == self::index("lo")), Ok(true));
        let links = link::all().unwrap();
        let over = own.run(|| link::towards("10.77.0.1".parse().unwrap(), None)).unwrap();
        assert!(link::rests_on(&links, over, index("eth0")) && !link::rests_on(&links, over, index("eth1")));
    }
}

pub(crate) fn is_up(name: &str) -> bool {
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
            let tried = TcpStream::connect_timeout(&address_of(peer), std::time::Duration::from_millis(300));
            tried.expect_err("the way is cut");
        }
        // The other interface carries packets.
        world.wait_reached("10.2.0.2");
        // The undo from the moment of going down, as journaled.
        let better = injected.undo.expect("a better undo");
        let text = serde_json::to_string(&better).unwrap();
        let better: Vec<Undo> = serde_json::from_str(&text).unwrap();
        for undo in &better {
            let undone = undo.apply(&world.host).unwrap();
            assert!(undone.detail.contains("was set up") && undone.foreign.is_empty(), "{undone:?}");
        }
        world.assert_same(&before);
        for peer in [PEER4, PEER6] {
            world.wait_reached(peer);
        }
        assert_eq!(injection.evidence().in_force, Seen::No);
    }
}

fn address_of(peer: &str) -> std::net::SocketAddr {
    std::net::SocketAddr::new(peer.parse().unwrap(), 8080)
}

sandboxed! {
    fn injecting_twice_is_injecting_once_and_another_process_can_undo_it() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::make(&world, &fault(ETH0));
        let once = world.snapshot();
        let again = injection.again().unwrap();
        assert!(again.undo.is_some_and(|undo| !undo.is_empty()), "its own work is not somebody else's");
        world.assert_same(&once);
        // The agent died before it could journal the undo from that moment.
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
        for (to, name) in [
            (r#""10.2.0.2""#, "eth1"),
            (r#""fd00:1::2""#, "eth0"),
            (r#""10.50.1.1""#, "eth0"),
            (r#""9.9.9.9""#, "eth1"),
            (r#"["10.1.0.2","fd00:1::2","fd00:50::/32"]"#, "eth0"),
            // A route without a target is no way.
            (r#"["10.2.0.2","fd99::1"]"#, "eth1"),
        ] {
            let injection = Injection::make(&world, &fault(&format!(r#"{{"net-down":{{"to":{to}}}}}"#)));
            let effects = &injection.live.prepared.effects;
            assert_eq!(effects[0], format!("set interface {name} down"), "{to}");
            assert!(!is_up(name));
            injection.undo();
            world.assert_same(&before);
        }
    }
}

sandboxed! {
    fn an_interface_that_cannot_be_taken_down_is_refused() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let refused = |parameters: &str| {
            let fault: Fault = fault(&format!(r#"{{"net-down":{parameters}}}"#));
            world.prepare(&fault).expect_err(parameters)
        };
        for (parameters, code) in [
            (r#"{"interface":"lo"}"#, "loopback"),
            (r#"{"interface":"eth9"}"#, "no-interface"),
            (r#"{"to":["10.1.0.2","10.2.0.2"]}"#, "several-interfaces"),
            (r#"{"to":"10.1.0.1"}"#, "loopback"),
            (r#"{"to":"fd99::1"}"#, "no-route"),
        ] {
            assert_eq!(refused(parameters).code.as_str(), code, "{parameters}");
        }
        down(&world.host_ns, "eth1");
        assert_eq!(refused(r#"{"interface":"eth1"}"#).code, RefusalCode::DownAlready);
        up(&world.host_ns, "eth1");
        route(&world.host_ns, "0.0.0.0/0", "10.2.0.2");
        world.assert_same(&before);
    }
}

sandboxed! {
    fn the_control_path_is_refused_unless_the_scenario_accepts_it() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let other = fault(r#"{"net-down":{"interface":"eth1"}}"#);
        for (to, port) in [("10.1.0.1", AGENT_PORT), ("fd00:1::1", AGENT_PORT), ("10.1.0.1", 22)] {
            let at = std::net::SocketAddr::new(to.parse().unwrap(), port);
            let control = world.at_peer(|| TcpStream::connect(at).unwrap());
            let problem = world.prepare(&fault(ETH0)).expect_err("the control path");
            assert_eq!(problem.code, RefusalCode::ControlPath, "{problem:?}");
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
    fn a_control_path_whose_route_cannot_be_read_is_refused() {
        let world = World::new();
        furnish(&world);
        let control = world.at_peer(|| TcpStream::connect(("10.1.0.1", AGENT_PORT)).unwrap());
        world.prepare(&fault(ETH0)).expect_err("the control path");
        // One more descriptor: enough for the list of connections, and none is left to ask for a route.
        let next = {
            use std::os::fd::AsRawFd as _;
            u64::try_from(std::fs::File::open("/dev/null").unwrap().as_raw_fd()).unwrap()
        };
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, next + 1, hard).unwrap();
        let prepared = world.prepare(&fault(ETH0));
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let problem = prepared.expect_err("it is unknown whether it carries the control path");
        assert_eq!(problem.code, RefusalCode::Unreadable, "{problem:?}");
        assert!(problem.title.contains("Too many open files"), "{problem:?}");
        drop(control);
    }
}

sandboxed! {
    fn a_link_local_connection_counts_for_its_own_interface() {
        let world = World::new();
        furnish(&world);
        let (own, far) = ("fe80::77:1", "fe80::77:2");
        for (name, peer, peer_link) in [("eth0", world.peer(), "peer0"), ("eth1", world.second(), "second0")] {
            address(&world.host_ns, name, &format!("{own}/64"));
            address(peer, peer_link, &format!("{far}/64"));
        }
        for (name, other, peer, peer_link) in
            [("eth0", "eth1", world.peer(), "peer0"), ("eth1", "eth0", world.second(), "second0")]
        {
            for port in [22, AGENT_PORT] {
                let control = peer.run(|| {
                    let scope = nix::net::if_::if_nametoindex(peer_link).unwrap();
                    let at = std::net::SocketAddrV6::new(own.parse().unwrap(), port, 0, scope);
                    let mut connected = None;
                    wait_until("the link-local address is reached", || {
                        connected = TcpStream::connect(at).ok();
                        connected.is_some()
                    });
                    connected
                });
                let down = |name: &str| fault(&format!(r#"{{"net-down":{{"interface":"{name}"}}}}"#));
                let problem = world.prepare(&down(name)).expect_err("the control path");
                assert_eq!(problem.code, RefusalCode::ControlPath, "{problem:?}");
                assert!(problem.title.contains(name), "{problem:?}");
                world.prepare(&down(other)).expect("another interface");
                // The reset ends it on both sides: no program closes the end that waits in the listener's queue.
                let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(control.as_ref().unwrap(), Linger, &at_once).unwrap();
                drop(control);
                wait_until("the connection has ended", || world.prepare(&down(name)).is_ok());
            }
        }
    }
}

sandboxed! {
    fn changes_by_others_meanwhile_are_left() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        // Somebody else set it down before the start, so it stays down.
        let late = Injection::prepare(&world, &fault(ETH0));
        down(&world.host_ns, "eth0");
        let undo = late.again().unwrap().undo;
        assert_eq!(undo, Some(Vec::new()));
        assert_eq!(late.evidence().in_force, Seen::No);
        // The prepared undo restores it, as nothing else was journaled.
        late.undo();
        world.assert_same(&before);
        // Somebody else sets it up while the fault is in force: the fault is gone, and everything comes back.
        let early = Injection::with(&world, &fault(ETH0), Span::secs(60), Span::secs(60));
        up(&world.host_ns, "eth0");
        let evidence = early.evidence();
        assert_eq!(evidence.in_force, Seen::No, "{}", evidence.detail);
        early.undo();
        world.assert_same(&before);
        // An address that somebody removes is not restored, nor are its routes; everything else is.
        let meanwhile = Injection::with(&world, &fault(ETH0), Span::secs(60), Span::secs(60));
        remove_address(&world.host_ns, "eth0", "10.3.0.1/24");
        let undone = meanwhile.live.prepared.undo[0].apply(&world.host).unwrap();
        assert_eq!(undone.foreign, ["address 10.3.0.1/24 of eth0 was removed meanwhile; it is left so"]);
        world.wait_reached(PEER6);
        address(&world.host_ns, "eth0", "10.3.0.1/24");
        world.assert_same(&before);
    }
}
