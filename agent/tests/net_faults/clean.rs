//! Hosts with the rules, qdiscs and routes of administrators: every kind of fault has its effect there, and leaves the host as it was,
//! also if the agent dies while faults are in force.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Child,
    thread,
    time::Duration,
};

use firedrill_agent::{
    built_in,
    config::Config,
    fault::of,
    host::{
        kinds::{has_ifb, has_qdisc},
        link,
        sockets::Sockets,
    },
    identity::Identity,
    injection::{Ask, Live},
    journal::{Intent, Journal},
    sandboxed,
    supervisor::recover,
    testing::{role, route, skip, wait_until},
    time::HostTime,
};
use firedrill_probe::clock;
use firedrill_wire::{
    Fault, Span,
    api::About,
    evidence::Seen,
    journal::{HealReason, State, What},
};

use super::{
    admin::{self, BY_TWO},
    dns,
    down::is_up,
    trip::{SOON, Trip, out, rush_out, slowed, trip},
    world::{Injection, PEER4, PEER6, Reach, World, ready},
};

/// A kind of fault.
struct Kind {
    /// The fault. `PEER` and `ENGINE` are replaced.
    json: &'static str,
    /// The qdisc that its kernel engine needs; `None` if it has no engines.
    qdisc: Option<&'static str>,
    /// Whether the fault has its effect on a peer.
    works: fn(&World, &str) -> bool,
}

const fn plain(json: &'static str, works: fn(&World, &str) -> bool) -> Kind {
    Kind { json, qdisc: None, works }
}

const fn shape(json: &'static str, works: fn(&World, &str) -> bool) -> Kind {
    Kind { json, qdisc: Some("netem"), works }
}

const KINDS: [Kind; 13] = [
    plain(r#"{"net-block":{"to":"PEER"}}"#, blocked),
    plain(r#"{"net-block":{"to":"PEER","how":"reject"}}"#, |world, peer| {
        world.tcp_out(peer, 8080) == Reach::Refused
    }),
    plain(r#"{"host-isolate":{}}"#, blocked),
    plain(r#"{"net-reset":{"to":"PEER","how":"throughout"}}"#, reset),
    plain(r#"{"net-dns":{"zones":".","how":"nxdomain","to":"PEER"}}"#, |world, peer| {
        dns::code(world, SocketAddr::new(peer.parse().unwrap(), 53)) == Some(3)
    }),
    plain(r#"{"net-down":{"interface":"eth1"}}"#, |_, _| {
        link::all().unwrap().iter().any(|link| link.name == "eth1" && !link.is_up())
    }),
    plain(r#"{"net-flap":{"interface":"eth1","down":"200ms","up":"200ms"}}"#, |_, _| {
        for phase in [false, true, false] {
            wait_until("the phase", || is_up("eth1") == phase);
        }
        true
    }),
    shape(r#"{"net-slow":{"to":"PEER","delay":"120ms","engine":"ENGINE"}}"#, late),
    shape(r#"{"net-lose":{"to":"PEER","share":"100%","engine":"ENGINE"}}"#, |world, peer| {
        send_ten(world, peer).lost(10) == 10
    }),
    shape(r#"{"net-duplicate":{"to":"PEER","share":"100%","engine":"ENGINE"}}"#, |world, peer| {
        let arrived = send_ten(world, peer).took;
        arrived.len() == 10 && arrived.values().all(|times| times.len() == 2)
    }),
    // The flipped bit may be one that no checksum covers.
    shape(r#"{"net-corrupt":{"to":"PEER","share":"100%","engine":"ENGINE"}}"#, |world, peer| {
        send_ten(world, peer).lost(10) >= 5
    }),
    shape(
        r#"{"net-reorder":{"to":"PEER","delay":"60ms","share":"50%","engine":"ENGINE"}}"#,
        |world, peer| out(world, peer, 30).order.windows(2).any(|pair| pair[0] > pair[1]),
    ),
    Kind {
        json: r#"{"net-throttle":{"to":"PEER","rate":"400kbit","burst":"2kB","engine":"ENGINE"}}"#,
        qdisc: Some("tbf"),
        works: |world, peer| slowed(&rush_out(world, peer)),
    },
];

fn blocked(world: &World, peer: &str) -> bool {
    world.tcp_out(peer, 8080) == Reach::No
}

fn late(world: &World, peer: &str) -> bool {
    out(world, peer, 10).least() >= Duration::from_millis(115)
}

/// Sends ten datagrams, and waits a short time for them.
fn send_ten(world: &World, peer: &str) -> Trip {
    let (near, far) = world.flow(peer);
    trip((&near, &far), 10, Duration::from_millis(300))
}

fn reset(world: &World, peer: &str) -> bool {
    if let Err(error) = Sockets::open().and_then(|mut sockets| sockets.able()) {
        skip(&format!("resets of connections: {error}"));
        return true;
    }
    let is_reset = |error: &std::io::Error| {
        matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted)
    };
    // On a slow machine the connection is reset before `connect` returns.
    let mut stream = match world.host_ns.run(|| TcpStream::connect((peer, 9090))) {
        Ok(stream) => stream,
        Err(error) => return is_reset(&error),
    };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.read(&mut [0]).is_err_and(|error| is_reset(&error))
}

/// Returns the engines to try a kind with. The emulated machine (`FIREDRILL_VM`) must have the kernel's, and tries only
/// that: `cargo test` tries the engine in user space on every machine.
fn engines(kind: &Kind) -> Vec<&'static str> {
    let Some(qdisc) = kind.qdisc else { return vec![""] };
    let emulated = std::env::var_os("FIREDRILL_VM").is_some();
    let mut engines = if emulated { Vec::new() } else { vec!["user-space"] };
    match has_qdisc(qdisc).and_then(|()| has_ifb()) {
        Ok(()) => engines.push("kernel"),
        Err(why) => {
            assert!(!emulated, "{why}");
            skip(&format!("{} in the kernel: {why}", kind.json));
        }
    }
    engines
}

fn fault(json: &str, peer: &str, engine: &str) -> Fault {
    serde_json::from_str(&json.replace("PEER", peer).replace("ENGINE", engine)).unwrap()
}

fn is_untouched(world: &World, peer: &str) {
    world.wait_reached(peer);
    // Tried again and again, because the machine may be busy for a moment.
    wait_until("packets are neither lost nor late", || {
        let after = out(world, peer, 10);
        after.lost(10) == 0 && after.took.values().flatten().all(|took| *took < SOON)
    });
}

/// Tries each kind with each engine, then several faults at once, then several faults of an agent that is killed. They must have their
/// effects, and leave the host as it was.
fn try_everything(world: &World, peer: &str) {
    let server = SocketAddr::new(peer.parse().unwrap(), 53);
    world.at_peer(|| dns::serve(server));
    is_untouched(world, peer);
    // The blocks of a partition are tried as net-block.
    for kind in Fault::KINDS.iter().filter(|kind| kind.starts_with("net-") && **kind != "net-partition") {
        assert!(KINDS.iter().any(|tried| tried.json.contains(kind)), "{kind} is not tried here");
    }
    let before = world.snapshot();
    for kind in &KINDS {
        for engine in engines(kind) {
            let injection = Injection::make(world, &fault(kind.json, peer, engine));
            assert!((kind.works)(world, peer), "{} {engine}: {}", kind.json, injection.evidence().detail);
            assert_eq!(injection.evidence().in_force, Seen::Yes, "{} {engine}", kind.json);
            injection.undo();
            world.assert_same(&before);
        }
    }
    let together: Vec<_> = several(peer).iter().map(|fault| Injection::make(world, fault)).collect();
    assert_several(world, peer);
    // In another order than they were made.
    for which in [1, 0, 2, 3] {
        together[which].undo();
    }
    world.assert_same(&before);
    for made in [1, 4] {
        dies_and_is_put_back(world, peer, made);
        world.assert_same(&before);
    }
    is_untouched(world, peer);
}

/// Three faults on one peer, by the kernel if it can, and an interface that is down.
fn several(peer: &str) -> [Fault; 4] {
    let by = |qdisc| if has_qdisc(qdisc).and_then(|()| has_ifb()).is_ok() { "kernel" } else { "user-space" };
    [
        fault(
            r#"{"net-slow":{"to":"PEER","delay":"120ms","protocol":"udp","engine":"ENGINE"}}"#,
            peer,
            by("netem"),
        ),
        fault(
            r#"{"net-throttle":{"to":"PEER","rate":"400kbit","burst":"2kB","protocol":"udp","engine":"ENGINE"}}"#,
            peer,
            by("tbf"),
        ),
        fault(r#"{"net-block":{"to":"PEER","remote_ports":9090}}"#, peer, ""),
        fault(r#"{"net-down":{"interface":"eth1"}}"#, peer, ""),
    ]
}

/// Checks the effects of [`several`] faults at once.
fn assert_several(world: &World, peer: &str) {
    assert!(late(world, peer));
    assert!(slowed(&rush_out(world, peer)));
    assert_eq!((world.tcp_out(peer, 9090), world.tcp_out(peer, 8080)), (Reach::No, Reach::Yes));
}

fn config(dir: &Path) -> Config {
    let text = format!(
        "host = \"h\"\nlisten = \"127.0.0.1:7790\"\nssh_ports = [22]\npaths = {{ state = \"{0}/state\", run = \"{0}/run\" }}\n",
        dir.display()
    );
    Config::parse(&text, &dir.join("agent.toml")).unwrap()
}

/// Plays an agent that has journaled four faults and made the first `made` of them, until it is killed. `role` has its parameters.
fn play_agent(role: &str) -> ! {
    let mut words = role.split(' ');
    let [dir, peer, made] = std::array::from_fn(|_| words.next().unwrap());
    let config = config(Path::new(dir));
    let (host, here) = (config.host(), Identity::here());
    let (mut journal, _) = Journal::open(&config.paths(), &here, &HostTime).unwrap();
    let intents = several(peer).into_iter().enumerate().map(|(number, fault)| {
        let ask = Ask { id: format!("crash-run-{number}").parse().unwrap(), fault, hold: Span::secs(60) };
        let prepared = of(&ask.fault).prepare(&host, &ask).unwrap();
        let start_boot_us = clock::boot_us();
        let live = Live { ask, prepared, ends_boot_us: start_boot_us + 60_000_000, lease: Span::secs(60) };
        let run = "crash-run".parse().unwrap();
        Intent {
            identity: here.clone(),
            run,
            plan_digest: String::new(),
            about: About::default(),
            start_boot_us,
            live,
        }
    });
    let intents: Vec<_> = intents.collect();
    journal.intents(&intents).unwrap();
    for intent in intents.iter().take(made.parse().unwrap()) {
        journal.event(What::changed(intent.id(), &intent.run, State::Injecting, None));
        of(&intent.live.ask.fault).inject(&host, &intent.live).unwrap();
    }
    println!("\nready");
    std::io::stdout().flush().unwrap();
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

// chaos-mesh/chaosd#207, #147, #178; alexei-led/pumba#147; krkn-chaos/krkn#760: faults that are left after a crash.
fn dies_and_is_put_back(world: &World, peer: &str, made: usize) {
    let dir = tempfile::tempdir().unwrap();
    let child = ready(&format!("{} {peer} {made}", dir.path().display()));
    if made == 4 {
        assert_several(world, peer);
    } else {
        assert!(late(world, peer));
    }
    kill(child);
    wait_until("the tables are gone", || world.host.nft.our_tables().unwrap().is_empty());
    let config = config(dir.path());
    let recovered =
        recover(&config, &config.host(), &built_in::wiring(), &HealReason::FoundAtStart, || {}).unwrap();
    let mut ended: Vec<_> =
        recovered.healed.iter().map(|healed| (healed.intent.id().as_str(), healed.state)).collect();
    ended.sort_unstable_by_key(|(id, _)| *id);
    let state = |number| if number < made { State::Undone } else { State::Disarmed };
    assert_eq!(
        ended.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        (0..4).map(state).collect::<Vec<_>>()
    );
}

/// Returns a world for a test. In the process that has the role of an agent, plays that role and never returns.
fn new_world() -> World {
    if let Some(role) = role() {
        play_agent(&role);
    }
    World::new()
}

sandboxed! {
    fn dockers_rules_and_bridge() {
        let world = new_world();
        admin::docker(&world);
        try_everything(&world, PEER4);
    }
}

sandboxed! {
    fn ufws_rules_in_both_families() {
        let world = new_world();
        admin::ufw();
        try_everything(&world, PEER4);
    }
}

sandboxed! {
    fn an_administrators_htb_tree_with_a_filter() {
        let world = new_world();
        admin::htb_tree("eth0");
        admin::htb_tree("eth1");
        try_everything(&world, PEER4);
    }
}

sandboxed! {
    fn roots_of_several_queues() {
        let world = new_world();
        if !admin::mq("eth0") {
            return skip("roots_of_several_queues: cables have one queue here");
        }
        try_everything(&world, PEER4);
    }
}

sandboxed! {
    fn a_peer_by_two_interfaces() {
        let world = new_world();
        admin::two_ways(&world);
        let arrives = || {
            let (near, far) = world.flow(BY_TWO);
            far.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            // A dropped datagram is an error for its sender.
            let _ = near.send(&[0; 1000]);
            far.recv(&mut [0; 1000]).is_ok()
        };
        let arrived = || (0..24).filter(|_| arrives()).count();
        let sent = || admin::sent(&world.host_ns, &["eth0", "eth2"]);
        let first = sent();
        assert_eq!(arrived(), 24);
        assert!(first.iter().zip(sent()).all(|(first, now)| now > first + 1000), "by both: {first:?} {:?}", sent());
        let injection = Injection::make(&world, &fault(KINDS[0].json, BY_TWO, ""));
        assert_eq!(arrived(), 0);
        injection.undo();
        try_everything(&world, BY_TWO);
    }
}

sandboxed! {
    fn no_ipv4_at_all() {
        let world = new_world();
        admin::six_only(&world);
        try_everything(&world, PEER6);
    }
}

sandboxed! {
    fn with_a_default_route_and_without() {
        let world = new_world();
        try_everything(&world, PEER6);
        route(&world.host_ns, "0.0.0.0/0", PEER4);
        try_everything(&world, PEER4);
    }
}
