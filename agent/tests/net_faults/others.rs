//! Known bugs of other chaos tools: each is tried with this agent. The comment before a test names the reports.

use std::time::{Duration, Instant};

use firedrill_agent::{
    host::{
        kinds::has_qdisc,
        nft::{
            Nft,
            expr::Exprs,
            table::{Chain, Hook, Place, Table},
        },
    },
    sandboxed,
    undo::Undo,
};
use firedrill_wire::{RefusalCode, evidence::Seen};
use nix::mount::{MsFlags, mount};

use super::{
    admin::{self, htb},
    trip::{fault, out_at_full_rate, rush_out, slowed, throttle},
    world::{AGENT_PORT, Injection, PEER4, PEER6, PEERS, Reach, SELF4, SELF6, World},
};

const SECOND: &str = "10.2.0.2";

// alexei-led/pumba#166, #343; chaos-mesh/chaos-mesh#5089; tylertreat/comcast#41: the administrator's qdisc is destroyed,
// the second interface's fault clobbers the first's. chaos-mesh/chaosd#244: the wrong interface.
sandboxed! {
    fn an_administrators_qdiscs_stay_and_each_interface_has_its_fault() {
        let world = World::new();
        htb("eth0");
        htb("eth1");
        let before = world.snapshot();
        let htbs = || world.snapshot().seen.iter().filter(|(key, value)| key.starts_with("qdisc:eth") && value.contains("htb")).count();
        assert_eq!(htbs(), 2);
        for engine in ["kernel", "user-space"] {
            let engine = format!(r#","engine":"{engine}""#);
            let by = |to: &str| throttle(to, &engine);
            let both = [PEER4, SECOND].map(|to| Injection::make(&world, &by(to)));
            for to in [PEER4, SECOND] {
                let trip = rush_out(&world, to);
                assert!(slowed(&trip), "{engine} {to}: {} lost, {:?}", trip.lost(super::trip::COUNT), trip.lasted);
            }
            assert!(out_at_full_rate(&world, PEER6), "{engine}: what was not chosen goes as before");
            assert_eq!(htbs(), 2);
            both.iter().for_each(Injection::undo);
            world.assert_same(&before);
        }
    }
}

// chaosblade-io/chaosblade#1260: a rule after an ACCEPT has no effect.
sandboxed! {
    fn an_earlier_accept_does_not_weaken_a_fault() {
        let world = World::new();
        let administrator = Nft::default();
        let chains = [(Hook::Output, "out", -400), (Hook::Input, "in", -400), (Hook::Output, "late", 0)];
        let chains = chains.map(|(hook, name, priority)| Chain {
            name: name.to_owned(),
            place: Some(Place::at(hook, priority)),
            rules: vec![Exprs::new().accept()],
        });
        administrator.install(&Table { name: "admin".to_owned(), chains: chains.to_vec(), ..Table::default() }).unwrap();
        let before = world.snapshot();
        for peer in PEERS {
            let injection = Injection::make(&world, &fault(&format!(r#"{{"net-block":{{"to":"{peer}"}}}}"#)));
            assert_eq!(world.tcp_out(peer, 8080), Reach::No);
            injection.undo();
            let injection = Injection::make(&world, &throttle(peer, ""));
            assert!(slowed(&rush_out(&world, peer)));
            injection.undo();
        }
        world.assert_same(&before);
    }
}

// chaosblade-io/chaosblade#986, #944, #903: the operator is locked out; neighbour discovery is lost with the rest.
sandboxed! {
    fn an_isolated_host_is_reached_by_hosts_that_have_to_find_it_first() {
        let world = World::new();
        let before = world.snapshot();
        let isolate = fault(r#"{"host-isolate":{}}"#);
        let lose = fault(r#"{"net-lose":{"to":["10.1.0.0/24","fd00:1::/64"],"share":"100%","direction":"both"}}"#);
        for fault in [isolate, lose] {
            let injection = Injection::make(&world, &fault);
            for own in [SELF4, SELF6] {
                assert_eq!(world.tcp_in(own, AGENT_PORT), Reach::Yes, "{own}");
                assert_eq!(world.tcp_in(own, 22), Reach::Yes, "{own}");
                assert_eq!(world.tcp_in(own, 8080), Reach::No, "{own}");
            }
            assert_eq!(injection.evidence().exercised, Seen::Yes);
            injection.undo();
        }
        world.assert_same(&before);
    }
}

// chaos-mesh/chaos-mesh#1389; tylertreat/comcast#68; chaosblade-io/chaosblade#819: netem is missing, and that is not reported.
sandboxed! {
    fn a_missing_qdisc_is_reported_at_prepare() {
        let world = World::new();
        let slow = |engine: &str| fault(&format!(r#"{{"net-slow":{{"to":"{PEER4}","delay":"1s","engine":"{engine}"}}}}"#));
        let auto = world.prepare(&slow("auto")).unwrap();
        match has_qdisc("netem") {
            Ok(()) => {
                assert!(auto.effects[0].contains("in the kernel by netem"), "{:?}", auto.effects);
                world.prepare(&slow("kernel")).unwrap();
            }
            Err(why) => {
                assert!(auto.effects[0].contains("in user space"), "{:?}", auto.effects);
                assert!(auto.notes.iter().any(|note| note.contains("because") && note.contains(&why)), "{:?}", auto.notes);
                let refused = world.prepare(&slow("kernel")).expect_err("no netem");
                assert_eq!(refused.code, RefusalCode::EngineUnable);
                assert!(refused.title.contains("no netem") && refused.hint.contains("modules"), "{refused:?}");
            }
        }
    }
}

// tylertreat/comcast#50; chaos-mesh/chaos-mesh#3425; chaosblade-io/chaosblade#990: ingress or IPv6 is not covered.
sandboxed! {
    fn both_families_both_ways() {
        let world = World::new();
        for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
            for direction in ["in", "out", "both"] {
                let json = format!(r#"{{"net-block":{{"to":"{peer}","direction":"{direction}","protocol":"udp"}}}}"#);
                let injection = Injection::make(&world, &fault(&json));
                let open = |blocked: bool| if blocked { Reach::No } else { Reach::Yes };
                assert_eq!(world.udp_in(own, 9999), open(direction != "out"), "{peer} {direction}");
                let outward = world.udp_out(peer, 9999);
                assert_eq!(outward == Reach::Yes, direction == "in", "{peer} {direction}: {outward:?}");
                injection.undo();
            }
        }
    }
}

// chaos-mesh/chaos-mesh#3631: of two faults on one host the last one wins.
sandboxed! {
    fn the_first_fault_is_there_after_the_second() {
        let world = World::new();
        let before = world.snapshot();
        let first = Injection::make(&world, &throttle(PEER4, ""));
        let second = Injection::make(&world, &throttle(SECOND, ""));
        let third = Injection::make(&world, &fault(&format!(r#"{{"net-block":{{"to":"{PEER6}"}}}}"#)));
        assert!(slowed(&rush_out(&world, PEER4)) && slowed(&rush_out(&world, SECOND)));
        assert_eq!(world.tcp_out(PEER6, 8080), Reach::No);
        second.undo();
        assert!(slowed(&rush_out(&world, PEER4)) && out_at_full_rate(&world, SECOND));
        third.undo();
        assert!(slowed(&rush_out(&world, PEER4)));
        first.undo();
        world.assert_same(&before);
    }
}

// chaos-mesh/chaosd#207, #147, #178; alexei-led/pumba#147; krkn-chaos/krkn#760; litmuschaos/litmus-go#591: a start that
// failed half way leaves its first half.
sandboxed! {
    fn a_start_that_fails_half_way_leaves_nothing() {
        let world = World::new();
        for json in [
            r#"{"net-block":{"to":"10.1.0.2"}}"#,
            r#"{"net-throttle":{"to":"10.1.0.2","rate":"400kbit","engine":"kernel"}}"#,
            r#"{"net-throttle":{"to":"10.1.0.2","rate":"400kbit","engine":"user-space"}}"#,
        ] {
            let injection = Injection::prepare(&world, &fault(json));
            // The last step is impossible: another process has a table of that name.
            let other = Nft::default();
            other.install(&Table { name: injection.table(), ..Table::default() }).unwrap();
            let before = world.snapshot();
            injection.again().expect_err("the name is taken");
            // Another's table is not deleted, and the error says so.
            let undone: Vec<_> =
                injection.live.prepared.undo.iter().rev().map(|undo| undo.apply(&world.host).is_ok()).collect();
            assert!(undone.contains(&false), "{undone:?}");
            world.assert_same(&before);
            drop(other);
        }
    }
}

// chaos-mesh/chaos-mesh#771: somebody holds iptables' lock. #4152, #4251: rules of iptables-nft, and no program that fits.
sandboxed! {
    fn neither_iptables_nor_its_lock_is_needed() {
        let world = World::new();
        // This file exists only in the test's mount namespace.
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let lock = std::fs::File::create("/run/xtables.lock").unwrap();
        lock.lock().unwrap();
        admin::docker(&world);
        let before = world.snapshot();
        let started = Instant::now();
        let block = Injection::make(&world, &fault(&format!(r#"{{"net-block":{{"to":"{PEER4}","direction":"out"}}}}"#)));
        let line = Injection::make(&world, &throttle(SECOND, ""));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert_eq!(world.tcp_out(PEER4, 8080), Reach::No);
        assert!(slowed(&rush_out(&world, SECOND)));
        block.undo();
        line.undo();
        world.assert_same(&before);
    }
}

// Chaos Mesh CVE-2025-59358 to 59361: what comes over the network ends in a shell, in the clean-up above all.
sandboxed! {
    fn texts_of_a_scenario_are_never_run_as_commands() {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        let before = world.snapshot();
        for words in ["; touch MADE", "$(touch MADE)", "`touch MADE`", "| touch MADE", "\n touch MADE", "&& touch MADE #"] {
            let words = words.replace("MADE", made.to_str().unwrap());
            for clauses in [
                serde_json::json!({"to": format!("10.1.0.2{words}")}),
                serde_json::json!({"to": PEER4, "except": [format!("10.1.0.3{words}")]}),
                serde_json::json!({"to": PEER4, "interfaces": [format!("eth0{words}")]}),
                serde_json::json!({"to": PEER4, "direction": "out", "user": format!("root{words}")}),
                serde_json::json!({"to": PEER4, "service": format!("checkout{words}")}),
            ] {
                let block = fault(&serde_json::json!({ "net-block": clauses }).to_string());
                world.prepare(&block).expect_err(&words);
            }
            let undo = Undo::DeleteNftTable { table: format!("filter{words}") };
            undo.apply(&world.host).expect_err("not ours");
        }
        assert!(!made.exists());
        world.assert_same(&before);
    }
}
