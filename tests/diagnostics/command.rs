//! `firedrill check` as a program: the files that it reads, the fleet that it uses, and its exit codes.

use std::process::{Command, Output};

/// Runs `firedrill check`, with a fleet in the environment or without one. Returns the exit code and all output.
fn check(words: &[&str], fleet: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    command
        .arg("check")
        .args(words)
        .env_remove("FIREDRILL_FLEET")
        .envs(fleet.map(|file| ("FIREDRILL_FLEET", file)));
    let Output { status, stdout, stderr } = command.output().expect("runs");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// The guide has these commands.
#[test]
fn all_files_of_the_library_at_once() {
    let mut files: Vec<String> = std::fs::read_dir("scenarios")
        .expect("the library")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    let words: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, output) = check(&words, None);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("scenarios/fleet.toml: fine; a fleet of 6 hosts"), "{output}");
    assert!(output.contains("not checked without a fleet (--fleet scenarios/fleet.toml)"), "{output}");
    let (code, output) = check(&[&words[..], &["--json"]].concat(), Some("scenarios/fleet.toml"));
    let items: Vec<serde_json::Value> = serde_json::from_str(&output).expect("JSON");
    assert_eq!((code, items.len()), (Some(0), files.len()));
    assert!(
        items.iter().all(|item| item["ok"] == true && (item["plan"].is_object() || item["fleet"].is_array())),
        "{output}"
    );
}

#[test]
fn an_invalid_fleet_among_the_files_is_reported() {
    let (code, output) = check(&["tests/wrong/together/fleet.toml", "scenarios/demo.toml"], None);
    assert_eq!(code, Some(2), "{output}");
    assert!(
        output.contains("the name `shop` has no address") && output.contains("fleet.toml:5:1"),
        "{output}"
    );
}

/// The fleet is that of the command line, or otherwise that of the environment, as for `run`.
#[test]
fn the_fleet_of_the_environment_counts() {
    let (code, output) = check(&["tests/wrong/blast.toml"], Some("scenarios/fleet.toml"));
    assert!(code == Some(2) && output.contains("the guard"), "{output}");
    let (code, output) = check(&["scenarios/demo.toml"], Some("no/such-fleet.toml"));
    assert!(code == Some(2) && output.contains("no/such-fleet.toml"), "{output}");
    let command = ["--fleet-command", "cat no/such.json"];
    for given in [&["--fleet", "scenarios/fleet.toml"], &command] {
        let (_, output) = check(&[&["scenarios/demo.toml"], &given[..]].concat(), Some("no/such-fleet.toml"));
        assert!(!output.contains("no/such-fleet.toml"), "{output}");
    }
    let (code, output) = check(&["scenarios/demo.toml"], Some(""));
    assert!(code == Some(0) && output.contains("not checked without a fleet"), "{output}");
}

/// A person's certificate may be valid only for some environments, which `check` reports before any host is asked.
#[test]
fn the_certificate_is_compared_with_the_environments() {
    use firedrill::pki::{PersonAsk, Pki};
    use firedrill_wire::identity::Role;
    let dir = tempfile::tempdir().expect("a folder");
    let pki = Pki::init(dir.path()).expect("an authority");
    for (name, environments) in [("stage", &["staging"][..]), ("demo", &["demo", "ci"]), ("all", &[])] {
        let environments = environments.iter().map(ToString::to_string).collect();
        pki.issue_person(&PersonAsk { environments, ..PersonAsk::new(name, Role::Operator, 1) })
            .expect("a certificate");
    }
    let pki = dir.path().display().to_string();
    let with = |verb: &str, person: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        let words = ["scenarios/demo.toml", "--fleet", "scenarios/fleet.toml", "--pki", &pki, "--as", person];
        command.arg(verb).args(words).env_remove("FIREDRILL_FLEET");
        let Output { status, stdout, stderr } = command.output().expect("runs");
        let output = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        (status.code(), output.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (code, output) = with("check", "stage");
    assert_eq!(code, Some(0), "another person may run it: {output}");
    assert!(output.contains("warning: stage's certificate is good for staging only"), "{output}");
    assert!(output.contains("belong to `demo`"), "{output}");
    let (code, output) = with("run", "stage");
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("error: stage's certificate is good for staging only"), "{output}");
    for person in ["demo", "all"] {
        let (code, output) = with("check", person);
        assert!(code == Some(0) && !output.contains("certificate"), "{output}");
    }
    let (code, output) = with("check", "nobody");
    assert!(code == Some(0) && output.contains("were not compared with your certificate"), "{output}");
}

/// The fault has more peers than an agent accepts, so every host would refuse the plan.
#[test]
fn a_fault_with_more_peers_than_an_agent_accepts_is_reported_before_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("many.toml");
    std::fs::create_dir(dir.path().join("lib")).expect("makes");
    for entry in std::fs::read_dir("scenarios/lib").expect("the library") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, dir.path().join("lib").join(name)).expect("copies");
    }
    let scenario = std::fs::read_to_string("scenarios/demo.toml").expect("reads");
    let peers = |count: u32| {
        // From 11.0.0.0 on.
        let peers = (0..count).map(|n| format!("\"{}\"", std::net::Ipv4Addr::from(0x0b00_0000 + n)));
        format!("[{}]", peers.collect::<Vec<_>>().join(","))
    };
    let output = |count: u32| {
        let to = format!("net-block = {{ to = {} }}", peers(count));
        std::fs::write(&file, scenario.replacen("net-block = { to = \"edge\" }", &to, 1)).expect("writes");
        check(&[file.to_str().expect("text")], Some("scenarios/fleet.toml"))
    };
    let (code, text) = output(200_001);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("has 200001 peers; an agent accepts 200000"), "{text}");
    let (code, text) = output(200_000);
    assert_eq!(code, Some(0), "{text}");
}
