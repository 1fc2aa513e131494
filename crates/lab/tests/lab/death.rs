//! Tests that a lab never outlives the process that started it, unless it is detached.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use super::common::{eventually, host, name, program, up};
use firedrill_lab::{Lab, LabSpec, list};

/// Whether a process exists and is not a zombie.
fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Returns the pids of all processes of a lab, including its root process.
fn all_pids(lab: &Lab) -> Vec<i32> {
    let hosts = lab.status().unwrap().hosts;
    hosts.iter().flat_map(|h| lab.pids(&h.name).unwrap()).chain([lab.pid().unwrap()]).collect()
}

/// Whether a lab can start on this machine.
fn allowed(test: &str) -> bool {
    up(&LabSpec::new(name(test), vec![host("x", "r", &["10.0.0.1"])])).is_some()
}

#[test]
fn killing_the_parent_ends_the_lab() {
    if !allowed("try") {
        return;
    }
    let name = name("orphan");
    let mut parent = Command::new(program()).args(["demo", &name]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("is up"));
    let lab = Lab::attach(&name).unwrap();
    let pids = all_pids(&lab);
    assert!(pids.len() > 10, "{pids:?}");
    // The lab's processes are in other sessions, so that Ctrl-C at this terminal does not reach them.
    let session = |pid: i32| nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))).unwrap();
    let own = session(i32::try_from(std::process::id()).unwrap());
    assert!(pids.iter().all(|pid| session(*pid) != own));
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("all of it is gone", || pids.iter().all(|pid| !alive(*pid)).then_some(()));
    assert!(lab.status().is_err());
    assert!(list().unwrap().iter().all(|l| l.name != name));
}

#[test]
fn a_detached_lab_stays_until_it_is_ended() {
    if !allowed("try2") {
        return;
    }
    let name = name("detached");
    let started = Command::new(program()).args(["demo", &name, "--detach"]).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    assert!(list().unwrap().iter().any(|l| l.name == name));
    let lab = Lab::attach(&name).unwrap();
    let pids = all_pids(&lab);
    let answer = || {
        let program = program();
        let words = ["enter", &name, program.to_str().unwrap(), "get", "edge1:80", "/checkout"];
        let output = Command::new(&program).args(words).output().unwrap();
        // The balancer may be up before its backends.
        String::from_utf8_lossy(&output.stdout).starts_with("200 ").then_some(())
    };
    eventually("the coordinator's place reaches the shop", answer);
    assert!(Command::new(program()).args(["down", &name]).status().unwrap().success());
    assert!(pids.iter().all(|pid| !alive(*pid)));
    assert!(Lab::attach(&name).is_err());
}
