//! Tests of calls that only read: refusals, and snapshots.

use super::*;

#[test]
fn a_service_that_is_down_or_unknown_is_refused() {
    each(|which, dir| {
        let mut service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let code = |json: &str| Injection::prepare(&host, json).err().map(|problem| problem.code.to_string());
        service.send(b"d");
        until("the stop", || service.is_down());
        assert_eq!(code(STOP).as_deref(), Some("service-down"));
        service.send(b"o");
        if which == Which::Real {
            until("the one run", || service.main().is_some());
            assert_eq!(code(STOP).as_deref(), Some("service-leaving"), "sv once");
        }
        assert_eq!(code(r#"{"service-stop":{"service":"../checkout"}}"#).as_deref(), Some("no-service"));
        assert_eq!(
            code(r#"{"service-stop":{"service":"..","manager":"runit"}}"#).as_deref(),
            Some("service-manager")
        );
        let near = Injection::prepare(&host, r#"{"service-stop":{"service":"chekout"}}"#);
        assert!(near.err().expect("refused").hint.contains("`checkout`"));
        service.kill_supervisor();
        assert_eq!(code(STOP).as_deref(), Some("service-manager"), "no runsv");
    });
}

#[test]
fn the_service_that_the_agent_runs_in_is_refused() {
    let dir = tempfile::tempdir().expect("tempdir");
    let service = Supervised::start(Which::Double, dir.path(), "checkout", RUN);
    let host = host(dir.path());
    // The double writes its status at events only. Until the next event the status says that this test process is the service.
    let path = service.dir.join("supervise/status");
    let mut status = std::fs::read(&path).expect("status");
    status[12..16].copy_from_slice(&std::process::id().to_le_bytes());
    std::fs::write(&path, status).expect("status");
    for json in [STOP, KILL, RESTART] {
        assert_eq!(Injection::prepare(&host, json).err().expect("refused").code, RefusalCode::OwnService);
    }
}

#[test]
fn snapshots_distinguish_up_and_down() {
    each(|which, dir| {
        let _checkout = Supervised::start(which, dir, "checkout", RUN);
        let cart = Supervised::start(which, dir, "cart", RUN);
        // Packages leave services like this where runit does not run. In Debian `supervise` is a link without a target.
        let idle = dir.join("service/idle");
        std::fs::create_dir_all(&idle).expect("folder");
        std::fs::write(idle.join("run"), "#!/bin/sh\nexec sleep 600\n").expect("run");
        std::os::unix::fs::symlink("/nonexistent/supervise", idle.join("supervise")).expect("link");
        let host = host(dir);
        let observe = || {
            let mut seen = BTreeMap::new();
            snapshot::units::observe(&host, &mut seen).expect("observed");
            seen.retain(|key, _| key.starts_with("unit:runit/"));
            seen
        };
        let before = observe();
        assert_eq!(before.keys().collect::<Vec<_>>(), ["unit:runit/cart", "unit:runit/checkout"]);
        assert_eq!(before["unit:runit/cart"], "up, wanted up");
        cart.send(b"d");
        until("the stop", || cart.is_down());
        assert_eq!(observe()["unit:runit/cart"], "down, wanted down");
        cart.send(b"u");
        until("the start", || cart.main().is_some());
        assert_eq!(observe(), before);
        let findings = firedrill_agent::service::findings(&host);
        assert!(
            findings.iter().any(|finding| finding.what == "runit" && finding.detail.contains("2 of 2")),
            "{findings:?}"
        );
    });
}
