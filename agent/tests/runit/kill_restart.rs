//! Tests of `service-kill` and `service-restart`.

use super::*;

#[test]
fn a_service_is_killed_with_all_its_children() {
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
        assert_eq!(service.main(), back, "the new process is not killed");
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
        kill.try_inject().expect_err("another process runs now");
        assert_eq!(service.main(), back);
    });
}

#[test]
fn a_service_is_restarted_once() {
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

        // Somebody has stopped the service since the restart was prepared: the restart must not start it.
        let again = Injection::prepare(&host, RESTART).expect("prepared");
        service.send(b"d");
        until("the stop", || service.is_down());
        again.try_inject().expect_err("it is down");
        assert!(service.is_down());
    });
}
