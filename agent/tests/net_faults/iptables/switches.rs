//! The ends of faults by iptables: their undo, the lease, the hold, and another process after their maker's death.

use std::{
    fs::OpenOptions,
    time::{Duration, Instant},
};

use firedrill_agent::{
    host::{
        iptables::{Table, prefix},
        nft::expr::Family,
    },
    sandboxed,
    testing::{host, role, skip, wait_until},
    undo::Undo,
};
use firedrill_wire::{Span, evidence::Seen};
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    super::world::{Injection, OWNED, PEER4, PEER6, PEERS, Reach, World, own_on, owner},
    Build, another, block, may_open_gates, on_builds,
};

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
            // A process does not take the chains of another for its own.
            let other = another(world);
            let error = injection.fault().inject(&other, &injection.live).expect_err("they are another's");
            assert!(error.to_string().contains("not made"), "{error}");
            assert_eq!(build.saved(), once);
            // The process that undoes need not be the one that made it.
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
    fn a_block_ends_with_its_lease_or_hold() {
        on_builds("lease and hold by iptables", |world, _| {
            let fault = block(r#"{"to":["10.1.0.2","fd00:1::2"]}"#);
            // Long enough for an emulated and busy machine to renew it in time.
            let lease = Span::secs(5);
            let by_lease = Injection::with(world, &fault, lease, Span::secs(60));
            let made = Instant::now();
            wait_until("its first lease would be over", || {
                std::thread::sleep(Duration::from_millis(500));
                by_lease.renew(lease).unwrap();
                made.elapsed() > lease.0
            });
            assert_eq!(by_lease.evidence().in_force, Seen::Yes, "{}", by_lease.evidence().detail);
            wait_until("the lease lifts it", || PEERS.iter().all(|peer| world.tcp_out(peer, 8080) == Reach::Yes));
            assert_eq!(by_lease.evidence().in_force, Seen::No);
            by_lease.renew(Span::secs(60)).expect_err("never revived");
            by_lease.again().unwrap();
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes, "not by injecting again either");
            by_lease.undo();
            let by_hold = Injection::with(world, &fault, Span::secs(60), Span::secs(2));
            wait_until("the hold lifts it", || PEERS.iter().all(|peer| world.tcp_out(peer, 8080) == Reach::Yes));
            by_hold.renew(Span::secs(60)).unwrap();
            assert_eq!(by_hold.evidence().in_force, Seen::No);
            assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes);
            by_hold.undo();
        });
    }
}

sandboxed! {
    // Setting a clock changes no end of a fault: each rule that harms uses lists that the kernel counts in ticks.
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

/// Long enough to see that two peers are silent, also on a busy machine.
const LEASE: Span = Span::secs(6);

sandboxed! {
    fn the_fault_of_a_stopped_agent_ends_with_its_lease_and_another_process_undoes_it() {
        let fault = block(r#"{"to":["10.1.0.2","fd00:1::2"],"engine":"iptables"}"#);
        if role().is_some() {
            own_on(&host(std::path::Path::new("/nonexistent")), &fault, LEASE);
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
                eprintln!("normal {:?} after SIGSTOP, by a lease of {LEASE}", ended.elapsed());
                kill(pid, Signal::SIGKILL).unwrap();
            }
            child.wait().unwrap();
            // A guardian undoes in the same way.
            let undo = Undo::RemoveChains {
                injection: OWNED.parse().unwrap(),
                table: Table::Filter,
                program: "iptables".to_owned(),
                families: Family::BOTH.to_vec(),
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
    // chaos-mesh/chaos-mesh#771: another program holds the lock of iptables.
    fn an_undo_waits_for_a_held_lock() {
        on_builds("a held lock", |world, build| {
            if build.0 != "iptables-legacy" {
                return;
            }
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            let lock = OpenOptions::new().create(true).append(true).open("/run/xtables.lock").unwrap();
            let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
            let undone = std::thread::scope(|scope| {
                let undo = scope.spawn(|| injection.undo());
                // The gates are closed although the rules cannot be removed yet.
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
