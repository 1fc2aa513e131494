//! During a fault the agent's package is removed, or the machine loses its power.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    drill::{Drill, STOP, firedrill},
    machine::{OUT, call, check_clean, is_up, link, open, packaging, property, step, systemctl, told, until},
};

/// Takes the steps that the package's script takes before the files are removed.
pub(crate) fn package_removed() {
    step("the package is removed");
    let drill = Drill::start("removed", &[STOP], "40s").in_force();
    call(&packaging("prerm").display().to_string(), &["remove"]);
    assert!(is_up("checkout") && told().is_none());
    assert!(!is_up("firedrill-agent"));
    systemctl(&["start", "firedrill-agent"]);
    // The removal of the package stops the drill, and that is final.
    drill.end().check(5, "clean");
    check_clean();
}

/// Switches the machine off as if its power were cut, and does not return. The test goes on after the next boot.
pub(crate) fn power_lost() {
    step("the power is cut");
    let drill = Drill::start("power", &[STOP], "600s").in_force();
    assert!(!is_up("checkout"));
    fs::write(Path::new(OUT).join("run"), drill.folder().display().to_string()).expect("written");
    // The file tells the runner that the machine goes off without a regular end.
    fs::write(Path::new(OUT).join("power-lost"), "").expect("written");
    fs::write("/proc/sys/kernel/sysrq", "1").expect("sysrq");
    // Nothing is synced or stopped first.
    fs::write("/proc/sysrq-trigger", "o").expect("sysrq");
    loop {
        std::thread::park();
    }
}

/// Checks after the next boot that open faults were undone before the agent served.
pub(crate) fn swept() {
    step("the next boot");
    until("the agent", || is_up("firedrill-agent"));
    let number = |unit: &str, name: &str| property(unit, name).parse::<u64>().expect("a number");
    assert_eq!(property("firedrill-sweep", "Result"), "success");
    let swept = number("firedrill-sweep", "ExecMainExitTimestampMonotonic");
    let served = number("firedrill-agent", "ExecMainStartTimestampMonotonic");
    assert!(0 < swept && swept <= served, "swept at {swept}, served from {served}");
    eprintln!("{}", call("journalctl", &["-b", "-u", "firedrill-sweep", "--no-pager", "-o", "cat"]));
    assert!(
        is_up("checkout"),
        "the sweep has not started the service, and nothing else does, because it is not enabled"
    );
    assert_eq!(open(), Vec::<Value>::new());
    assert_eq!(told(), None);

    step("collecting what the run left");
    link();
    let run = fs::read_to_string(Path::new(OUT).join("run")).expect("the run's folder");
    let collected = firedrill(&["collect", &run]);
    let said =
        String::from_utf8_lossy(&collected.stdout).into_owned() + &String::from_utf8_lossy(&collected.stderr);
    eprintln!("{said}");
    let report = fs::read_to_string(Path::new(&run).join("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let card = &report["scorecard"];
    eprintln!("{} {:#}", card["verdict"], card["hosts"]);
    assert_eq!(card["verdict"], "unknown", "{card:#}");
    assert!(matches!(collected.status.code(), Some(3 | 6)), "{said}");
    check_clean();
}
