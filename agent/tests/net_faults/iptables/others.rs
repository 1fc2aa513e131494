//! Tests of faults by iptables together with rules of administrators and of other faults.

use std::{fs, os::unix::fs::PermissionsExt as _};

use firedrill_agent::{fault::of, host::iptables::prefix, injection::Live, sandboxed, testing::host};
use firedrill_wire::{Span, evidence::Seen};
use nix::mount::{MsFlags, mount, umount};

use super::{
    super::world::{Injection, PEER4, Reach, SELF4, ask},
    block, on_builds,
};

sandboxed! {
    fn rules_that_others_add_meanwhile_stay() {
        on_builds("foreign rules", |world, build| {
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            // Rules before and after the agent's jump, and one more jump to the agent's chain, as after a firewall's reload from a saved file.
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
            // An administrator who flushes removes the fault, and this is reported.
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            build.restore(false, "*filter\n-F INPUT\n-A INPUT -j ACCEPT\nCOMMIT\n");
            let evidence = injection.evidence();
            assert_eq!(evidence.in_force, Seen::No, "{}", evidence.detail);
            assert!(evidence.detail.contains("does not jump"), "{}", evidence.detail);
            injection.undo();
            // An administrator who empties a single chain of the agent is reported, too.
            let injection = Injection::make(world, &block(r#"{"to":"10.1.0.2"}"#));
            let chain = format!("{}i", prefix(&injection.live.ask.id));
            build.restore(false, &format!("*filter\n-F {chain}\nCOMMIT\n"));
            let evidence = injection.evidence();
            assert_eq!(evidence.in_force, Seen::No, "{}", evidence.detail);
            assert!(evidence.detail.contains(&format!("rules of {chain} are gone")), "{}", evidence.detail);
            injection.undo();
        });
    }
}

sandboxed! {
    // chaos-mesh/chaos-mesh#3631: of two faults the last one won.
    fn two_blocks_add_up_and_each_is_undone_by_itself() {
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
            assert_eq!((world.tcp_out(PEER4, 8080), world.tcp_out("10.2.0.2", 8080)), (Reach::Refused, Reach::Refused));
            assert_eq!((world.tcp_out(PEER4, 9090), world.tcp_out("10.2.0.2", 9090)), (Reach::No, Reach::Yes));
            let detail = one.evidence().detail;
            assert!(!detail.contains("stand before"), "the agent's own rules are not reported: {detail}");
            one.undo();
            assert_eq!((world.tcp_out(PEER4, 8080), world.tcp_out(PEER4, 9090)), (Reach::Refused, Reach::Yes));
            assert_eq!(other.evidence().in_force, Seen::Yes);
            other.undo();
            assert_eq!(build.saved(), rules);
            assert!(counted() >= before, "an administrator's counters go on");
        });
    }
}

sandboxed! {
    fn a_failure_for_one_family_undoes_the_other() {
        on_builds("a family that fails", |world, build| {
            // Programs of a build that fails on request, for IPv6 only.
            let folder = tempfile::tempdir().unwrap();
            let program = |name: &str, real: &str, first: &str| {
                let file = folder.path().join(name);
                fs::write(&file, format!("#!/bin/sh\n{first}\nexec {real} \"$@\"\n")).unwrap();
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
            // Without IPv6 peers it is not run.
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
            umount("/usr/local/sbin").unwrap();
        });
    }
}
