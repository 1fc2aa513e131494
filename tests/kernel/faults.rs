//! Drills with and without disturbances.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

use crate::{
    drill::{Drill, Fault, STOP, firedrill},
    machine::{
        call, chains, check_clean, is_up, lines, open, packaging, property, step, systemctl, tables, told,
        until,
    },
    names::Questions,
};

pub(crate) fn doctor() {
    step("doctor and status");
    let doctor = firedrill(&["doctor"]);
    eprintln!("{}", String::from_utf8_lossy(&doctor.stdout));
    assert_eq!(doctor.status.code(), Some(0), "{}", String::from_utf8_lossy(&doctor.stderr));
    let status = firedrill(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
}

const SLOW: Fault<'_> = (
    "net-slow",
    "{ to = \"10.9.0.2\", local_ports = 8080, delay = \"100ms\", jitter = \"20ms\", engine = \"kernel\" }",
);

const BY_IPTABLES: Fault<'_> =
    ("net-block", "{ to = \"10.9.0.2\", local_ports = 8080, engine = \"iptables\" }");

/// Every kind that leaves the machine up, some with several engines.
const DRILLED: &[Fault<'_>] = &[
    STOP,
    ("service-kill", "{ service = \"checkout\" }"),
    ("service-restart", "{ service = \"checkout\" }"),
    ("process-pause", "{ match = { service = \"checkout\" } }"),
    ("process-kill", "{ match = { command = \"checkout --port 8080\" } }"),
    ("net-block", "{ to = \"10.9.0.2\", local_ports = 8080 }"),
    BY_IPTABLES,
    SLOW,
    ("net-lose", "{ to = \"10.9.0.2\", local_ports = 8080, share = \"10%\", engine = \"kernel\" }"),
    ("net-slow", "{ to = \"10.9.0.2\", local_ports = 8080, delay = \"100ms\", engine = \"user-space\" }"),
    ("net-duplicate", "{ to = \"10.9.0.2\", local_ports = 8080, share = \"10%\", engine = \"kernel\" }"),
    ("net-corrupt", "{ to = \"10.9.0.2\", local_ports = 8080, share = \"10%\", engine = \"kernel\" }"),
    (
        "net-reorder",
        "{ to = \"10.9.0.2\", local_ports = 8080, share = \"10%\", delay = \"20ms\", engine = \"kernel\" }",
    ),
    ("net-throttle", "{ to = \"10.9.0.2\", local_ports = 8080, rate = \"1mbit\", engine = \"kernel\" }"),
    ("net-reset", "{ to = \"10.9.0.2\", local_ports = 8080 }"),
    DNS,
    ("net-down", "{ interface = \"fd0\", cut_off = true }"),
    ("net-flap", "{ interface = \"fd2\", down = \"1s\", up = \"1s\" }"),
    ("host-isolate", "{}"),
];

const DNS: Fault<'_> = ("net-dns", "{ to = \"10.9.0.2\", zones = \".\", how = \"nxdomain\" }");

/// Kinds that are not drilled, each with the reason.
const WITHOUT: [(&str, &str); 4] = [
    ("net-partition", "each of its hosts has a net-block"),
    ("host-reboot", "it takes the machine down"),
    ("host-poweroff", "it takes the machine down"),
    ("region-kill", "an agent is never asked for it"),
];

/// Checks that each kind is drilled, or has a reason not to be.
pub(crate) fn every_kind_is_drilled_or_has_a_reason() {
    for kind in firedrill_wire::Fault::KINDS {
        let drilled = DRILLED.iter().any(|(listed, _)| *listed == kind);
        let without = WITHOUT.iter().any(|(listed, _)| *listed == kind);
        assert!(
            drilled != without,
            "{kind} is in none or both of `DRILLED` and `WITHOUT` of the kernel tests"
        );
    }
}

/// Returns the half of the list that is drilled, 0 or 1, which `tests/kernel/run.sh` sets; `None` for the whole list.
fn turn() -> Option<usize> {
    let turn = std::env::var("FIREDRILL_TURN").ok().filter(|turn| !turn.is_empty())?;
    Some(turn.parse().expect("FIREDRILL_TURN is 0, 1 or empty"))
}

/// Checks that the hardening of the agent's unit hinders no kind of fault.
pub(crate) fn every_kind_lands_and_is_put_back() {
    let turn = turn();
    let half = turn.map_or("all of the list".to_owned(), |turn| format!("half {turn} of the list"));
    step(&format!("every kind that leaves the machine up, one after another: {half}"));
    let faults = DRILLED.iter().copied().enumerate();
    for (number, fault) in faults.filter(|(number, _)| turn.is_none_or(|turn| number % 2 == turn)) {
        let _questions = (fault == DNS).then(Questions::ask);
        let ended = Drill::start(&format!("{}-{number}", fault.0), &[fault], "4s").end_in_time();
        let attack = &ended.card["attacks"][0];
        step(&format!("{}: {} {}", fault.0, attack["verdict"], attack["why"]));
        assert_eq!(attack["injections"][0]["in_force"], "yes", "{attack:#}");
        // Stopping a service takes long in emulation. A fault that was in force too short is not called `held`.
        let late = attack["why"].as_array().is_some_and(|why| {
            !why.is_empty()
                && why.iter().all(|why| why.as_str().is_some_and(|why| why.contains("was in force for")))
        });
        ended.check(if late { 3 } else { 0 }, "clean");
    }
    check_clean();
}

fn main_process() -> String {
    property("firedrill-agent", "MainPID")
}

pub(crate) fn killed_by_systemctl() {
    step("the agent's main process is killed while a service is stopped");
    let drill = Drill::start("killed", &[STOP], "40s").in_force();
    let before = main_process();
    systemctl(&["kill", "-s", "KILL", "--kill-who=main", "firedrill-agent"]);
    let healed = until("checkout", || is_up("checkout"));
    until("another agent", || is_up("firedrill-agent") && main_process() != before);
    eprintln!("up again after {healed:?}");
    drill.end().check(3, "clean");
    check_clean();

    step("all of the agent is killed while packets are dropped");
    let block = ("net-block", "{ to = \"10.9.0.2\", local_ports = 8080 }");
    let drill = Drill::start("killed-block", &[block], "40s").in_force();
    assert_eq!(tables().len(), 1);
    systemctl(&["kill", "-s", "KILL", "firedrill-agent"]);
    let killed = Instant::now();
    let gone = until("the rules going", || tables().is_empty());
    eprintln!("the rules were gone {gone:?} after the signal ({:?} in all)", killed.elapsed());
    drill.end().check(3, "clean");
    check_clean();

    step("all of the agent is killed while packets are late");
    let drill = Drill::start("killed-slow", &[SLOW], "40s").in_force();
    assert_eq!(
        (tables().len(), lines()),
        (2, 1),
        "the rules that select packets, those that send them to the line, and the line"
    );
    systemctl(&["kill", "-s", "KILL", "firedrill-agent"]);
    until("the rules going", || tables().is_empty());
    until("the line going, by the agent that comes", || lines() == 0);
    drill.end().check(3, "clean");
    check_clean();
}

/// Chains outlive the process that made them, so a later process must remove them.
pub(crate) fn killed_with_iptables() {
    step("all of the agent is killed while iptables drops packets");
    let drill = Drill::start("killed-iptables", &[BY_IPTABLES], "40s").in_force();
    assert!(chains().iter().any(|chain| chain.contains("-j DROP")), "{:?}", chains());
    systemctl(&["kill", "-s", "KILL", "firedrill-agent"]);
    until("the chains going", || chains().is_empty());
    drill.end().check(3, "clean");
    check_clean();
}

pub(crate) fn stopped_and_upgraded() {
    step("the agent is stopped in order");
    let drill = Drill::start("stopped", &[STOP], "40s").in_force();
    systemctl(&["stop", "firedrill-agent"]);
    assert!(is_up("checkout"), "the fault outlives the stop of the agent");
    assert_eq!(told(), None);
    systemctl(&["start", "firedrill-agent"]);
    drill.end().check(3, "clean");

    step("the agent is upgraded");
    let drill = Drill::start("upgraded", &[STOP], "40s").in_force();
    systemctl(&["restart", "firedrill-agent"]);
    assert!(is_up("checkout"));
    drill.end().check(3, "clean");
    check_clean();
}

pub(crate) fn guardian_stopped() {
    step("the guardian is stopped (SIGSTOP)");
    let drill = Drill::start("guardian", &[STOP], "40s").in_force();
    let before = main_process();
    call("kill", &["-STOP", &before]);
    let healed = until("checkout", || is_up("checkout"));
    until("another agent", || is_up("firedrill-agent") && main_process() != before);
    eprintln!("up again after {healed:?}");
    drill.end().check(3, "clean");
    check_clean();
}

pub(crate) fn watchdog() {
    step("all of the agent is stopped: the watchdog");
    // A shorter watchdog only shortens the test. The unit's own is 30 s.
    fs::create_dir_all("/run/systemd/system/firedrill-agent.service.d").expect("folder");
    fs::write("/run/systemd/system/firedrill-agent.service.d/vm.conf", "[Service]\nWatchdogSec=6\n")
        .expect("drop-in");
    systemctl(&["daemon-reload"]);
    systemctl(&["restart", "firedrill-agent"]);
    let drill = Drill::start("watchdog", &[STOP], "50s").in_force();
    let before = main_process();
    systemctl(&["kill", "-s", "STOP", "firedrill-agent"]);
    let healed = until("checkout", || is_up("checkout"));
    until("another agent", || is_up("firedrill-agent") && main_process() != before);
    eprintln!("up again after {healed:?}");
    drill.end().check(3, "clean");
    fs::remove_file("/run/systemd/system/firedrill-agent.service.d/vm.conf").expect("drop-in");
    systemctl(&["daemon-reload"]);
    systemctl(&["restart", "firedrill-agent"]);
    check_clean();
}

pub(crate) fn administrators() {
    step("an administrator starts the service and stops it again during the hold");
    let drill = Drill::start("admin", &[STOP], "12s").in_force();
    systemctl(&["start", "checkout"]);
    systemctl(&["stop", "checkout"]);
    let ended = drill.end();
    assert!(!is_up("checkout"), "the undo has started what the administrator stopped");
    assert_ne!(ended.code, Some(0), "{}", ended.log);
    let said =
        ended.card["hosts"].to_string() + &ended.card["why"].to_string() + &ended.card["attacks"].to_string();
    eprintln!("{} {:#}", ended.card["story"], ended.card["hosts"]);
    assert!(said.contains("checkout"), "the report does not name the service: {said}");
    systemctl(&["start", "checkout"]);

    step("an administrator masks the service during the hold");
    let drill = Drill::start("masked", &[STOP], "8s").in_force();
    systemctl(&["mask", "checkout"]);
    let ended = drill.end();
    eprintln!("{} {:#}", ended.card["story"], ended.card["hosts"]);
    assert!(!is_up("checkout"), "the undo has started a masked service");
    assert_ne!(ended.code, Some(0), "{}", ended.log);
    systemctl(&["unmask", "checkout"]);
    systemctl(&["start", "checkout"]);
    check_clean();
}

pub(crate) fn bus_down() {
    step("the bus is down while the fault is put back");
    let drill = Drill::start("bus", &[STOP], "6s").in_force();
    systemctl(&["stop", "dbus.socket", "dbus.service"]);
    until("a try to put it back", || open().iter().any(|open| open["state"] == "undoing"));
    assert!(!is_up("checkout"), "the service was started without the bus");
    systemctl(&["start", "dbus.socket", "dbus.service"]);
    until("checkout", || is_up("checkout"));
    let ended = drill.end();
    eprintln!("{} {}", ended.card["verdict"], ended.card["why"]);
    assert_eq!(ended.card["hosts"][0]["state"], "clean", "{:#}", ended.card);
    check_clean();
}

/// Checks that people who log in while a fault is in force are told of it.
pub(crate) fn people_are_told() {
    step("people who log in are told");
    let script = packaging("motd");
    assert_ne!(
        fs::metadata(&script).expect("the script").permissions().mode() & 0o111,
        0,
        "the script is not executable"
    );
    let said = || call(&script.display().to_string(), &[]);
    assert_eq!(said(), "", "people are told although nothing is in force");
    let drill = Drill::start("told", &[STOP], "20s").in_force();
    let text = said();
    assert!(text.contains("service-stop") && text.contains("firedrill-agent undo --all"), "{text}");
    let undone = firedrill(&["undo", "--all"]);
    assert_eq!(undone.status.code(), Some(0), "{}", String::from_utf8_lossy(&undone.stderr));
    assert!(is_up("checkout") && told().is_none());
    let ended = drill.end();
    assert_ne!(ended.code, Some(0), "{}", ended.log);

    step("halted until somebody releases it");
    let refused = Drill::start("halted", &[STOP], "5s").code();
    assert_eq!(refused, Some(4), "a halted fleet does not refuse a drill");
    assert_eq!(firedrill(&["release"]).status.code(), Some(0));
    check_clean();
}
