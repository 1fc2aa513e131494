//! Tests that a lab comes up as specified, that its hosts reach each other and nothing else, and that nothing is left when it ends.

use std::{collections::BTreeSet, ffi::OsString, path::Path, time::Instant};

use super::common::{demo_spec, eventually, get, host, name, root_of, run, up};
use firedrill_lab::{FileSpec, HostState, Lab, LabError, LabSpec, Options};

#[test]
fn six_hosts_reach_each_other_by_name_and_leave_nothing() {
    let started = Instant::now();
    let Some(lab) = up(&demo_spec("fleet")) else { return };
    eprintln!("six hosts up in {:?}", started.elapsed());
    let status = lab.status().unwrap();
    assert_eq!(status.hosts.len(), 6);
    assert!(status.hosts.iter().all(|h| h.state == HostState::Up && h.boots == 1), "{status:?}");
    for address in ["app3:8080", "10.77.3.11:8080", "[fd77:3::11]:8080"] {
        let answer = eventually("app3 answers", || get(&lab, "client1", address, "/health").ok());
        assert!(answer.starts_with("200 ") && answer.contains("\"host\":\"app3\""), "{address}: {answer}");
    }
    // Until its application servers listen, the edge answers 502.
    let good = || get(&lab, "client1", "edge1:80", "/checkout").ok().filter(|a| a.starts_with("200 "));
    let answer = eventually("the edge takes an order", good);
    assert!(answer.contains("\"order\":1"), "{answer}");

    let pids: Vec<i32> = status.hosts.iter().flat_map(|h| lab.pids(&h.name).unwrap()).collect();
    assert!(pids.len() >= 11, "six first processes and five services: {pids:?}");
    let root = lab.pid().unwrap();
    let ended = Instant::now();
    lab.down().unwrap();
    eprintln!("down in {:?}", ended.elapsed());
    for pid in pids.into_iter().chain([root]) {
        assert!(!Path::new(&format!("/proc/{pid}/ns")).exists(), "process {pid} is still there");
    }
}

#[test]
fn each_host_has_its_own_identity_files_and_network() {
    let mut spec =
        LabSpec::new(name("own"), vec![host("a", "r", &["10.0.0.1"]), host("b", "r", &["10.0.0.2"])]);
    spec.hosts[0].files.push(FileSpec {
        path: "/etc/firedrill/agent.toml".into(),
        content: "secret".into(),
        mode: 0o600,
    });
    let Some(lab) = up(&spec) else { return };
    let read = |host: &str, path: &str| std::fs::read_to_string(root_of(&lab, host).join(path)).unwrap();
    let machine = |path: &str| std::fs::read_to_string(Path::new("/").join(path)).unwrap_or_default();
    for path in ["proc/sys/kernel/random/boot_id", "etc/machine-id"] {
        let own = BTreeSet::from([read("a", path), read("b", path), machine(path)]);
        assert_eq!(own.len(), 3, "{path}: {own:?}");
    }
    assert_eq!(read("a", "etc/firedrill/agent.toml"), "secret");
    assert!(!root_of(&lab, "b").join("etc/firedrill/agent.toml").exists());
    assert!(
        !Path::new("/etc/firedrill/agent.toml").exists() || machine("etc/firedrill/agent.toml") != "secret"
    );
    assert_eq!(read("a", "etc/hostname"), "a\n");
    // All of /var belongs to the host, although the machine's own agent may have a directory in the machine's /var.
    let owners =
        ["/bin/sh", "-c", "find /var -maxdepth 2 ! -type l | xargs stat -c %u | sort -u"].map(OsString::from);
    let owners = lab.output("a", &owners).unwrap();
    assert_eq!(String::from_utf8_lossy(&owners.stdout), "0\n", "{owners:?}");
    // The host's loopback is not the machine's loopback.
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    assert!(run(&lab, "a", &["get", &format!("127.0.0.1:{port}"), "/"]).unwrap_err().contains("refused"));
}

#[test]
fn two_labs_with_equal_addresses_are_separate() {
    let one = LabSpec::new(name("one"), vec![host("only", "r", &["10.0.0.1"])]);
    let two = LabSpec { name: name("two"), ..one.clone() };
    let Some(first) = up(&one) else { return };
    let Some(second) = up(&two) else { return };
    let ids = [&first, &second].map(|lab| super::common::status_of(lab, "only").boot_id);
    assert_ne!(ids[0], ids[1]);
    let options = Options { program: Some(super::common::program()), ..Options::default() };
    assert!(matches!(Lab::up(&one, &options), Err(LabError::NameTaken(_))));
    first.down().unwrap();
    assert!(matches!(Lab::attach(&one.name), Err(LabError::NotFound(_))));
    assert_eq!(Lab::attach(&two.name).unwrap().status().unwrap().hosts.len(), 1);
}
