//! Faults that iptables cannot make are refused, and the plan names the engine of a fault.

use firedrill_agent::{
    doctor::findings, fault::of, host::Firewall, injection::Live, sandboxed, testing::host, undo::Undo,
};
use firedrill_wire::{RefusalCode, Span, api::Grade};

use super::{
    super::{
        trip::fault,
        world::{Injection, World, ask},
    },
    another, block, on_builds,
};

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
                assert_eq!(refused.code, RefusalCode::EngineUnable);
                assert!(refused.title.contains(why), "{}", refused.title);
            }
            let shape = fault(r#"{"net-slow":{"to":"10.1.0.2","delay":"10ms","engine":"kernel"}}"#);
            assert_eq!(world.prepare(&shape).expect_err("refused").code, RefusalCode::EngineUnable);
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
    // A text from a user cannot add a second rule.
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
            let first = another(world);
            let mut ask = ask(&block(r#"{"to":"10.1.0.2"}"#), Span::secs(60));
            // The process that has the name keeps the kernel from accepting our table.
            let by_nftables = of(&ask.fault).prepare(&first, &ask).unwrap();
            assert!(matches!(by_nftables.undo[0], Undo::DeleteNftTable { .. }));
            let ends_boot_us = firedrill_probe::clock::boot_us() + 60_000_000;
            let live = Live { ask: ask.clone(), prepared: by_nftables, ends_boot_us, lease: Span::secs(60) };
            of(&ask.fault).inject(&first, &live).unwrap();
            let mut second = another(world);
            let prepared = of(&ask.fault).prepare(&second, &ask).unwrap();
            assert!(matches!(&prepared.undo[0], Undo::RemoveChains { program, .. } if *program == build.0));
            assert!(prepared.notes.iter().any(|note| note.starts_with("iptables is used, because")), "{:?}", prepared.notes);
            assert!(prepared.notes.iter().any(|note| note.starts_with("engine: iptables (")), "{:?}", prepared.notes);
            second.firewall = Firewall::Nftables;
            let refused = of(&ask.fault).prepare(&second, &ask).expect_err("nothing but nftables");
            assert_eq!(refused.code, RefusalCode::NftablesUnable);
            ask.fault = block(r#"{"to":"10.1.0.2","engine":"iptables"}"#);
            let refused = of(&ask.fault).prepare(&second, &ask).expect_err("not what the host is configured for");
            assert!(refused.title.contains("nftables only"), "{}", refused.title);
        });
    }
}
