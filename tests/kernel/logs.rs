//! Drills with an objective about a unit's messages in the journal: violated while it writes errors, unknown while journald does not answer.

use std::{fs, path::Path};

use crate::{
    drill::{Drill, Ended},
    machine::{OUT, check_clean, step, systemctl},
};

/// Starts a drill that stops the service, with an objective about the messages of `shopper`.
fn drill(name: &str, hold: &str) -> Drill {
    let text = format!(
        r#"schema = 1
name = "{name}"
hypothesis = "Shoppers see no error."
[targets.it]
where = {{ role = "app" }}
[evidence.logs.shopper]
unit = "shopper.service"
on = "it"
match = "^ERROR"
lines = 2
[objectives.quiet]
logs = "shopper"
rate_below = "1/s"
during = ["fault"]
[attack_defaults]
baseline = "4s"
hold = "{hold}"
recovery = "3s"
[[attack]]
name = "stop"
on = "it"
fault.service-stop = {{ service = "checkout" }}
"#
    );
    let path = Path::new(OUT).join(format!("{name}.toml"));
    fs::write(&path, text).expect("scenario");
    Drill::of(name, &path)
}

/// Checks the objective's verdict, and that its reason contains one of these texts.
fn assert_is(ended: &Ended, verdict: &str, reasons: &[&str]) {
    let objective = &ended.card["attacks"][0]["objectives"][0];
    assert_eq!(objective["verdict"], verdict, "{}\n{objective:#}", ended.log);
    let why = objective["why"].as_str().expect("a reason");
    assert!(reasons.iter().any(|reason| why.contains(reason)), "{objective:#}");
}

pub(crate) fn units_are_read() {
    step("a unit writes errors while a service is stopped");
    systemctl(&["start", "shopper"]);
    let ended = drill("errors", "8s").end_in_time();
    ended.check(1, "clean");
    assert_is(&ended, "violated", &["matching lines"]);
    let log = &ended.card["attacks"][0]["logs"][0];
    let phases = log["phases"].as_array().expect("phases");
    let fault = phases.iter().find(|phase| phase["phase"] == "fault").expect("the fault's");
    let lines = fault["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 2, "{log:#}");
    assert!(lines.iter().all(|line| line["text"] == "ERROR password=***"), "{lines:?}");

    step("journald does not answer while a service is stopped");
    let drill = drill("silent", "20s").in_force();
    systemctl(&["kill", "-s", "STOP", "systemd-journald"]);
    let ended = drill.end();
    systemctl(&["kill", "-s", "CONT", "systemd-journald"]);
    ended.check(3, "clean");
    // The agent reports journald only after a call has hung for some time. Until then, nothing was read.
    assert_is(&ended, "unknown", &["nobody read the log", "systemd-journald does not answer"]);
    systemctl(&["stop", "shopper"]);
    check_clean();
}
