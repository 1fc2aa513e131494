//! A lab with further programs, which the fleet's file names.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    bench::{Bench, assert_ends, labs},
    output::said,
};

const FLEET: &str = include_str!("../right/lab-fleet.toml");

/// Makes a lab that is not up yet, and the file that its services read.
fn with_page(name: &str, fleet: &str) -> Bench {
    let bench = Bench::new(name, fleet);
    bench.file("page.txt", "two\nlines\n");
    bench
}

impl Bench {
    /// Runs a verb of `firedrill lab` on this lab.
    fn lab(&self, words: &[&str]) -> std::process::Output {
        let named = [&["lab", words[0], "--name", self.lab.as_str()][..], &words[1..]].concat();
        self.firedrill(&named).output().unwrap()
    }

    /// Returns the directory of this lab.
    fn of_lab(&self) -> PathBuf {
        self.pki().parent().unwrap().to_owned()
    }
}

#[test]
fn services_of_a_fleet_come_up_ready_and_go_without_a_trace() {
    if !labs() {
        return;
    }
    let bench = with_page("services", FLEET);
    assert_ends(&bench.firedrill(&["check", "fleet.toml"]).output().unwrap(), 0, "a fleet of 2 hosts");
    let up = bench.lab(&["up", "--fleet", "fleet.toml"]);
    assert_ends(&up, 0, "db1: store is ready after");
    let page = bench.lab(&["exec", "db1", "--", "cat", "/var/lib/store/page", "/var/lib/store/uid"]);
    assert_eq!(String::from_utf8_lossy(&page.stdout), "two\nlines\n101\n", "{}", said(&page));
    let status: Value = serde_json::from_slice(&bench.lab(&["status", "--json"]).stdout).unwrap();
    let services: Vec<(&str, Option<&str>)> = status["hosts"][0]["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| (service["name"].as_str().unwrap(), service["ready"].as_str()))
        .collect();
    assert_eq!(services, [("store", Some("ready")), ("firedrill-agent", None)], "no shop beside them");
    assert!(bench.of_lab().is_dir());
    assert_ends(&bench.lab(&["down"]), 0, "is gone");
    assert!(!bench.of_lab().exists());
}

#[test]
fn a_lab_whose_services_cannot_run_says_why_and_is_gone() {
    if !labs() {
        return;
    }
    let store = r#"["sh", "-c", "id -u >/var/lib/store/uid; exec sleep 1h"]"#;
    assert!(FLEET.contains(store) && FLEET.contains(r#"within = "20s""#));
    let deaf = FLEET.replace(store, r#"["sh", "-c", "echo no disk; exec sleep 1h"]"#);
    for (name, fleet, wanted) in [
        ("late", deaf.replace(r#"within = "20s""#, r#"within = "3s""#), "no disk"),
        (
            "late",
            deaf.replace(r#"within = "20s""#, r#"within = "3s""#),
            "`store` of host `db1` was not ready in time",
        ),
        ("program", FLEET.replace(store, r#"["no-such-program"]"#), "there is no program `no-such-program`"),
        ("source", FLEET.replace("page.txt", "gone.txt"), "gone.txt could not be read"),
        ("wrong", FLEET.replace("argv = [\"sh\"", "agrv = [\"sh\""), "did you mean `argv`?"),
    ] {
        let bench = with_page(name, &fleet);
        let up = bench.lab(&["up", "--fleet", "fleet.toml"]);
        assert_ends(&up, 2, wanted);
        assert_ends(&bench.lab(&["status"]), 2, "no lab named");
        assert!(!bench.of_lab().exists(), "{name}");
    }
}
