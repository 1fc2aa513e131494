//! Objectives about logs of a lab's program: violated while it writes errors because a service is stopped, held while it writes none, and unknown
//! while the logs are not read.

use serde_json::Value;

use crate::{
    bench::{Bench, assert_ends, labs, wait},
    output::said,
    runs::run_folders,
};

const FLEET: &str = r#"
schema = 1
[defaults]
env = "test"
[[host]]
name = "app1"
roles = ["app"]
addresses = ["10.80.1.11"]
[[host.service]]
name = "dependency"
argv = ["sh", "-c", "echo $$ >/run/dependency.pid; exec sleep 1d"]
[[host.service]]
name = "idle"
argv = ["sleep", "1d"]
[[host.service]]
name = "shop"
argv = ["sh", "-c", "while :; do if kill -0 $(cat /run/dependency.pid); then echo fine; else echo ERROR password=hunter2; fi; sleep 0.1; done"]
[[host]]
name = "app2"
roles = ["app"]
addresses = ["10.80.1.12"]
[[host.service]]
name = "shop"
argv = ["sh", "-c", "while :; do echo fine; sleep 0.1; done"]
"#;

const SCENARIO: &str = r#"
schema = 1
name = "logs"
hypothesis = "The shop says what it lacks."

[targets.app]
where = { role = "app" }

[evidence.logs.shop]
file = "/var/log/shop.log"
on = "app"
match = "^ERROR"
lines = 3

[objectives.quiet]
logs = "shop"
rate_below = "1/s"

[attack_defaults]
baseline = "2s"
recovery = "2s"
settle = "0s"
"#;

/// Returns an attack that stops a service of `app1`.
fn stop(service: &str, hold: &str) -> String {
    format!(
        "[[attack]]\nname = \"stop {service}\"\non = \"app1\"\nhold = \"{hold}\"\nfault.service-stop = {{ service = \"{service}\" }}\n"
    )
}

/// Returns the verdict and the reason of the only objective of an attack.
fn objective(card: &Value, attack: usize) -> (&str, &str) {
    let one = &card["attacks"][attack]["objectives"][0];
    (one["verdict"].as_str().unwrap(), one["why"].as_str().unwrap())
}

#[test]
fn errors_in_a_log_violate_and_a_quiet_log_holds() {
    if !labs() {
        return;
    }
    let bench = Bench::with("logs", FLEET);
    let text = [SCENARIO, &stop("idle", "3s"), &stop("dependency", "4s")].concat();
    let plan = bench.run(&text, &["--plan"]);
    assert_ends(&plan, 0, "fewer than 1/s matching lines on each host");
    let elsewhere = text.replace("/var/log/shop.log", "/etc/passwd");
    let refused = bench.run(&elsewhere, &[]);
    assert_ends(&refused, 4, "/etc/passwd is not listed");
    bench.assert_untouched();
    std::fs::remove_dir_all(bench.reports()).unwrap();
    let run = bench.run(&text, &[]);
    assert_eq!(run.status.code(), Some(1), "one is violated: {}", said(&run));
    let card = bench.card();
    let (verdict, why) = objective(&card, 0);
    assert_eq!(verdict, "held", "{why}: {}", said(&run));
    let (verdict, why) = objective(&card, 1);
    assert!(verdict == "violated" && why.contains("app1: ") && why.contains("matching lines"), "{why}");
    let vantages = card["attacks"][1]["objectives"][0]["vantages"].as_array().unwrap();
    assert_eq!(vantages[1]["verdict"], "held", "{vantages:?}");
    let log = &card["attacks"][1]["logs"][0];
    let fault = log["phases"].as_array().unwrap().iter().find(|phase| phase["phase"] == "fault").unwrap();
    let lines = fault["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 3, "{log:#}");
    assert!(lines.iter().all(|line| line["text"] == "ERROR password=***"), "{lines:?}");
    assert!(!bench.logs().concat().contains("hunter2"), "a secret has left the host");
    let folder = run_folders(&bench.reports()).remove(0);
    for page in ["report.html", "report.md"] {
        let page = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.contains("ERROR password=") && !page.contains("hunter2"), "{page}");
    }
    bench.assert_quiet();
}

#[test]
fn while_nobody_reads_a_log_it_is_unknown() {
    if !labs() {
        return;
    }
    let bench = Bench::with("unread", FLEET);
    let (mut run, _) = bench.until_in_force(&[SCENARIO, &stop("idle", "8s")].concat());
    // A host of a lab has its own pids, so this kills only the agent of app2.
    let kill = "for one in /proc/[0-9]*; do if tr '\\0' ' ' <$one/cmdline | grep -q '[a]gent.toml'; then kill -9 ${one#/proc/}; fi; done";
    let killed = bench
        .firedrill(&["lab", "exec", "--name", &bench.lab, "app2", "--", "sh", "-c", kill])
        .output()
        .unwrap();
    assert!(killed.status.success(), "{}", said(&killed));
    wait(&mut run);
    let card = bench.card();
    let (verdict, why) = objective(&card, 0);
    assert!(verdict == "unknown" && why.contains("nobody read the log"), "{why}: {card:#}");
    let vantages = card["attacks"][0]["objectives"][0]["vantages"].as_array().unwrap();
    assert_eq!(vantages[0]["verdict"], "held", "{vantages:?}");
    bench.assert_quiet();
}
