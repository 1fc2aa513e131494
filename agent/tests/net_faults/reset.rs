//! Tests of net-reset: connections are reset at both ends or left alone.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use firedrill_agent::{
    fault::of,
    host::{resets::EVERY, sockets::Sockets},
    injection::{Ask, Live},
    sandboxed,
    testing::{Netns, host, role, skip, wait_until},
    undo::Undo,
};
use firedrill_wire::{Span, evidence::Seen};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    trip::fault,
    world::{AGENT_PORT, Injection, PEER4, PEER6, SELF4, SELF6, World, own_on, owner},
};

/// Whether this kernel can reset connections.
fn can_reset() -> bool {
    match Sockets::open().and_then(|mut sockets| sockets.able()) {
        Ok(()) => true,
        Err(error) => {
            skip(&format!("resets of connections: {error}"));
            false
        }
    }
}

/// A connection with both its ends.
struct Pair {
    opened: TcpStream,
    accepted: TcpStream,
}

impl Pair {
    /// Connects from one namespace to an address in another. `any` listens on the IPv6 wildcard, where IPv4 addresses
    /// are mapped.
    fn new(from: &Netns, at: &Netns, to: &str, port: u16, any: bool) -> Self {
        Self::open(from, at, to, port, any).unwrap()
    }

    /// Connects while connections are reset, and checks that this one is. On a busy machine it may be reset before `connect` returns.
    fn assert_comes_and_is_reset(from: &Netns, at: &Netns, to: &str, port: u16, what: &str) {
        match Self::open(from, at, to, port, false) {
            Ok(mut pair) => pair.assert_reset(what),
            Err(error) => assert!(is_reset(&error), "{what}: {error}"),
        }
    }

    fn open(from: &Netns, at: &Netns, to: &str, port: u16, any: bool) -> std::io::Result<Self> {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        let on = if any { SocketAddr::from(([0; 16], port)) } else { to };
        let listener = at.run(|| TcpListener::bind(on).unwrap());
        let opened = from.run(|| TcpStream::connect(to))?;
        let (accepted, _) = listener.accept()?;
        for stream in [&opened, &accepted] {
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        }
        Ok(Self { opened, accepted })
    }

    /// Fails unless a byte passes each way.
    fn assert_lives(&mut self, what: &str) {
        pass(&mut self.opened, &mut self.accepted, what);
        pass(&mut self.accepted, &mut self.opened, what);
    }

    /// Fails unless both ends report a reset.
    fn assert_reset(&mut self, what: &str) {
        for stream in [&mut self.opened, &mut self.accepted] {
            let error = stream.read(&mut [0]).expect_err(what);
            assert!(is_reset(&error), "{what}: {error}");
        }
    }
}

fn is_reset(error: &std::io::Error) -> bool {
    [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset].contains(&error.kind())
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, what: &str) {
    let mut byte = [0];
    let passed = from.write_all(b"x").and_then(|()| to.read_exact(&mut byte));
    passed.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(&byte, b"x", "{what}");
}

sandboxed! {
    fn connections_are_reset_at_both_ends_and_no_others() {
        if !can_reset() {
            return;
        }
        let world = World::new();
        let before = world.snapshot();
        let (own, peer, second) = (&world.host_ns, world.peer(), world.second());
        let mut chosen = [
            ("out v4", Pair::new(own, peer, PEER4, 5000, false)),
            ("out v6", Pair::new(own, peer, PEER6, 5001, false)),
            ("in v4", Pair::new(peer, own, SELF4, 5002, false)),
            ("in v6", Pair::new(peer, own, SELF6, 5003, false)),
            ("in v4 on a v6 socket", Pair::new(peer, own, SELF4, 5004, true)),
        ];
        let mut others = [
            ("another peer", Pair::new(own, second, "10.2.0.2", 5000, false)),
            ("the agent", Pair::new(peer, own, SELF4, AGENT_PORT + 1, false)),
            ("loopback", Pair::new(own, own, "127.0.0.1", 5000, false)),
            ("itself", Pair::new(own, own, SELF4, 5000, false)),
            ("of others, passing through", Pair::new(peer, second, "10.2.0.2", 5001, false)),
            ("metadata", Pair::new(own, peer, "169.254.169.254", 5000, false)),
        ];
        // A port that this agent calls its own, without the world's listener on it.
        let mut agent = host(std::path::Path::new("/nonexistent"));
        agent.agent_port = AGENT_PORT + 1;
        let reset = fault(r#"{"net-reset":{"to":["10.1.0.0/24","fd00:1::/64","169.254.169.254","127.0.0.0/8"]}}"#);
        let ask = Ask { id: "reset-run-1".parse().unwrap(), fault: reset.clone(), hold: Span::secs(60) };
        let prepared = of(&reset).prepare(&agent, &ask).unwrap();
        assert_eq!(prepared.undo, [], "it cannot be undone");
        let live = Live { ask, prepared, ends_boot_us: u64::MAX, lease: Span::secs(60) };
        let detail = of(&reset).inject(&agent, &live).unwrap().detail;
        assert_eq!(detail, "reset 5 TCP connections");
        for (what, pair) in &mut chosen {
            pair.assert_reset(what);
        }
        for (what, pair) in &mut others {
            pair.assert_lives(what);
        }
        let evidence = of(&reset).evidence(&agent, &live);
        assert_eq!((evidence.in_force, evidence.exercised, evidence.count), (Seen::Yes, Seen::Yes, Some(5)));
        // It happens once, even if it is asked for again.
        let mut later = Pair::new(own, peer, PEER4, 5005, false);
        assert_eq!(of(&reset).inject(&agent, &live).unwrap().detail, detail);
        later.assert_lives("came later");
        drop((chosen, others, later));
        world.assert_same(&before);
    }
}

sandboxed! {
    fn ports_choose_and_nothing_chosen_is_nothing_exercised() {
        if !can_reset() {
            return;
        }
        let world = World::new();
        let (own, peer) = (&world.host_ns, world.peer());
        let mut there = Pair::new(own, peer, PEER4, 5000, false);
        let mut here = Pair::new(peer, own, SELF6, 6000, false);
        let none = Injection::make(&world, &fault(r#"{"net-reset":{"remote_ports":5001,"local_ports":7000}}"#));
        let evidence = none.evidence();
        assert_eq!((evidence.exercised, evidence.count), (Seen::No, Some(0)), "{}", evidence.detail);
        let local = Injection::make(&world, &fault(r#"{"net-reset":{"local_ports":"6000-6001"}}"#));
        assert_eq!(local.evidence().count, Some(1));
        here.assert_reset("its local port");
        there.assert_lives("another local port");
        let remote = Injection::make(&world, &fault(r#"{"net-reset":{"remote_ports":5000}}"#));
        assert_eq!(remote.evidence().count, Some(1));
        there.assert_reset("its remote port");
    }
}

const THROUGHOUT: &str = r#"{"net-reset":{"to":["10.1.0.2","fd00:1::2"],"how":"throughout"}}"#;

/// Waits long enough for the agent to look for connections several times.
fn wait_for_looks() {
    thread::sleep(EVERY * 4);
}

sandboxed! {
    fn new_connections_are_reset_until_the_fault_is_over() {
        if !can_reset() {
            return;
        }
        let world = World::new();
        let before = world.snapshot();
        let (own, peer) = (&world.host_ns, world.peer());
        let mut first = Pair::new(own, peer, PEER4, 5000, false);
        let injection = Injection::make(&world, &fault(THROUGHOUT));
        first.assert_reset("there at the start");
        for (to, port) in [(PEER4, 5001), (PEER6, 5002)] {
            Pair::assert_comes_and_is_reset(own, peer, to, port, "came later");
        }
        // A look is counted when it is over, and the last may still be in progress.
        wait_until("all three are counted", || injection.evidence().count == Some(3));
        let evidence = injection.evidence();
        assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::Yes), "{}", evidence.detail);
        injection.again().unwrap();
        assert_eq!(injection.evidence().count, Some(3), "begun once");
        for _ in 0..2 {
            injection.undo();
            assert_eq!(injection.evidence().in_force, Seen::No);
        }
        let mut after = Pair::new(own, peer, PEER4, 5003, false);
        wait_for_looks();
        after.assert_lives("after the undo");
        drop((first, after));
        world.assert_same(&before);
    }
}

sandboxed! {
    fn lease_and_hold_end_it_and_a_renewal_keeps_it() {
        if !can_reset() {
            return;
        }
        let world = World::new();
        let (own, peer) = (&world.host_ns, world.peer());
        let by_lease = Injection::with(&world, &fault(THROUGHOUT), Span::secs(5), Span::secs(60));
        by_lease.renew(Span::secs(60)).unwrap();
        assert_eq!(by_lease.evidence().in_force, Seen::Yes);
        by_lease.renew(Span::millis(50)).unwrap();
        wait_until("the lease ends it", || by_lease.evidence().in_force == Seen::No);
        by_lease.renew(Span::secs(60)).expect_err("never revived");
        let by_hold = Injection::with(&world, &fault(THROUGHOUT), Span::secs(60), Span::secs(2));
        wait_until("the hold ends it", || by_hold.evidence().in_force == Seen::No);
        let mut after = Pair::new(own, peer, PEER4, 5000, false);
        wait_for_looks();
        after.assert_lives("after lease and hold");
        by_lease.undo();
        by_hold.undo();
    }
}

sandboxed! {
    fn a_failed_start_resets_nothing_and_another_process_can_undo_it() {
        if !can_reset() {
            return;
        }
        let world = World::new();
        let before = world.snapshot();
        let mut pair = Pair::new(&world.host_ns, world.peer(), PEER4, 5000, false);
        for json in [THROUGHOUT, r#"{"net-reset":{"to":"10.1.0.2"}}"#] {
            let mut late = Injection::prepare(&world, &fault(json));
            late.live.ends_boot_us = 1;
            late.again().expect_err("its hold is over");
            late.undo();
            late.undo();
        }
        pair.assert_lives("nothing was done");
        let other = host(std::path::Path::new("/nonexistent"));
        let undone = Undo::StopResets { injection: "test-run-0".parse().unwrap() }.apply(&other).unwrap();
        assert!(undone.detail.contains("ends with its owner"), "{}", undone.detail);
        drop(pair);
        world.assert_same(&before);
    }
}

sandboxed! {
    fn an_agent_that_was_stopped_past_its_lease_resets_nothing_more() {
        if role().is_some() {
            own_on(&host(std::path::Path::new("/nonexistent")), &fault(THROUGHOUT), Span::secs(3));
        }
        if !can_reset() {
            return;
        }
        let world = World::new();
        let mut child = owner();
        let (own, peer) = (&world.host_ns, world.peer());
        Pair::assert_comes_and_is_reset(own, peer, PEER4, 5000, "while it runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        wait_for_looks();
        let mut meanwhile = Pair::new(own, peer, PEER6, 5001, false);
        thread::sleep(Duration::from_secs(3));
        meanwhile.assert_lives("the stopped agent cannot reset it");
        kill(pid, Signal::SIGCONT).unwrap();
        wait_for_looks();
        meanwhile.assert_lives("its lease was over when it woke");
        kill(pid, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }
}
