//! Faults on runit services: with a double that speaks runsv's protocol, and with runsv if it is installed.

#[path = "helpers/runsv.rs"]
mod runsv;
#[path = "helpers/services.rs"]
mod services;

use std::collections::BTreeMap;

use firedrill_agent::{
    host::process::{Stat, alive},
    injection,
    service::Unit,
    snapshot,
    undo::is_left,
};
use firedrill_wire::{RefusalCode, evidence::Seen, fault::ServiceManager};
use runsv::{Supervised, Which, supervisors};
use services::{Injection, host, until};

const STOP: &str = r#"{"service-stop":{"service":"checkout"}}"#;
const KILL: &str = r#"{"service-kill":{"service":"checkout"}}"#;
const RESTART: &str = r#"{"service-restart":{"service":"checkout"}}"#;
const RUN: &str = "exec sleep 600";
/// Ends only when the test says so, whatever signal comes; the next run ends normally.
const STUBBORN: &str = "trap '' TERM; rm -f end; : > deaf; until [ -e end ]; do sleep 0.02; done";

fn each(test: impl Fn(Which, &std::path::Path)) {
    for which in supervisors() {
        let dir = tempfile::tempdir().expect("tempdir");
        eprintln!("against {which:?}");
        test(which, dir.path());
    }
}

/// Starts a service by [`STUBBORN`], and waits until no signal ends it any more.
fn stubborn(which: Which, dir: &std::path::Path, name: &str) -> Supervised {
    let service = Supervised::start(which, dir, name, STUBBORN);
    until("it to ignore TERM", || service.dir.join("deaf").exists());
    service
}

fn name_of(pid: i32) -> firedrill_agent::host::process::Name {
    Stat::read(pid).expect("proc").expect("lives").name
}

#[test]
fn stopped_and_started_again() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let before = service.main().expect("up");
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        assert_eq!(stop.live.prepared.claims[0].what, "unit:runit/checkout");
        assert_eq!(service.main(), Some(before), "prepare only reads");
        assert_eq!(stop.seen().in_force, Seen::No);
        let first = stop.inject();
        assert!(service.is_down());
        assert_eq!(stop.inject(), first, "injecting twice is injecting once");
        assert_eq!((stop.seen().in_force, stop.seen().exercised), (Seen::Yes, Seen::Yes));
        assert_eq!(stop.undo()[0].foreign, Vec::<String>::new());
        let after = service.main().expect("up again");
        assert_ne!(after, before);
        assert_eq!(stop.seen().in_force, Seen::No);
        assert_eq!(stop.undo()[0].foreign, Vec::<String>::new(), "undoing twice is undoing once");
        assert_eq!(service.main(), Some(after));
    });
}

#[test]
fn an_agent_that_died_before_it_learnt_the_mark_starts_it_all_the_same() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.try_inject().expect("injects");
        // The outcome was never journaled: only the undo from prepare is left.
        stop.undo();
        assert!(service.main().is_some());
    });
}

#[test]
fn a_stop_that_was_sent_and_not_read_yet_is_put_back() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let stop = Injection::prepare(&host, STOP).expect("prepared");
        service.is_deaf(true);
        // Sent by an agent that died before it saw the service end.
        service.send(b"d");
        std::thread::scope(|scope| {
            let undoing = scope.spawn(|| stop.undo());
            until("an end", || service.waiting() == 2 || undoing.is_finished());
            assert_eq!(service.waiting(), 2, "a start follows the stop");
            service.is_deaf(false);
            undoing.join().expect("no panic");
        });
        assert!(service.main().is_some() && service.waiting() == 0, "it is up, and nothing waits");
    });
}

#[test]
fn a_stop_that_fails_is_put_back() {
    each(|which, dir| {
        // It is not down within the hold.
        let service = stubborn(which, dir, "checkout");
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.live.ask.hold = firedrill_wire::Span::secs(1);
        let error = stop.try_inject().expect_err("does not stop").to_string();
        assert!(error.contains("stopping"), "{error}");
        assert_eq!(stop.seen().in_force, Seen::No);
        // It is wanted up again; but the run that was told to end may still do so, and does not count as back.
        let main = service.main().expect("lives on");
        let error = stop.try_undo().expect_err("nothing else runs");
        assert!(error.passing && error.what.contains(&format!("process {main} was told to stop")), "{error}");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(main), nix::sys::signal::Signal::SIGKILL)
            .expect("kill");
        stop.undo();
        assert!(service.main().is_some_and(|now| now != main), "it is back");
        stop.undo();
    });
}

#[test]
fn a_stop_that_is_called_off_is_not_waited_for() {
    each(|which, dir| {
        let service = stubborn(which, dir, "checkout");
        let host = host(dir);
        let stop = Injection::prepare(&host, STOP).expect("prepared");
        let manager = ServiceManager::Runit;
        let unit = Unit { manager, id: service.dir.to_str().expect("text").to_owned() };
        let runit = firedrill_agent::service::manager(&host, manager).expect("runit");
        let main = service.main();
        std::thread::scope(|scope| {
            let injecting = scope.spawn(|| stop.try_inject());
            until("the stop to be under way", || !runit.state(&unit).expect("state").wanted_up);
            injection::call_off(&host, &stop.live.ask.id);
            let error = injecting.join().expect("no panic").expect_err("it is not down").to_string();
            assert!(error.contains("called off"), "{error}");
        });
        assert_eq!(service.main(), main, "it has not ended");
        std::fs::write(service.dir.join("end"), "").expect("written");
        stop.undo();
        assert!(service.main().is_some_and(|now| Some(now) != main));
    });
}

#[test]
fn what_is_slow_to_stop_is_back_when_another_one_runs() {
    each(|which, dir| {
        for (name, control) in [("checkout", None), ("own-way", Some("exit 0"))] {
            let service = stubborn(which, dir, name);
            if let Some(control) = control {
                runsv::script(&service.dir.join("control/t"), control);
            }
            let host = host(dir);
            let json = STOP.replace("checkout", name);
            let stop = Injection::prepare(&host, &json).expect("prepared");
            let main = service.main();
            let manager = ServiceManager::Runit;
            let unit = Unit { manager, id: service.dir.to_str().expect("text").to_owned() };
            let runit = firedrill_agent::service::manager(&host, manager).expect("runit");
            // As after an agent that died while it was stopping it: only the undo from prepare is left.
            service.send(b"d");
            until("the stop to be under way", || !runit.state(&unit).expect("state").wanted_up);
            std::thread::scope(|scope| {
                let undo = scope.spawn(|| stop.try_undo());
                until("the start", || runit.state(&unit).expect("state").wanted_up);
                assert_eq!(service.main(), main, "the old one has not ended");
                std::fs::write(service.dir.join("end"), "").expect("written");
                undo.join().expect("no panic").expect("undone");
            });
            assert!(
                service.main().is_some_and(|now| Some(now) != main),
                "{name}: it was called back too early"
            );
        }
    });
}

#[test]
fn what_an_administrator_stopped_stays_stopped() {
    each(|which, dir| {
        for commands in [b"d".as_slice(), b"ud"] {
            let service = Supervised::start(which, dir, "checkout", RUN);
            let host = host(dir);
            let mut stop = Injection::prepare(&host, STOP).expect("prepared");
            stop.inject();
            for command in commands {
                service.send(&[*command]);
                if *command == b'u' {
                    until("the administrator's start", || service.main().is_some());
                }
            }
            // runsv does not answer: only its status shows that it has read the command.
            let Some(firedrill_agent::undo::Undo::StartService { stopped_mark: Some(mark), unit, manager }) =
                stop.live.prepared.undo.first().cloned()
            else {
                panic!("{:?}", stop.live.prepared.undo)
            };
            let unit = firedrill_agent::service::Unit { manager, id: unit };
            let runit = firedrill_agent::service::manager(&host, manager).expect("runit");
            until("the administrator's stop", || {
                service.is_down() && runit.state(&unit).expect("state").mark != mark
            });
            for _ in 0..2 {
                let undone = stop.undo();
                assert_eq!(undone[0].foreign.len(), 1, "{undone:?}");
                assert!(is_left(&unit.claim(), &undone[0].foreign), "{undone:?}");
                assert!(service.is_down());
            }
            drop(service);
        }
    });
}

#[test]
fn stopped_by_somebody_between_prepare_and_inject() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        service.send(b"d");
        until("the administrator's stop", || service.is_down());
        let injected = stop.inject();
        assert_eq!(injected.undo, Some(Vec::new()), "it is not ours to start");
        assert_eq!(stop.seen().in_force, Seen::No, "and not ours to boast of");
        stop.undo();
        assert!(service.is_down());
    });
}

#[test]
fn runsv_gone_for_a_moment_is_passing_and_a_service_gone_for_good_is_not_ours() {
    each(|which, dir| {
        let mut service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.inject();
        service.kill_supervisor();
        let error = stop.try_undo().expect_err("nobody reads");
        assert!(error.passing && error.by_hand.starts_with("sv up "), "{error}");
        assert_eq!(stop.seen().in_force, Seen::Unknown, "a status that nobody keeps is no evidence");
        service.new_supervisor(which);
        until("its start", || service.main().is_some());
        stop.undo();

        stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.inject();
        service.kill_supervisor();
        std::fs::remove_dir_all(&service.dir).expect("removed");
        assert_eq!(stop.undo()[0].foreign.len(), 1);
    });
}

#[test]
fn what_is_down_or_unknown_is_refused() {
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
    // The double writes its status at events only, so for now the service is us.
    let path = service.dir.join("supervise/status");
    let mut status = std::fs::read(&path).expect("status");
    status[12..16].copy_from_slice(&std::process::id().to_le_bytes());
    std::fs::write(&path, status).expect("status");
    for json in [STOP, KILL, RESTART] {
        assert_eq!(Injection::prepare(&host, json).err().expect("refused").code, RefusalCode::OwnService);
    }
}

#[test]
fn a_finish_script_is_waited_for() {
    each(|which, dir| {
        let service = Supervised::start_with(which, dir, "checkout", RUN, Some("sleep 0.3"));
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.inject();
        assert!(service.is_down());
        stop.undo();
        assert!(service.main().is_some());
    });
}

#[test]
fn killed_with_all_its_children() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", "sleep 600 & sleep 600 & wait");
        let host = host(dir);
        let main = name_of(service.main().expect("up"));
        let mut kill = Injection::prepare(&host, KILL).expect("prepared");
        assert!(kill.live.prepared.undo.is_empty());
        assert!(kill.live.prepared.notes[0].contains("again"), "{:?}", kill.live.prepared.notes);
        assert_eq!(kill.seen().in_force, Seen::No);
        let first = kill.inject();
        assert!(first.detail.contains("3 processes"), "{first:?}");
        assert_eq!(kill.inject(), first, "injecting twice is injecting once");
        assert_eq!(alive(main).expect("proc"), None);
        assert_eq!(kill.seen().in_force, Seen::Yes, "{:?}", kill.seen());
        until("its return", || service.main().is_some_and(|pid| pid != main.pid));
        let back = service.main();
        kill.inject();
        assert_eq!(service.main(), back, "the new one is not killed");
        assert_eq!(kill.seen().in_force, Seen::Yes);
    });
}

#[test]
fn a_service_that_died_before_is_not_killed() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let kill = Injection::prepare(&host, KILL).expect("prepared");
        let main = service.main().expect("up");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(main), nix::sys::signal::Signal::SIGKILL)
            .expect("kill");
        until("its return", || service.main().is_some_and(|pid| pid != main));
        let back = service.main();
        kill.try_inject().expect_err("it is another process");
        assert_eq!(service.main(), back);
    });
}

#[test]
fn restarted_once() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let main = service.main().expect("up");
        let mut restart = Injection::prepare(&host, RESTART).expect("prepared");
        assert_eq!(restart.seen().in_force, Seen::No);
        restart.inject();
        until("its return", || service.main().is_some_and(|pid| pid != main));
        let second = service.main();
        restart.inject();
        assert_eq!(service.main(), second, "injecting twice is injecting once");
        assert_eq!(restart.seen().in_force, Seen::Yes, "{:?}", restart.seen());

        // Somebody has stopped it since it was prepared: a restart must not start it.
        let again = Injection::prepare(&host, RESTART).expect("prepared");
        service.send(b"d");
        until("the stop", || service.is_down());
        again.try_inject().expect_err("it is down");
        assert!(service.is_down());
    });
}

#[test]
fn snapshots_tell_up_from_down() {
    each(|which, dir| {
        let _one = Supervised::start(which, dir, "checkout", RUN);
        let two = Supervised::start(which, dir, "cart", RUN);
        // As packages leave them where runit does not run; Debian's links have no target.
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
        two.send(b"d");
        until("the stop", || two.is_down());
        assert_eq!(observe()["unit:runit/cart"], "down, wanted down");
        two.send(b"u");
        until("the start", || two.main().is_some());
        assert_eq!(observe(), before);
        let findings = firedrill_agent::service::findings(&host);
        assert!(
            findings.iter().any(|finding| finding.what == "runit" && finding.detail.contains("2 of 2")),
            "{findings:?}"
        );
    });
}
