//! Tests of `service-stop`: how a service is stopped and started again.

use super::*;

#[test]
fn a_service_is_stopped_and_started_again() {
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
fn the_undo_from_prepare_is_enough_to_start_a_service() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.try_inject().expect("injects");
        // As after an agent that died before it wrote the outcome to the journal: only the undo from prepare is left.
        stop.undo();
        assert!(service.main().is_some());
    });
}

#[test]
fn a_stop_that_was_sent_and_not_read_yet_is_undone() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let stop = Injection::prepare(&host, STOP).expect("prepared");
        service.set_deaf(true);
        // Sent by an agent that died before it saw the service end.
        service.send(b"d");
        std::thread::scope(|scope| {
            let undoing = scope.spawn(|| stop.undo());
            until("the start to be sent, or the undo to end", || {
                service.waiting() == 2 || undoing.is_finished()
            });
            assert_eq!(service.waiting(), 2, "a start follows the stop");
            service.set_deaf(false);
            undoing.join().expect("no panic");
        });
        assert!(service.main().is_some() && service.waiting() == 0, "it is up, and nothing waits");
    });
}

#[test]
fn a_stop_that_fails_is_undone() {
    each(|which, dir| {
        // This service is not down within the hold.
        let service = stubborn(which, dir, "checkout");
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.live.ask.hold = firedrill_wire::Span::secs(1);
        let error = stop.try_inject().expect_err("does not stop").to_string();
        assert!(error.contains("stopping"), "{error}");
        assert_eq!(stop.seen().in_force, Seen::No);
        // The service is wanted up again. But the old process got TERM and may still end, so it does not count as back.
        let main = service.main().expect("lives on");
        let error = stop.try_undo().expect_err("only the old process runs");
        assert!(error.passing && error.what.contains(&format!("process {main} was told to stop")), "{error}");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(main), nix::sys::signal::Signal::SIGKILL)
            .expect("kill");
        stop.undo();
        assert!(service.main().is_some_and(|now| now != main), "it is back");
        stop.undo();
    });
}

#[test]
fn a_stop_that_is_called_off_ends_at_once() {
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
        assert_eq!(service.main(), main, "the old process still runs");
        std::fs::write(service.dir.join("end"), "").expect("written");
        stop.undo();
        assert!(service.main().is_some_and(|now| Some(now) != main));
    });
}

#[test]
fn a_service_that_stops_slowly_is_back_when_another_process_runs() {
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
            // As after an agent that died while it was stopping the service: only the undo from prepare is left.
            service.send(b"d");
            until("the stop to be under way", || !runit.state(&unit).expect("state").wanted_up);
            std::thread::scope(|scope| {
                let undo = scope.spawn(|| stop.try_undo());
                until("the start", || runit.state(&unit).expect("state").wanted_up);
                assert_eq!(service.main(), main, "the old process has not ended");
                std::fs::write(service.dir.join("end"), "").expect("written");
                undo.join().expect("no panic").expect("undone");
            });
            assert!(
                service.main().is_some_and(|now| Some(now) != main),
                "{name}: the undo ended before another process ran"
            );
        }
    });
}

#[test]
fn a_service_with_a_finish_script_is_stopped_and_started_again() {
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
