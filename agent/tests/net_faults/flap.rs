//! Tests of net-flap: interfaces go down and come up again and again, and are up afterwards, whichever process dies.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
};

use firedrill_agent::{
    host::link::{self, link_state::LinkState},
    sandboxed,
    testing::{address, down, host, remove_address, role, route, up, wait_until},
    undo::{Undo, Undone},
};
use firedrill_netlink::{Attrs, Request, Socket, route::Link};
use firedrill_wire::{Fault, RefusalCode, Span, evidence::Seen};

use super::{
    down::{furnish, is_up},
    trip::fault,
    world::{AGENT_PORT, Injection, PEER4, PEER6, World, own, owner},
};

pub(super) fn flap(down: &str, up: &str) -> Fault {
    fault(&format!(r#"{{"net-flap":{{"interface":"eth0","down":"{down}","up":"{up}"}}}}"#))
}

/// Whether a thread of this process makes an interface flap.
pub(super) fn flaps() -> bool {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim_end() == "flap")
    })
}

/// Returns the number of times that the interface has gone down.
fn downs(injection: &Injection<'_>) -> u64 {
    injection.evidence().count.unwrap()
}

pub(super) fn is_whole(injection: &Injection<'_>) -> bool {
    injection.evidence().detail.contains("is up now, with all that it had")
}

/// Undoes it with the undo from the moment at which it began, as the agent does.
pub(super) fn undo_here(world: &World, injection: &Injection<'_>) -> Undone {
    let undo = injection.again().unwrap().undo.expect("a better undo");
    let [undo] = &undo[..] else { panic!("one action: {undo:?}") };
    undo.apply(&world.host).unwrap()
}

sandboxed! {
    fn it_goes_down_and_comes_up_with_all_that_it_had_again_and_again() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let links = link::all().unwrap();
        let eth0 = link::with_uppers(&links, index());
        let had = LinkState::now(&eth0, false).unwrap();
        let injection = Injection::prepare(&world, &flap("1s", "4s"));
        world.assert_same(&before); // preparing reads only
        injection.again().unwrap();
        assert!(!is_up("eth0") && is_up("eth1"), "it begins with down");
        for times in 1..=3 {
            wait_until("it is down", || !is_up("eth0"));
            assert_eq!(downs(&injection), times);
            wait_until("it is up with all that it had", || is_whole(&injection));
            let mut has = LinkState::now(&eth0, false).unwrap();
            has.entries.retain(|entry| had.entries.contains(entry));
            assert_eq!(has.entries.len(), had.entries.len());
            world.wait_reached(PEER4);
            let evidence = injection.evidence();
            assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::Yes), "{}", evidence.detail);
        }
        let undone = undo_here(&world, &injection);
        assert!(undone.foreign.is_empty() && undone.detail.contains("gone down 3 times"), "{undone:?}");
        assert!(!flaps());
        assert_eq!(injection.evidence().in_force, Seen::No);
        world.assert_same(&before);
        for peer in [PEER4, PEER6] {
            world.wait_reached(peer);
        }
    }
}

fn index() -> u32 {
    nix::net::if_::if_nametoindex("eth0").unwrap()
}

sandboxed! {
    fn an_interface_is_up_after_an_undo_in_each_phase() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        for (down, up, whole) in [("1h", "1h", false), ("100ms", "1h", false), ("100ms", "1h", true)] {
            let injection = Injection::make(&world, &flap(down, up));
            if down == "1h" {
                assert!(!is_up("eth0"));
            } else {
                wait_until("it is up", || is_up("eth0") && (!whole || is_whole(&injection)));
            }
            undo_here(&world, &injection);
            assert!(is_up("eth0") && !flaps(), "{down} {up}");
            world.assert_same(&before);
            injection.undo();
            world.assert_same(&before);
        }
        // At any other moment too.
        for times in 1..=6 {
            let injection = Injection::make(&world, &flap("100ms", "100ms"));
            wait_until("it has gone down some times", || downs(&injection) >= times);
            undo_here(&world, &injection);
            assert!(is_up("eth0") && !flaps());
            world.assert_same(&before);
        }
    }
}

sandboxed! {
    fn injecting_twice_is_injecting_once() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::make(&world, &flap("1h", "1h"));
        let once = injection.again().unwrap();
        assert_eq!((injection.again().unwrap(), downs(&injection)), (once, 1));
        injection.undo();
        world.assert_same(&before);
    }
}

sandboxed! {
    fn after_the_death_of_a_worker_no_thread_takes_the_interface_down() {
        if role().is_some() {
            own(&flap("300ms", "300ms"));
        }
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::prepare(&world, &flap("300ms", "300ms"));
        for phase in [false, true, false] {
            let mut worker = owner();
            wait_until("the other phase", || is_up("eth0") != phase);
            wait_until("the phase", || is_up("eth0") == phase);
            worker.kill().unwrap();
            worker.wait().unwrap();
            // Another process knows only what was prepared, and has no thread that flaps.
            let other = host(Path::new("/nonexistent"));
            for undo in &injection.live.prepared.undo {
                undo.apply(&other).unwrap();
            }
            assert!(is_up("eth0"));
            world.assert_same(&before);
        }
    }
}

sandboxed! {
    fn a_flap_ends_with_its_lease_or_hold_without_an_undo() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        for (lease, hold) in [(5_000, 60_000), (60_000, 1)] {
            let (lease, hold) = (Span::millis(lease), Span::millis(hold));
            let injection = Injection::with(&world, &flap("1h", "100ms"), lease, hold);
            assert!(!is_up("eth0"));
            wait_until("its thread has raised it and ended", || is_up("eth0") && !flaps());
            world.assert_same(&before);
            assert_eq!((injection.evidence().in_force, downs(&injection)), (Seen::No, 1));
            injection.renew(Span::secs(60)).expect_err("never revived");
            undo_here(&world, &injection);
            world.assert_same(&before);
        }
        // Renewed in time, it goes on past its first lease.
        let renewed = Injection::with(&world, &flap("100ms", "100ms"), Span::secs(2), Span::secs(60));
        renewed.renew(Span::secs(60)).unwrap();
        wait_until("it has gone down for more than two seconds", || downs(&renewed) > 12);
        undo_here(&world, &renewed);
        world.assert_same(&before);
    }
}

sandboxed! {
    fn an_interface_that_others_set_up_or_down_is_left() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        // Down before the start.
        let late = Injection::prepare(&world, &flap("100ms", "100ms"));
        down(&world.host_ns, "eth0");
        assert_eq!(late.again().unwrap().undo, Some(Vec::new()));
        assert_eq!(late.evidence().in_force, Seen::No);
        late.undo();
        world.assert_same(&before);
        // Up in a down phase: it gets back what it had, and does not go down again.
        let early = Injection::make(&world, &flap("3s", "100ms"));
        up(&world.host_ns, "eth0");
        let evidence = early.evidence();
        assert_eq!(evidence.in_force, Seen::No);
        assert!(evidence.detail.contains("somebody else set it up"), "{}", evidence.detail);
        wait_until("its thread has ended", || !flaps());
        assert!(is_whole(&early));
        world.assert_same(&before);
        undo_here(&world, &early);
        // Down in an up phase: it stays down.
        let left = Injection::make(&world, &flap("100ms", "1h"));
        wait_until("it is up", || is_whole(&left));
        down(&world.host_ns, "eth0");
        let evidence = left.evidence();
        assert_eq!(evidence.in_force, Seen::No);
        assert!(evidence.detail.contains("somebody else set it down"), "{}", evidence.detail);
        let undone = undo_here(&world, &left);
        assert!(undone.foreign[0].starts_with("link:eth0: "), "{undone:?}");
        assert!(!is_up("eth0") && !flaps());
        // Once they have set it up again, it gets back what it had.
        up(&world.host_ns, "eth0");
        undo_here(&world, &left);
        world.assert_same(&before);
    }
}

/// Removes an IPv4 route.
fn remove_route(to: [u8; 4], prefix: u8) {
    let header = [2, prefix, 0, 0, 254, 0, 255, 0, 0, 0, 0, 0];
    let body = Attrs::new().bytes(1, &to).after(&header).unwrap();
    let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
    socket.request("remove a route", &Request { kind: 25, flags: 0, body }).unwrap();
}

sandboxed! {
    fn routes_that_others_add_come_back_and_routes_that_they_remove_do_not() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::make(&world, &flap("100ms", "4s"));
        wait_until("it is up", || is_whole(&injection));
        remove_route([10, 50, 0, 0], 16);
        route(&world.host_ns, "10.90.0.0/16", PEER4);
        wait_until("it is down again", || downs(&injection) == 2);
        wait_until("it is up again", || is_whole(&injection));
        let detail = injection.evidence().detail;
        for change in ["route 10.50.0.0/16 in table 254 was removed", "route 10.90.0.0/16 in table 254 was added"] {
            assert!(detail.contains(change), "{detail}");
        }
        let undone = undo_here(&world, &injection);
        assert_eq!(undone.foreign.len(), 2, "{undone:?}");
        // The new route exists, and the removed one does not.
        remove_route([10, 90, 0, 0], 16);
        route(&world.host_ns, "10.50.0.0/16", PEER4);
        world.assert_same(&before);
    }
}

sandboxed! {
    fn a_removal_by_others_in_a_down_phase_is_reported_once() {
        let world = World::new();
        furnish(&world);
        let injection = Injection::make(&world, &flap("1s", "1h"));
        remove_address(&world.host_ns, "eth0", "10.3.0.1/24");
        wait_until("it is up", || is_whole(&injection));
        let undone = undo_here(&world, &injection);
        let [change] = &undone.foreign[..] else { panic!("one change: {undone:?}") };
        assert!(change.contains("10.3.0.1/24 of eth0 was removed meanwhile; it is left so"), "{change}");
    }
}

sandboxed! {
    fn an_entry_that_does_not_come_back_is_reported_as_missing() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::make(&world, &flap("3s", "1h"));
        // Without this address there is no way to the gateway of the route to 10.50.0.0/16.
        remove_address(&world.host_ns, "eth0", "10.1.0.1/24");
        wait_until("it is up", || is_up("eth0"));
        wait_until("the thread has given up", || injection.evidence().detail.contains("missing after "));
        let detail = injection.evidence().detail;
        assert!(detail.contains("is up now, without some of what it had"), "{detail}");
        address(&world.host_ns, "eth0", "10.1.0.1/24");
        undo_here(&world, &injection);
        assert!(is_up("eth0") && !flaps());
        world.assert_same(&before);
    }
}

sandboxed! {
    fn an_interface_that_somebody_removes_is_reported() {
        let world = World::new();
        furnish(&world);
        let injection = Injection::make(&world, &flap("100ms", "100ms"));
        let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
        Link::named("eth0").remove(&mut socket, "take it away").unwrap();
        let evidence = injection.evidence();
        assert_eq!(evidence.in_force, Seen::No);
        assert!(evidence.detail.contains("somebody removed it"), "{}", evidence.detail);
        wait_until("its thread has ended", || !flaps());
        let undone = undo_here(&world, &injection);
        assert!(undone.foreign[0].contains("removed"), "{undone:?}");
    }
}

sandboxed! {
    fn an_interface_that_cannot_flap_is_refused() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let refused = |name: &str| {
            let json = format!(r#"{{"net-flap":{{"interface":"{name}","down":"1s","up":"1s"}}}}"#);
            world.prepare(&fault(&json)).expect_err(name).code
        };
        assert_eq!(refused("eth9"), RefusalCode::NoInterface);
        let at = SocketAddr::new("10.1.0.1".parse().unwrap(), AGENT_PORT);
        let control = world.at_peer(|| TcpStream::connect(at).unwrap());
        assert_eq!(refused("eth0"), RefusalCode::ControlPath);
        drop(control);
        down(&world.host_ns, "eth1");
        assert_eq!(refused("eth1"), RefusalCode::DownAlready);
        up(&world.host_ns, "eth1");
        route(&world.host_ns, "0.0.0.0/0", "10.2.0.2");
        world.assert_same(&before);
    }
}

sandboxed! {
    fn the_undo_in_a_journal_is_enough_for_another_process() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        let injection = Injection::make(&world, &flap("1h", "1h"));
        let undo = injection.again().unwrap().undo.unwrap();
        let read: Vec<Undo> = serde_json::from_str(&serde_json::to_string(&undo).unwrap()).unwrap();
        assert_eq!(read, undo);
        for undo in &read {
            undo.apply(&world.host).unwrap();
        }
        world.assert_same(&before);
    }
}
