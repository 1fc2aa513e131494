//! Faults on traffic by iptables: the same traffic is reached and spared as by nftables, by each build of iptables that
//! is installed, and an administrator's rules are after it what they were before.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use firedrill_agent::{
    fault::{Live, of},
    host::{Firewall, iptables::prefix, probe_kernel::findings},
    sandboxed,
    testing::{host, role, skip, wait_until},
    undo::{Undo, chains::Table},
};
use firedrill_wire::{Fault, Span, api::Grade, evidence::Seen};
use nix::{
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    trip::fault,
    world::{
        AGENT_PORT, Injection, OWNED, PEER4, PEER6, PEERS, Reach, SELF4, SELF6, World, ask, own_on, owner,
    },
};

/// What Docker and ufw leave, cut short: chains of their own, counters, comments with every kind of word.
const BEFORE4: &str = r#"*filter
:INPUT DROP [12:3456]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [77:8888]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-user-input
-A INPUT -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -m comment --comment "not -j fd_00000000_i, only a word" -j RETURN
-A ufw-before-input -i lo -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment "\'dapp_OpenSSH\'" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"#;
const BEFORE6: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ufw6-user-input - [0:0]\n\
    -A INPUT -j ufw6-user-input\n-A ufw6-user-input -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";

/// The programs of one build, as tests use them by hand.
#[derive(Clone, Copy)]
pub(crate) struct Build(pub(crate) &'static str);

impl Build {
    pub(crate) fn run(self, v6: bool, what: &str, arguments: &[&str], text: &str) -> Result<String, String> {
        let name = if v6 { self.0.replacen("iptables", "ip6tables", 1) } else { self.0.to_owned() };
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let mut child = Command::new(format!("{name}{what}"))
            .args(arguments)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name}{what}: {error}"))?;
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(String::from_utf8(output.stdout).unwrap()) } else { Err(said) }
    }

    fn restore(self, v6: bool, text: &str) {
        self.run(v6, "-restore", &["--noflush"], text).unwrap();
    }

    /// All rules of both families, without counters and the time of day.
    pub(crate) fn saved(self) -> String {
        let both = [false, true].map(|v6| self.run(v6, "-save", &[], "").unwrap());
        let lines = both.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(" [").next().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

/// The same, by the build of that name.
pub(crate) fn saved_of(build: &'static str) -> String {
    Build(build).saved()
}

/// Whether this sandbox belongs to the machine's own root: nobody else may write to the kernel's lists.
pub(crate) fn may_open_gates(test: &str) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let may = map.split_whitespace().nth(1) == Some("0");
    if !may {
        skip(&format!("{test}: lists of xt_recent can be written to by the machine's root only"));
    }
    may
}

/// Runs a test by each build that is installed, on a host whose administrator has rules.
pub(crate) fn on_builds(test: &str, body: impl Fn(&World, Build)) {
    if !may_open_gates(test) {
        return;
    }
    // The lock of the old build: the machine's own is none of ours.
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let mut some = false;
    let mut world = World::new();
    // In emulation one is enough: the one whose modules a stock kernel has to load.
    let builds: &[_] = if std::env::var_os("FIREDRILL_VM").is_some() {
        &["iptables-legacy"]
    } else {
        &["iptables-legacy", "iptables-nft"]
    };
    for build in builds.iter().copied().map(Build) {
        if let Err(why) = build.run(false, "-save", &[], "").and(build.run(true, "-save", &[], "")) {
            skip(&format!("{test} by {}: {why}", build.0));
            continue;
        }
        some = true;
        build.restore(false, BEFORE4);
        build.restore(true, BEFORE6);
        world.host = host(std::path::Path::new("/nonexistent"));
        world.host.firewall = Firewall::Iptables;
        build.0.clone_into(&mut world.host.iptables.program);
        body(&world, build);
        // The other build's rules would judge too.
        for v6 in [false, true] {
            for table in ["filter", "nat"] {
                let flush = format!("*{table}\nCOMMIT\n");
                build.run(v6, "-restore", &[], &flush).unwrap();
                for chain in ["INPUT", "FORWARD", "OUTPUT"] {
                    let _ = build.run(v6, "", &["-t", table, "-P", chain, "ACCEPT"], "");
                }
            }
        }
    }
    if !some {
        skip(&format!("{test}: no iptables is installed"));
    }
}

fn block(json: &str) -> Fault {
    fault(&format!(r#"{{"net-block":{json}}}"#))
}

sandboxed! {
    fn a_block_stops_all_traffic_with_a_peer_and_no_other() {
        on_builds("a block by iptables", |world, build| {
            let rules = build.saved();
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
            // A sandbox knows no user but its own.
            with(r#"{"to":["10.1.0.2","fd00:1::2"],"user":"0","direction":"out"}"#, &|| {
                assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::No; 2]);
            });
        });
    }
}

sandboxed! {
    fn a_rejected_sender_is_told_at_once() {
        on_builds("a rejection by iptables", |world, _| {
            for direction in ["both", "in", "out"] {
                let json = format!(r#"{{"to":["10.1.0.2","fd00:1::2"],"how":"reject","direction":"{direction}"}}"#);
                let reject = Injection::make(world, &block(&json));
                for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
                    if direction == "both" {
                        assert_eq!(world.tcp_out(peer, 8080), Reach::Told, "out to {peer}");
                    }
                    if direction != "in" {
                        assert_eq!(world.udp_out(peer, 8080), Reach::Told, "udp to {peer}");
                    }
                    if direction != "out" {
                        assert_eq!(world.udp_in(own, 8080), Reach::Told, "udp from {peer}");
                        assert_eq!(world.tcp_in(own, 8080), Reach::Told, "in to {own}");
                    }
                    assert_eq!(world.tcp_in(own, AGENT_PORT), Reach::Yes);
                }
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
    fn preparing_staging_injecting_twice_and_undoing_twice() {
        on_builds("switches of iptables", |world, build| {
            let fault = block(r#"{"to":["10.1.0.2","fd00:1::2"]}"#);
            let warm = Injection::prepare(world, &fault);
            let (before, rules) = (world.snapshot(), build.saved());
            let injection = Injection::prepare(world, &fault);
            world.assert_same(&before);
            assert_eq!(warm.evidence().in_force, Seen::No);
            injection.fault().stage(&world.host, &injection.live).unwrap();
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::Yes; 2], "its gates are closed");
            let evidence = injection.evidence();
            assert_eq!((evidence.in_force, evidence.count), (Seen::No, Some(0)), "{}", evidence.detail);
            injection.again().unwrap();
            let once = build.saved();
            injection.again().unwrap();
            assert_eq!(build.saved(), once);
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::No; 2]);
            // Chains of another process are not taken for our own.
            let mut other = host(std::path::Path::new("/nonexistent"));
            other.iptables.program.clone_from(&world.host.iptables.program);
            let error = injection.fault().inject(&other, &injection.live).expect_err("they are another's");
            assert!(error.to_string().contains("not made"), "{error}");
            assert_eq!(build.saved(), once);
            // What puts back need not be what made it.
            for undo in injection.live.prepared.undo.iter().rev() {
                undo.apply(&other).unwrap();
            }
            assert_eq!(build.saved(), rules);
            world.assert_same(&before);
            injection.undo();
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::Yes; 2]);
        });
    }
}

sandboxed! {
    fn lease_and_hold_lift_by_themselves() {
        on_builds("lease and hold by iptables", |world, _| {
            let fault = block(r#"{"to":["10.1.0.2","fd00:1::2"]}"#);
            let by_lease = Injection::with(world, &fault, Span::secs(1), Span::secs(60));
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(500));
                by_lease.renew(Span::secs(1)).unwrap();
            }
            assert_eq!(by_lease.evidence().in_force, Seen::Yes, "{}", by_lease.evidence().detail);
            wait_until("the lease lifts it", || PEERS.iter().all(|peer| world.tcp_out(peer, 8080) == Reach::Yes));
            assert_eq!(by_lease.evidence().in_force, Seen::No);
            by_lease.renew(Span::secs(60)).expect_err("never revived");
            by_lease.again().unwrap();
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes, "not by injecting again either");
            by_lease.undo();
            let by_hold = Injection::with(world, &fault, Span::secs(60), Span::millis(300));
            assert_eq!(by_hold.evidence().in_force, Seen::Yes);
            wait_until("the hold lifts it", || PEERS.iter().all(|peer| world.tcp_out(peer, 8080) == Reach::Yes));
            by_hold.renew(Span::secs(60)).unwrap();
            assert_eq!(by_hold.evidence().in_force, Seen::No);
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
            by_hold.undo();
        });
    }
}

sandboxed! {
    // A clock that is set changes nothing that ends a fault: each rule that harms asks lists that the kernel counts in ticks.
    fn no_rule_harms_by_the_wall_clock_alone() {
        on_builds("gates of iptables", |world, build| {
            let injection = Injection::make(world, &block(r#"{"to":["10.1.0.2","fd00:1::2"],"how":"reject"}"#));
            let saved = build.saved();
            let harming: Vec<_> =
                saved.lines().filter(|line| line.contains("-A fd_") && line.contains("-j REJECT")).collect();
            assert_eq!(harming.len(), 4, "{saved}");
            for rule in harming {
                assert!(rule.contains("_lease --mask") && rule.contains("_hold --mask"), "{rule}");
                assert!(rule.contains("-m time --datestop "), "{rule}");
            }
            injection.undo();
        });
    }
}

sandboxed! {
    fn what_others_put_in_meanwhile_stays() {
        on_builds("foreign rules", |world, build| {
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            // Before ours, and behind it; and ours once more, as a firewall's reload from a saved file has it.
            let chain = format!("{}i", prefix(&injection.live.ask.id));
            let text = format!(
                "*filter\n-I INPUT 1 -s 10.9.9.9/32 -j DROP\n-A INPUT -s 10.9.9.8/32 -j DROP\n-A FORWARD -j {chain}\nCOMMIT\n"
            );
            build.restore(false, &text);
            let evidence = injection.evidence();
            assert_eq!(evidence.in_force, Seen::Yes);
            assert!(evidence.detail.contains("1 rules stand before ours in INPUT"), "{}", evidence.detail);
            injection.undo();
            let saved = build.saved();
            assert!(saved.contains("10.9.9.9/32") && saved.contains("10.9.9.8/32") && !saved.contains(&chain), "{saved}");
            // An administrator who flushes takes the fault away, and it is said.
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            build.restore(false, "*filter\n-F INPUT\n-A INPUT -j ACCEPT\nCOMMIT\n");
            let evidence = injection.evidence();
            assert_eq!(evidence.in_force, Seen::No, "{}", evidence.detail);
            assert!(evidence.detail.contains("does not jump"), "{}", evidence.detail);
            injection.undo();
        });
    }
}

sandboxed! {
    fn what_cannot_be_said_in_rules_is_refused() {
        on_builds("refusals", |world, build| {
            let rules = build.saved();
            let many: Vec<_> = (0..5_000_u32).map(|n| format!("\"{}\"", std::net::Ipv4Addr::from(0x0a00_0000 + n))).collect();
            for (json, why) in [
                (r#"{"to":"10.1.0.2","flows":"50%"}"#.to_owned(), "flows"),
                (r#"{"to":"10.1.0.2","engine":"kernel"}"#.to_owned(), "iptables only"),
                (format!(r#"{{"to":[{}]}}"#, many.join(",")), "5000 peers need nftables"),
            ] {
                let refused = world.prepare(&block(&json)).expect_err("refused");
                assert_eq!(refused.code, "engine-unable");
                assert!(refused.title.contains(why), "{}", refused.title);
            }
            let shape = fault(r#"{"net-slow":{"to":"10.1.0.2","delay":"10ms","engine":"kernel"}}"#);
            assert_eq!(world.prepare(&shape).expect_err("refused").code, "engine-unable");
            assert_eq!(build.saved(), rules);
        });
    }
}

sandboxed! {
    fn without_the_program_it_is_refused_and_nftables_goes_on() {
        let mut world = World::new();
        "iptables-no-such".clone_into(&mut world.host.iptables.program);
        let refused = world.prepare(&block(r#"{"to":"10.1.0.2","engine":"iptables"}"#)).expect_err("refused");
        assert!(refused.title.contains("iptables-no-such-restore") && refused.hint.contains("install"), "{refused:?}");
        Injection::make(&world, &block(r#"{"to":"10.1.0.2"}"#)).undo();
    }
}

sandboxed! {
    // A user of a rule's text cannot write a second rule.
    fn an_interface_s_name_is_no_way_into_the_rules() {
        on_builds("names", |world, _| {
            for name in ["eth0\\n-A", "eth+", "-eth0", "!eth0"] {
                let json = format!(r#"{{"to":"10.1.0.2","interfaces":"{name}"}}"#);
                world.prepare(&block(&json)).expect_err("refused");
            }
        });
    }
}

sandboxed! {
    fn a_stopped_owner_s_fault_lifts_at_the_lease_and_another_puts_it_back() {
        let fault = block(r#"{"to":["10.1.0.2","fd00:1::2"],"engine":"iptables"}"#);
        if role().is_some() {
            own_on(&host(std::path::Path::new("/nonexistent")), &fault, Span::secs(2));
        }
        if !may_open_gates("a stopped owner's fault by iptables") {
            return;
        }
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let world = World::new();
        if let Err(why) = Build("iptables").run(false, "-save", &[], "") {
            return skip(&format!("a stopped owner's fault by iptables: {why}"));
        }
        world.prepare(&fault).unwrap();
        let rules = Build("iptables").saved();
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            let mut child = owner();
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::No; 2]);
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            kill(pid, signal).unwrap();
            let ended = Instant::now();
            if signal == Signal::SIGSTOP {
                wait_until("the lease lifts it", || world.tcp_out(PEER4, 8080) == Reach::Yes);
                assert_eq!(world.tcp_out(PEER6, 8080), Reach::Yes);
                eprintln!("normal {:?} after SIGSTOP, by a lease of 2 s", ended.elapsed());
                kill(pid, Signal::SIGKILL).unwrap();
            }
            child.wait().unwrap();
            // What a guardian does.
            let undo = Undo::RemoveChains {
                injection: OWNED.parse().unwrap(),
                table: Table::Filter,
                program: "iptables".to_owned(),
                v4: true,
                v6: true,
            };
            let began = Instant::now();
            undo.apply(&world.host).unwrap();
            eprintln!("put back in {:?}", began.elapsed());
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::Yes; 2]);
            assert!(undo.apply(&world.host).unwrap().detail.contains("gone already"));
            assert_eq!(Build("iptables").saved(), rules);
        }
    }
}

sandboxed! {
    // chaos-mesh/chaos-mesh#3631: of two faults the last one won.
    fn two_at_once_add_up_and_each_goes_by_itself_and_counters_stay() {
        on_builds("two blocks by iptables", |world, build| {
            let counted = || {
                let text = build.run(false, "-save", &["-c", "-t", "filter"], "").unwrap();
                let line = text.lines().find(|line| line.ends_with("-A INPUT -j ufw-before-input")).unwrap();
                line.trim_start_matches('[').split(':').next().unwrap().parse::<u64>().unwrap()
            };
            assert_eq!(world.tcp_in(SELF4, 8080), Reach::Yes);
            let (rules, before) = (build.saved(), counted());
            assert!(before > 0);
            let one = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            let other = Injection::make(world, &block(r#"{"to":["10.1.0.2","10.2.0.2"],"remote_ports":8080,"how":"reject"}"#));
            assert_eq!((world.tcp_out(PEER4, 8080), world.tcp_out("10.2.0.2", 8080)), (Reach::Told, Reach::Told));
            assert_eq!((world.tcp_out(PEER4, 9090), world.tcp_out("10.2.0.2", 9090)), (Reach::No, Reach::Yes));
            let detail = one.evidence().detail;
            assert!(!detail.contains("stand before"), "ours stand in nobody's way: {detail}");
            one.undo();
            assert_eq!((world.tcp_out(PEER4, 8080), world.tcp_out(PEER4, 9090)), (Reach::Told, Reach::Yes));
            assert_eq!(other.evidence().in_force, Seen::Yes);
            other.undo();
            assert_eq!(build.saved(), rules);
            assert!(counted() >= before, "an administrator's counters go on");
        });
    }
}

sandboxed! {
    fn what_fails_for_one_family_is_taken_back_for_the_other() {
        on_builds("a family that fails", |world, build| {
            // Programs of a build that fails when it is told to, for IPv6 only.
            let folder = tempfile::tempdir().unwrap();
            let program = |name: &str, of: &str, first: &str| {
                let file = folder.path().join(name);
                fs::write(&file, format!("#!/bin/sh\n{first}\nexec {of} \"$@\"\n")).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            };
            for what in ["restore", "save"] {
                program(&format!("iptables-odd-{what}"), &format!("{}-{what}", build.0), "");
            }
            mount(Some(folder.path()), "/usr/local/sbin", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            let mut odd = host(std::path::Path::new("/nonexistent"));
            "iptables-odd".clone_into(&mut odd.iptables.program);
            let mut ask = ask(&block(r#"{"to":["10.1.0.2","fd00:1::2"],"engine":"iptables"}"#), Span::secs(60));
            let refused = of(&ask.fault).prepare(&odd, &ask).expect_err("no ip6tables");
            assert!(refused.title.contains("no ip6tables-odd-restore"), "{}", refused.title);
            // Without IPv6 among the peers it is not asked for.
            ask.fault = block(r#"{"to":"10.1.0.2","engine":"iptables"}"#);
            of(&ask.fault).prepare(&odd, &ask).unwrap();
            let six = build.0.replacen("iptables", "ip6tables", 1);
            let fails = r#"[ -e /run/fails ] && [ "$1" = -w ] && echo broken >&2 && exit 1"#;
            program("ip6tables-odd-restore", &format!("{six}-restore"), fails);
            program("ip6tables-odd-save", &format!("{six}-save"), "");
            ask.fault = block(r#"{"to":["10.1.0.2","fd00:1::2"],"engine":"iptables"}"#);
            let prepared = of(&ask.fault).prepare(&odd, &ask).unwrap();
            let rules = build.saved();
            let ends_boot_us = firedrill_probe::clock::boot_us() + 60_000_000;
            let live = Live { ask: ask.clone(), prepared, ends_boot_us, lease: Span::secs(60) };
            fs::write("/run/fails", "").unwrap();
            let error = of(&ask.fault).inject(&odd, &live).expect_err("one of two").to_string();
            assert!(error.contains("ip6tables-odd") && error.contains("broken"), "{error}");
            assert_eq!(build.saved(), rules);
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
            fs::remove_file("/run/fails").unwrap();
            for undo in &live.prepared.undo {
                undo.apply(&odd).unwrap();
            }
            assert_eq!(build.saved(), rules);
            nix::mount::umount("/usr/local/sbin").unwrap();
        });
    }
}

sandboxed! {
    fn doctor_tells_what_makes_faults_and_what_is_missing() {
        let told = |host: &firedrill_agent::host::Host, what: &str| {
            let mut all = findings(host).into_iter();
            all.find(|one| one.what == what).unwrap_or_else(|| panic!("doctor says nothing about {what}"))
        };
        const ENGINE: &str = "faults on traffic: what makes them";
        on_builds("doctor about iptables", |world, build| {
            let rules = build.saved();
            for what in ["iptables", "iptables: packet shaping in user space"] {
                let finding = told(&world.host, what);
                assert_eq!(finding.grade, Grade::Good, "{finding:?}");
            }
            assert_eq!(told(&world.host, ENGINE).detail, "iptables, as agent.toml says");
            assert_eq!(build.saved(), rules, "it only looks");
        });
        let mut without = host(std::path::Path::new("/nonexistent"));
        "iptables-no-such".clone_into(&mut without.iptables.program);
        assert_eq!(told(&without, "iptables").detail, "not installed");
        assert_eq!((told(&without, ENGINE).grade, told(&without, ENGINE).detail.as_str()), (Grade::Good, "nftables"));
        without.firewall = Firewall::Iptables;
        let finding = told(&without, ENGINE);
        assert!(finding.grade == Grade::Missing && finding.detail.contains("agent.toml says it must"), "{finding:?}");
    }
}

sandboxed! {
    fn iptables_takes_over_where_nftables_cannot() {
        on_builds("iptables in place of nftables", |world, build| {
            let mut first = host(std::path::Path::new("/nonexistent"));
            first.iptables.program.clone_from(&world.host.iptables.program);
            let mut ask = ask(&block(r#"{"to":"10.1.0.2"}"#), Span::secs(60));
            // Whoever has the name keeps the kernel from taking our table.
            let by_nftables = of(&ask.fault).prepare(&first, &ask).unwrap();
            assert!(matches!(by_nftables.undo[0], Undo::DeleteNftTable { .. }));
            let ends_boot_us = firedrill_probe::clock::boot_us() + 60_000_000;
            let live = Live { ask: ask.clone(), prepared: by_nftables, ends_boot_us, lease: Span::secs(60) };
            of(&ask.fault).inject(&first, &live).unwrap();
            let mut second = host(std::path::Path::new("/nonexistent"));
            second.iptables.program.clone_from(&world.host.iptables.program);
            let prepared = of(&ask.fault).prepare(&second, &ask).unwrap();
            assert!(matches!(&prepared.undo[0], Undo::RemoveChains { program, .. } if *program == build.0));
            assert!(prepared.notes.iter().any(|note| note.starts_with("iptables it is, because")), "{:?}", prepared.notes);
            assert!(prepared.notes.iter().any(|note| note.starts_with("engine: iptables (")), "{:?}", prepared.notes);
            second.firewall = Firewall::Nftables;
            let refused = of(&ask.fault).prepare(&second, &ask).expect_err("nothing but nftables");
            assert_eq!(refused.code, "nftables-unable");
            ask.fault = block(r#"{"to":"10.1.0.2","engine":"iptables"}"#);
            let refused = of(&ask.fault).prepare(&second, &ask).expect_err("not what the host is configured for");
            assert!(refused.title.contains("nftables only"), "{}", refused.title);
        });
    }
}

sandboxed! {
    fn a_name_is_followed_while_it_holds() {
        on_builds("names by iptables", |world, build| {
            let rules = build.saved();
            let folder = tempfile::tempdir().unwrap();
            let hosts = folder.path().join("hosts");
            fs::write(&hosts, "10.1.0.2 db.example\n").unwrap();
            mount(Some(&hosts), "/etc/hosts", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            let injection = Injection::make(world, &block(r#"{"to":"db.example"}"#));
            assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::No, Reach::Yes]);
            fs::write(&hosts, "fd00:1::2 db.example\n10.2.0.2 db.example\n").unwrap();
            wait_until("the new addresses are known", || {
                let detail = injection.evidence().detail;
                detail.contains("10.2.0.2") && detail.contains("fd00:1::2")
            });
            for peer in [PEER4, PEER6, "10.2.0.2"] {
                assert_eq!(world.tcp_out(peer, 8080), Reach::No, "{peer}");
            }
            injection.undo();
            assert_eq!(build.saved(), rules);
            nix::mount::umount("/etc/hosts").unwrap();
        });
    }
}

sandboxed! {
    // chaos-mesh/chaos-mesh#771: another program holds the lock of iptables.
    fn a_held_lock_is_waited_for() {
        on_builds("a held lock", |world, build| {
            if build.0 != "iptables-legacy" {
                return;
            }
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            let lock = fs::OpenOptions::new().create(true).append(true).open("/run/xtables.lock").unwrap();
            let lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
            let undone = std::thread::scope(|scope| {
                let undo = scope.spawn(|| injection.undo());
                // The gates are closed although the rules cannot be taken away yet.
                wait_until("traffic is as before", || world.tcp_out(PEER4, 8080) == Reach::Yes);
                assert!(!undo.is_finished());
                drop(lock);
                undo.join()
            });
            undone.unwrap();
            assert!(!build.saved().contains(&prefix(&injection.live.ask.id)));
        });
    }
}
