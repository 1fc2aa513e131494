//! Tests that hosts go down like machines: silently, completely, and with a new boot id when they are back.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use super::common::{
    demo_spec, eventually, get, program, root_of, run, status_of, up, wait_boots, wait_state,
};
use firedrill_lab::{HIDDEN, HostState, Lab, LabSpec, SELF_EXE, ServiceSpec};

/// Returns the demonstration's lab, with a service on each host that restarts the host when it is started.
fn spec(test: &str) -> LabSpec {
    let mut spec = LabSpec { boot_delay_ms: 800, ..demo_spec(test) };
    let rebooter = [SELF_EXE, HIDDEN, "reboot", "restart"].map(String::from).to_vec();
    let rebooter =
        ServiceSpec { name: "rebooter".into(), argv: rebooter, down: true, ..ServiceSpec::default() };
    spec.hosts.iter_mut().for_each(|h| h.services.push(rebooter.clone()));
    spec
}

/// Returns the events that client1 sees on a connection to app1 while `act` is carried out: `silent` if there are none.
fn heard_while(lab: &Lab, act: impl FnOnce()) -> String {
    eventually("app1 answers", || get(lab, "client1", "app1:8080", "/health").ok());
    // The program listens for 500 ms.
    let mut child = Command::new(program())
        .args(["exec", lab.name(), "client1", SELF_EXE, "hear", "app1:8080", "500"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "connected");
    act();
    let heard = lines.next().unwrap().unwrap();
    child.wait().unwrap();
    heard
}

#[test]
fn a_restart_is_silent_and_keeps_the_disk() {
    let Some(lab) = up(&spec("restart")) else { return };
    let before = status_of(&lab, "app1").boot_id;
    eventually("an order", || get(&lab, "client1", "app1:8080", "/checkout").ok());
    // The restart is called by a service of the host, as an agent would do it.
    let control = root_of(&lab, "app1").join("run/service/rebooter/supervise/control");
    let heard = heard_while(&lab, || {
        std::fs::OpenOptions::new().write(true).open(&control).unwrap().write_all(b"o").unwrap();
        // The host may have booted again already between two looks.
        eventually("it goes down", || {
            let now = status_of(&lab, "app1");
            (now.state == HostState::Restarting || now.boots == 2).then_some(())
        });
    });
    assert_eq!(heard, "silent");
    wait_boots(&lab, "app1", 2);
    let after = status_of(&lab, "app1");
    assert_ne!(after.boot_id, before);
    let shown =
        std::fs::read_to_string(root_of(&lab, "app1").join("proc/sys/kernel/random/boot_id")).unwrap();
    assert_eq!(shown.trim(), after.boot_id);
    let order = eventually("the shop is back", || get(&lab, "client1", "app1:8080", "/orders/1").ok());
    assert!(order.starts_with("200 "), "the order must survive: {order}");

    // The second restart is called by a command from outside.
    let heard = heard_while(&lab, || {
        let _ = run(&lab, "app1", &[HIDDEN, "reboot", "restart"]);
    });
    assert_eq!(heard, "silent");
    wait_boots(&lab, "app1", 3);
}

#[test]
fn a_host_that_is_off_stays_off_until_it_is_powered_on() {
    let Some(lab) = up(&spec("off")) else { return };
    let heard = heard_while(&lab, || {
        let _ = run(&lab, "app1", &[HIDDEN, "reboot", "power-off"]);
    });
    assert_eq!(heard, "silent");
    wait_state(&lab, "app1", HostState::Off);
    assert!(lab.exec("app1", &["true".into()]).is_err());
    assert!(get(&lab, "client1", "app1:8080", "/health").is_err());
    lab.power_on("app1").unwrap();
    assert!(lab.power_on("app1").is_err(), "a host that is on is powered on");
    wait_state(&lab, "app1", HostState::Up);
    eventually("app1 answers", || get(&lab, "client1", "app1:8080", "/health").ok());

    let heard = heard_while(&lab, || lab.kill("app1").unwrap());
    assert_eq!(heard, "silent");
    wait_state(&lab, "app1", HostState::Off);
}

#[test]
fn a_cut_cable_is_silent_and_heals() {
    let Some(lab) = up(&spec("cut")) else { return };
    assert_eq!(heard_while(&lab, || lab.cut("app1").unwrap()), "silent");
    assert!(!status_of(&lab, "app1").link);
    assert!(get(&lab, "client1", "app1:8080", "/health").is_err());
    lab.plug("app1").unwrap();
    eventually("app1 answers", || get(&lab, "client1", "app1:8080", "/health").ok());
}
