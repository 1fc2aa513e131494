//! Tests that need no lab: help, output that cannot be written, and wrong arguments.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::{
    bench::{FIREDRILL, FLEET, assert_ends, plain_scenario},
    output::said,
    runs::run_folders,
};

#[test]
fn every_verb_explains_itself_with_examples() {
    let help = Command::new(FIREDRILL).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 13, "{verbs:?}");
    for verb in verbs {
        let help = Command::new(FIREDRILL).args([verb, "--help"]).output().unwrap();
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success() && text.contains("Examples:\n"), "{verb}: {text}");
    }
}

#[test]
fn a_reader_that_goes_away_and_a_full_disk_are_no_bugs() {
    for words in [&["schema", "--all"][..], &["completions", "bash"]] {
        let mut child = Command::new(FIREDRILL)
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{words:?}: {}", said(&output));
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(FIREDRILL).args(words).stdout(full).output().unwrap();
        assert_ends(&output, 2, "standard output could not be written");
    }
}

#[test]
fn what_is_asked_wrongly_is_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = folder.path().join("fleet.toml");
    // Two hosts of this fleet have the same name.
    fs::write(&fleet, FLEET.replace("app2", "app1")).unwrap();
    let firedrill = |words: &[&str]| {
        Command::new(FIREDRILL)
            .args(words)
            .current_dir(folder.path())
            .env("FIREDRILL_PKI", "nowhere")
            .output()
            .unwrap()
    };
    let fine = folder.path().join("fine.toml");
    fs::write(fine, FLEET).unwrap();
    assert_ends(&firedrill(&["status"]), 2, "--fleet FILE");
    assert_ends(&firedrill(&["status", "--fleet", "fine.toml"]), 2, "firedrill pki");
    assert_ends(&firedrill(&["report", "no-such-run"]), 2, "reports/no-such-run/events.jsonl");
    assert_ends(&firedrill(&["watch", "no-such-run"]), 2, "cannot follow");
    assert_ends(&firedrill(&["check", "no-such.toml"]), 2, "no-such.toml");
    assert_ends(&firedrill(&["undo", "--fleet", "fine.toml"]), 2, "--all");
    assert_ends(&firedrill(&["status", "--lab=no-such-lab"]), 2, "no-such-lab");

    let pki = folder.path().join("pki");
    let pki = pki.to_str().unwrap();
    for words in [&["init"][..], &["issue", "person", "ann", "--role", "operator"], &["list", "--json"]] {
        assert_ends(&firedrill(&[&["pki", "--dir", pki], words].concat()), 0, "");
    }
    assert_ends(&firedrill(&["doctor", "--fleet", "fleet.toml", "--pki", pki]), 2, "app1");
    // No agent listens at these addresses.
    let closed = FLEET.replace("addresses = [\"10.78.1.1", "addresses = [\"127.78.1.1");
    fs::write(folder.path().join("closed.toml"), closed).unwrap();
    assert_ends(&firedrill(&["status", "--fleet", "closed.toml", "--pki", pki]), 3, "cannot reach the agent");
    fs::write(folder.path().join("scenario.toml"), plain_scenario(1, "5s")).unwrap();
    let run = ["run", "scenario.toml", "--fleet", "closed.toml", "--pki", pki];
    assert_ends(&firedrill(&run), 4, "refused, and nothing was touched");
    let refused = run_folders(&folder.path().join("reports")).remove(0);
    let junit = fs::read_to_string(refused.join("junit.xml")).unwrap();
    assert!(junit.contains("cannot reach the agent"), "{junit}");
    let report = fs::read_to_string(refused.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["scorecard"]["exit"], 4, "{report}");
    assert!(report["scorecard"]["story"].as_str().unwrap().contains("none run: refused"), "{report}");
}
