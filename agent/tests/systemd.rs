//! Tests of faults on real systemd services, as root under a systemd that may be harmed.
//!
//! They run only with `FIREDRILL_VM=1`, which says that this is a virtual machine made for them: among others the system's bus is stopped.

#[path = "helpers/services.rs"]
mod services;

use std::{collections::BTreeMap, fs, process::Command};

use firedrill_agent::{
    host::Host,
    service::{Phase, State, Unit, manager},
    snapshot,
};
use firedrill_wire::{evidence::Seen, fault::ServiceManager};
use services::{Injection, host, until};

const STOP: &str = r#"{"service-stop":{"service":"fd-shop"}}"#;

fn systemctl(words: &[&str]) {
    let done = Command::new("systemctl").args(words).status().expect("systemctl");
    assert!(done.success(), "systemctl {words:?}");
}

fn install(name: &str, text: &str) {
    // In the directory of packages, so that masking works as on a real host.
    fs::write(format!("/usr/lib/systemd/system/{name}"), text).expect("unit file");
}

fn phase(host: &Host, id: &str) -> Phase {
    state(host, id).phase
}

fn state(host: &Host, id: &str) -> State {
    let unit = Unit { manager: ServiceManager::Systemd, id: id.into() };
    manager(host, ServiceManager::Systemd).expect("systemd").state(&unit).expect("state")
}

fn step(what: &str) {
    eprintln!("--- {what}");
}

#[test]
fn faults_on_systemd_services() {
    if std::env::var("FIREDRILL_VM").as_deref() != Ok("1") {
        eprintln!(
            "skipped: systemd for real, because FIREDRILL_VM=1 does not say that this machine may be harmed"
        );
        return;
    }
    install(
        "fd-shop.service",
        "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=basic.target\n",
    );
    install(
        "fd-cart.service",
        "[Unit]\nRequires=fd-shop.service\nAfter=fd-shop.service\n[Service]\nExecStart=/bin/sleep infinity\n",
    );
    install(
        "fd-phoenix.service",
        "[Service]\nExecStart=/bin/sh -c 'sleep infinity & sleep infinity & wait'\nRestart=always\nRestartSec=300ms\n",
    );
    install("fd-mortal.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    install("fd-shy.service", "[Unit]\nRefuseManualStop=yes\n[Service]\nExecStart=/bin/sleep infinity\n");
    install("fd-sock.socket", "[Socket]\nListenStream=/run/fd-sock\n");
    install("fd-sock.service", "[Service]\nExecStart=/bin/sleep infinity\nStandardInput=null\n");
    install(
        "fd-slow.service",
        "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'sleep 2; systemd-notify --ready; sleep infinity'\n",
    );
    install(
        "fd-stubborn.service",
        "[Service]\nExecStart=/bin/sh -c 'rm -f /run/fd-end; trap \"\" TERM; until [ -e /run/fd-end ]; do sleep 0.1; done'\n",
    );
    systemctl(&["daemon-reload"]);
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let observe = || {
        let mut seen = BTreeMap::new();
        snapshot::units::observe(&host, &mut seen).expect("observed");
        seen.retain(|key, _| key.contains("/fd-"));
        seen
    };

    step("stop and start, with a service that requires it");
    systemctl(&[
        "start",
        "fd-shop",
        "fd-cart",
        "fd-phoenix",
        "fd-mortal",
        "fd-shy",
        "fd-sock.socket",
        "fd-sock",
        "fd-slow",
        "fd-stubborn",
    ]);
    let before = observe();
    eprintln!("{before:#?}");
    let mut stop = Injection::prepare(&host, STOP).expect("prepared");
    eprintln!("{:#?}", stop.live.prepared);
    assert_eq!(stop.live.prepared.undo.len(), 2);
    let first = stop.inject();
    eprintln!("{first:?}");
    assert_eq!(stop.inject(), first);
    assert!(phase(&host, "fd-shop.service").is_down() && phase(&host, "fd-cart.service").is_down());
    assert_eq!(stop.seen().in_force, Seen::Yes);
    assert_ne!(observe(), before);
    eprintln!("{:?}", stop.undo());
    assert_eq!(observe(), before);
    assert_eq!(stop.seen().in_force, Seen::No);
    eprintln!("{:?}", stop.undo());
    assert_eq!(observe(), before);

    step("the agent died before it learnt the mark");
    let crashed = Injection::prepare(&host, STOP).expect("prepared");
    crashed.try_inject().expect("injects");
    crashed.undo();
    assert_eq!(observe(), before);

    step("an administrator starts and stops it meanwhile");
    let mut stop = Injection::prepare(&host, STOP).expect("prepared");
    stop.inject();
    systemctl(&["start", "fd-shop"]);
    assert_eq!(stop.seen().in_force, Seen::No);
    systemctl(&["stop", "fd-shop"]);
    let undone = stop.undo();
    eprintln!("{undone:?}");
    assert_eq!(
        (undone[0].foreign.len(), undone[1].foreign.len()),
        (1, 1),
        "starting fd-cart would start fd-shop: {undone:?}"
    );
    assert!(phase(&host, "fd-shop.service").is_down() && phase(&host, "fd-cart.service").is_down());
    assert_eq!(stop.undo(), undone, "undoing twice is undoing once");
    systemctl(&["start", "fd-shop", "fd-cart"]);

    step("an administrator masks it meanwhile");
    let mut stop =
        Injection::prepare(&host, r#"{"service-stop":{"service":"fd-mortal"}}"#).expect("prepared");
    stop.inject();
    systemctl(&["mask", "fd-mortal"]);
    let undone = stop.undo();
    eprintln!("{undone:?}");
    assert_eq!(undone[0].foreign.len(), 1);
    systemctl(&["unmask", "fd-mortal"]);
    systemctl(&["start", "fd-mortal"]);

    step("an administrator stops a service that is down already: is it still started?");
    let mut stop =
        Injection::prepare(&host, r#"{"service-stop":{"service":"fd-mortal"}}"#).expect("prepared");
    stop.inject();
    let show = || {
        let out = Command::new("systemctl").args(["show", "fd-mortal"]).output().expect("systemctl").stdout;
        String::from_utf8_lossy(&out).lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let before_second_stop = show();
    systemctl(&["stop", "fd-mortal"]);
    let after_second_stop = show();
    eprintln!(
        "differs after the second stop: {:?}",
        before_second_stop.symmetric_difference(&after_second_stop).collect::<Vec<_>>()
    );
    eprintln!("{:?}", stop.undo());
    assert_eq!(phase(&host, "fd-mortal.service"), Phase::Up);

    step("a slow start is waited for");
    let mut stop = Injection::prepare(&host, r#"{"service-stop":{"service":"fd-slow"}}"#).expect("prepared");
    stop.inject();
    stop.undo();
    assert_eq!(phase(&host, "fd-slow.service"), Phase::Up);

    step("a service that stops slowly is back when another process runs");
    let mut stop =
        Injection::prepare(&host, r#"{"service-stop":{"service":"fd-stubborn"}}"#).expect("prepared");
    stop.live.ask.hold = firedrill_wire::Span::secs(1);
    let old = state(&host, "fd-stubborn.service");
    let error = stop.try_inject().expect_err("it does not stop").to_string();
    eprintln!("{error}");
    let now = state(&host, "fd-stubborn.service");
    assert_eq!((now.phase, now.run), (Phase::Stopping, old.run.clone()));
    let error = stop.try_undo().expect_err("the old process has not ended");
    eprintln!("{error}");
    assert!(error.passing && error.what.contains("was told to stop and has not ended"), "{error}");
    fs::write("/run/fd-end", "").expect("written");
    eprintln!("{:?}", stop.undo());
    let now = state(&host, "fd-stubborn.service");
    assert!(now.is_back(old.run.as_deref()) && now.run.is_some() && now.main != old.main, "{old:?} {now:?}");

    step("refusals");
    let code = |name: &str| {
        let json = format!(r#"{{"service-stop":{{"service":"{name}"}}}}"#);
        Injection::prepare(&host, &json).err().map(|problem| {
            eprintln!("{name}: {problem:?}");
            problem.code.to_string()
        })
    };
    assert_eq!(code("fd-shy").as_deref(), Some("not-stoppable"));
    assert_eq!(code("fd-none").as_deref(), Some("no-service"));
    assert_eq!(code("fd-shopp").as_deref(), Some("no-service"));
    assert_eq!(code("dbus").as_deref(), Some("not-stoppable"));
    assert!(code("vm-job").is_some(), "the service in which this test runs");
    let sock = Injection::prepare(&host, r#"{"service-stop":{"service":"fd-sock"}}"#).expect("prepared");
    assert!(
        sock.live.prepared.notes.iter().any(|note| note.contains("fd-sock.socket")),
        "{:?}",
        sock.live.prepared.notes
    );

    step("killed, and systemd brings it back");
    let kill_json = r#"{"service-kill":{"service":"fd-phoenix"}}"#;
    let mut kill = Injection::prepare(&host, kill_json).expect("prepared");
    eprintln!("{:?} {:?}", kill.live.prepared.effects, kill.live.prepared.notes);
    let killed = kill.inject();
    eprintln!("{killed:?}");
    assert_eq!(kill.inject(), killed);
    until("its return", || phase(&host, "fd-phoenix.service") == Phase::Up);
    eprintln!("{:?}", kill.seen());
    assert_eq!(kill.seen().in_force, Seen::Yes);

    step("restarted");
    let mut restart =
        Injection::prepare(&host, r#"{"service-restart":{"service":"fd-shop"}}"#).expect("prepared");
    assert_eq!(restart.seen().in_force, Seen::No);
    eprintln!("{:?}", restart.inject());
    until("its return", || phase(&host, "fd-shop.service") == Phase::Up);
    eprintln!("{:?}", restart.seen());
    assert_eq!(restart.seen().in_force, Seen::Yes);
    until("the return of the service that requires it", || phase(&host, "fd-cart.service") == Phase::Up);

    step("the bus is down during undo");
    let mut stop = Injection::prepare(&host, STOP).expect("prepared");
    stop.inject();
    systemctl(&["stop", "dbus.socket", "dbus.service"]);
    let result = stop.try_undo();
    eprintln!("without the bus: {result:?}");
    let refused = Injection::prepare(&host, STOP).err().map(|problem| problem.code.to_string());
    assert_eq!(refused.as_deref(), Some("service-manager"));
    assert_eq!(stop.seen().in_force, Seen::Unknown, "the service cannot be examined");
    eprintln!("{:?}", firedrill_agent::service::findings(&host));
    systemctl(&["start", "dbus.socket", "dbus.service"]);
    stop.undo();
    assert_eq!(observe().get("unit:systemd/fd-shop.service"), before.get("unit:systemd/fd-shop.service"));
    assert!(result.expect_err("there is no bus").passing);

    step("a state that is read within an async runtime");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async { assert_eq!(phase(&host, "fd-shop.service"), Phase::Up) });

    step("a failed start by the agent is not taken for an administrator's change");
    let mut stop =
        Injection::prepare(&host, r#"{"service-stop":{"service":"fd-mortal"}}"#).expect("prepared");
    stop.inject();
    install("fd-mortal.service", "[Service]\nType=exec\nExecStart=/nonexistent\n");
    systemctl(&["daemon-reload"]);
    for _ in 0..2 {
        let error = stop.try_undo().expect_err("cannot start");
        eprintln!("{error}");
        assert!(error.passing && error.by_hand == "systemctl start fd-mortal.service");
    }
    install("fd-mortal.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    systemctl(&["daemon-reload"]);
    stop.undo();
    assert_eq!(phase(&host, "fd-mortal.service"), Phase::Up);
    step("done");
}
