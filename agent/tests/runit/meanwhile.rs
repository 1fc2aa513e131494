//! Tests of changes while a service is stopped: by an administrator, and by a supervisor that ends.

use super::*;

#[test]
fn a_service_that_an_administrator_stops_stays_stopped() {
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
fn a_service_that_others_stop_between_prepare_and_inject_stays_stopped() {
    each(|which, dir| {
        let service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        service.send(b"d");
        until("the administrator's stop", || service.is_down());
        let injected = stop.inject();
        assert_eq!(injected.undo, Some(Vec::new()), "the agent must not start it");
        assert_eq!(stop.seen().in_force, Seen::No, "the agent did not stop it");
        stop.undo();
        assert!(service.is_down());
    });
}

#[test]
fn an_undo_waits_for_runsv_and_a_removed_service_counts_as_a_change_by_others() {
    each(|which, dir| {
        let mut service = Supervised::start(which, dir, "checkout", RUN);
        let host = host(dir);
        let mut stop = Injection::prepare(&host, STOP).expect("prepared");
        stop.inject();
        service.kill_supervisor();
        let error = stop.try_undo().expect_err("no runsv reads the commands");
        assert!(error.passing && error.by_hand.starts_with("sv up "), "{error}");
        assert_eq!(stop.seen().in_force, Seen::Unknown, "without runsv the status may be old");
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
