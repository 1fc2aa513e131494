//! A whole drill, the verbs about it, and secrets, which no output may show.

use std::{fs, path::PathBuf};

use crate::{
    bench::{Bench, assert_ends, labs, plain_scenario, scenario},
    output::said,
    runs::run_folders,
};

#[test]
fn a_run_and_the_verbs_around_it() {
    if !labs() {
        return;
    }
    let bench = Bench::up("around");
    for verb in [&["status"][..], &["doctor", "--json"], &["release", "--json"]] {
        assert_ends(&bench.on(verb).output().unwrap(), 0, "app1");
    }
    assert_ends(&bench.on(&["status", "--host", "nobody"]).output().unwrap(), 2, "it has edge1, app1, app2");
    let text = plain_scenario(1, "2s");
    assert_ends(&bench.run(&text, &["--plan"]), 0, "undone");
    assert!(!bench.reports().exists(), "a plan leaves nothing behind");

    let ran = bench.run(&text, &["--json"]);
    let document: serde_json::Value =
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{}", said(&ran)));
    let card = &document["scorecard"];
    assert_eq!(ran.status.code().map(i64::from), card["exit"].as_i64(), "{}", said(&ran));
    assert_eq!(card["hosts"][0]["state"], "clean", "{card}");
    let progress = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(progress.contains("baseline, 1 s") && progress.contains("app1 is clean"), "{progress}");
    let folder = run_folders(&bench.reports()).remove(0);
    for file in ["report.html", "report.md", "report.json", "junit.xml"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let written = || fs::read(folder.join("report.json")).unwrap();
    assert!(ran.stdout == written(), "standard output is not report.json: {}", said(&ran));
    let log = folder.join("events.jsonl");
    let folder = folder.to_str().unwrap();
    assert_ends(&bench.firedrill(&["watch", folder]).output().unwrap(), 0, "fault 1-1 in force");
    assert_ends(&bench.on(&["collect", folder]).output().unwrap(), 2, "nothing to collect");
    let again = bench.firedrill(&["report", folder]).output().unwrap();
    assert_eq!(again.status.code(), ran.status.code(), "{}", said(&again));

    // The log is changed as if the host could not have been asked at the end. `collect` then asks it.
    let text_of_log = fs::read_to_string(&log).unwrap();
    assert!(text_of_log.contains("\"state\":\"clean\""), "{text_of_log}");
    fs::write(&log, text_of_log.replace("\"state\":\"clean\"", "\"state\":\"unproven\"")).unwrap();
    let unproven = bench.firedrill(&["report", folder, "--json"]).output().unwrap();
    assert_ends(&unproven, 6, "unproven");
    assert!(unproven.stdout == written(), "standard output is not report.json: {}", said(&unproven));
    let collected = bench.on(&["collect", folder, "--json"]).output().unwrap();
    assert_eq!(collected.status.code(), ran.status.code(), "{}", said(&collected));
    assert!(collected.stdout == written(), "standard output is not report.json: {}", said(&collected));
    let document: serde_json::Value = serde_json::from_slice(&collected.stdout).unwrap();
    assert_eq!(document["scorecard"]["hosts"][0]["state"], "clean", "{document}");
    assert_ends(&bench.firedrill(&["watch", folder]).output().unwrap(), 0, "collected by lab-operator");
    assert_ends(&bench.on(&["collect", folder]).output().unwrap(), 2, "nothing to collect");

    // The host's own audit log has the run, and the certificate of the person who ran it.
    let words =
        ["lab", "exec", "--name", &bench.lab, "app1", "--", "cat", "/var/lib/firedrill/audit/done.jsonl"];
    let record = bench.firedrill(&words).output().unwrap();
    let index = fs::read_to_string(bench.pki().join("index.jsonl")).unwrap();
    let serial = index.lines().next().and_then(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        Some(line["serial"].as_str()?.to_owned())
    });
    let who = format!("\"who\":\"lab-operator\",\"certificate\":\"{}\"", serial.unwrap());
    let record = said(&record);
    let arm = record.lines().find(|line| line.contains("\"what\":\"arm\""));
    assert!(arm.is_some_and(|line| line.contains(&who) && line.contains("drill \\\"verbs\\\"")), "{record}");
    for told in ["\"to\":\"in-force\"", "\"to\":\"undone\"", "\"what\":\"prepare\""] {
        assert!(record.contains(told), "no {told} in {record}");
    }

    // The hosts are halted: nothing runs until they are released.
    assert_ends(&bench.on(&["undo", "--all"]).output().unwrap(), 0, "halted");
    assert_ends(&bench.run(&text, &[]), 4, "firedrill release");
    assert_ends(&bench.on(&["release"]).output().unwrap(), 0, "app1: may be attacked again");
    bench.assert_quiet();
}

/// Nothing that a drill writes has secrets, whether they are in the scenario in clear or read from a file.
#[test]
fn secrets_stand_in_nothing_that_a_drill_writes() {
    if !labs() {
        return;
    }
    let bench = Bench::up("secrets");
    let file = bench.file("key", "FILESECRET5\n");
    let asked = r#"http = { url = "http://edge1/checkout?api_key=QKEY99&p={key}", status = 200, method = "POST", body = "BODY66"
headers = { Authorization = "Basic HDRSECRET", X-Api-Key = "APIKEY77", X-Token = "${token}", X-Key = "{key}" }
secrets = { key = { secret_file = "KEYFILE" } } }"#;
    let asked = asked.replace('\n', ", ").replace("KEYFILE", file.to_str().unwrap());
    let plain = "http = { url = \"http://edge1/checkout\", status = 200 }";
    let text = scenario(1, "1s", "[params]\ntoken = { type = \"string\" }", "").replace(plain, &asked);
    assert!(text.contains("APIKEY77"), "{text}");
    let given = ["--param", "token=PARAMTOK"];
    let secrets = ["FILESECRET5", "QKEY99", "BODY66", "HDRSECRET", "APIKEY77", "PARAMTOK"];
    let clean = |what: &str, text: &str| {
        let found: Vec<_> = secrets.iter().filter(|secret| text.contains(*secret)).collect();
        assert!(found.is_empty(), "{what} has {found:?}: {text}");
    };
    for words in [&["--plan"][..], &["--plan", "--json"], &["--json"]] {
        let output = bench.run(&text, &[words, &given].concat());
        assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{}", said(&output));
        if words.contains(&"--plan") {
            assert!(said(&output).contains("edge1/checkout?api_key=***"), "{}", said(&output));
        }
        clean(&words.join(" "), &said(&output));
    }
    let folder = run_folders(&bench.reports()).remove(0);
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        clean(&file.display().to_string(), &fs::read_to_string(&file).unwrap());
    }
    let log = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert!(log.contains("\"good\":"), "nothing was asked");
    for verb in ["watch", "report"] {
        clean(verb, &said(&bench.firedrill(&[verb, folder.to_str().unwrap()]).output().unwrap()));
    }
    let fleet = ["check", "scenario.toml", "--fleet", "fleet.toml"];
    for words in [&[][..], &["--json"]] {
        let output = bench.firedrill(&[&fleet, words, &given].concat()).output().unwrap();
        assert!(said(&output).contains("looks like a secret in clear text"), "{}", said(&output));
        clean("check", &said(&output));
    }
}
