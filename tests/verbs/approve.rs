//! Approvals that people give before a run, and while a run waits for them.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::Stdio,
};

use crate::{
    bench::{Bench, assert_ends, labs, on_a_terminal, plain_scenario, scenario, wait},
    output::said,
    runs::run_folders,
};

#[test]
fn approvals_can_be_given_beforehand() {
    if !labs() {
        return;
    }
    let bench = Bench::up("beforehand");
    // Without a terminal, a name cannot be typed.
    let asking = scenario(1, "2s", "", "approve = { people = 1, expires = \"5s\" }");
    let output = bench.run(&asking, &[]);
    assert_ends(&output, 3, "no terminal to ask on");
    // A mere name is not an approval, nor is one signed by a person of another authority.
    bench.file("mickey-mouse", "mickey-mouse");
    let output = bench.run(&asking, &["--approve", "mickey-mouse"]);
    assert_ends(&output, 4, "it is not an approval");
    bench.issue(&["ann", "bob"]);
    let authority = bench.pki();
    let pki = authority.to_str().unwrap();
    let approve = |name: &str| {
        let words =
            ["approve", "scenario.toml", "--fleet", "fleet.toml", "--seed", "1", "--pki", pki, "--as", name];
        assert_ends(&bench.firedrill(&words).output().unwrap(), 0, &format!("{name} approves \"verbs\""));
        format!("approval-{name}.json")
    };
    bench.file("scenario.toml", &asking);
    let ann = approve("ann");
    let output = bench.run(&asking, &["--seed", "1", "--approve", &ann]);
    assert!(said(&output).contains("ann approves stop 1"), "{}", said(&output));
    assert_ends(&bench.run(&asking, &["--seed", "2", "--approve", &ann]), 3, "approved another plan");
    // An approval also covers the values that the plan shows as `***`.
    let door = "http = { url = \"http://edge1/checkout\",";
    let sending = |key: &str| asking.replace(door, &format!("{door} headers = {{ X-Api-Key = \"{key}\" }},"));
    bench.file("scenario.toml", &sending("KEY1"));
    let ann = approve("ann");
    assert_ends(
        &bench.run(&sending("KEY2"), &["--seed", "1", "--approve", &ann]),
        3,
        "approved other requests",
    );
    let output = bench.run(&sending("KEY1"), &["--seed", "1", "--approve", &ann]);
    assert!(said(&output).contains("ann approves stop 1"), "{}", said(&output));
    // If two approvals are needed, the person who runs the drill does not count as one of them.
    let asking = scenario(1, "2s", "", "approve = { people = 2, expires = \"5s\" }");
    bench.file("scenario.toml", &asking);
    let (ann, own) = (approve("ann"), approve("lab-operator"));
    let output =
        bench.run(&asking, &["--seed", "1", "--approve", &ann, "--approve", &ann, "--approve", &own]);
    assert_ends(&output, 3, "lab-operator runs this");
    let output = bench.run(&asking, &["--seed", "1", "--approve", &ann, "--approve", &approve("bob")]);
    assert!(said(&output).contains("bob approves stop 1"), "{}", said(&output));
    assert!(said(&output).contains("in force"), "{}", said(&output));
    bench.assert_quiet();
}

#[test]
fn a_host_verifies_approvals_by_itself() {
    if !labs() {
        return;
    }
    let bench = Bench::up("verified");
    bench.issue(&["ann"]);
    let authority = bench.pki();
    let pki = authority.to_str().unwrap();
    policy(&bench, "[policy.approval]\npeople = 1\nkinds = [\"service-*\"]\n");
    // The scenario asks for no approvals.
    let text = plain_scenario(1, "2s");
    let wants = "service-stop: this host wants it approved by 1 person other than the one who runs it, and nobody has";
    assert_ends(&bench.run(&text, &["--plan"]), 0, wants);
    assert_ends(&bench.run(&text, &[]), 4, wants);
    bench.assert_untouched();
    let approve = |name: &str| {
        let words = ["approve", "scenario.toml", "--fleet", "fleet.toml", "--pki", pki, "--as", name];
        assert_ends(&bench.firedrill(&words).output().unwrap(), 0, &format!("{name} approves \"verbs\""));
        format!("approval-{name}.json")
    };
    let own = approve("lab-operator");
    assert_ends(&bench.run(&text, &["--approve", &own]), 4, "lab-operator runs this drill");
    let ann = approve("ann");
    let longer = plain_scenario(1, "3s");
    assert_ends(&bench.run(&longer, &["--approve", &ann]), 4, "ann approved other faults than this one");
    let forged = fs::read_to_string(bench.folder.path().join(&ann)).unwrap().replace("verbs", "other");
    bench.file("forged.json", &forged);
    assert_ends(&bench.run(&text, &["--approve", "forged.json"]), 4, "ann did not sign this text");
    bench.assert_untouched();
    let output = bench.run(&text, &["--approve", &ann]);
    assert!(said(&output).contains("in force"), "{}", said(&output));
    bench.assert_quiet();
}

#[test]
fn people_approve_while_a_run_waits() {
    if !labs() {
        return;
    }
    let bench = Bench::up("approve");
    bench.issue(&["ann", "bob", "mallory"]);
    let authority = bench.pki();
    let pki = authority.to_str().unwrap();
    let text = scenario(1, "1s", "", "approve = { people = 2, expires = \"10m\" }");
    let door = "http = { url = \"http://edge1/checkout\",";
    let text = text.replace(door, &format!("{door} headers = {{ X-Api-Key = \"KEY1\" }},"));
    bench.file("scenario.toml", &text);
    let (mut window, mut child) = on_a_terminal(&mut bench.on(&["run", "scenario.toml"]));
    let mut shown = String::new();
    let mut until = |window: &mut fs::File, text: &str| {
        let mut some = [0; 4096];
        while !shown.contains(text) {
            let read = window.read(&mut some).unwrap_or(0);
            assert!(read > 0, "no `{text}` in {shown}");
            shown += &String::from_utf8_lossy(&some[..read]);
        }
    };
    until(&mut window, "needs 2 more within 10m");
    // A mere name, or a `yes` of the person who runs the drill, is not an approval.
    window.write_all(b"mickey-mouse\nyes\n").unwrap();
    until(&mut window, "mickey-mouse: no approval can be read");
    until(&mut window, "lab-operator runs this");
    let run = run_folders(&bench.reports()).remove(0);
    let approve = |name: &str, more: &[&str]| {
        let words = ["approve", run.to_str().unwrap(), "--pki", pki, "--as", name];
        assert_ends(
            &bench.firedrill(&[&words[..], more].concat()).output().unwrap(),
            0,
            "service-stop on app1 for 1s not seen: the secrets that the probes door send",
        );
    };
    // The certificate is revoked while the run waits, after the run has read the revocation list.
    approve("mallory", &["--out", "mallorys-word"]);
    let revoke = ["pki", "--dir", pki, "revoke", "person", "mallory"];
    assert_ends(&bench.firedrill(&revoke).output().unwrap(), 0, "");
    window.write_all(b"mallorys-word\n").unwrap();
    until(&mut window, "mallorys-word: the approver's certificate was revoked");
    approve("lab-operator", &[]);
    until(&mut window, "approval-lab-operator.json: lab-operator runs this");
    approve("ann", &[]);
    until(&mut window, "ann approves stop 1");
    approve("bob", &["--out", "bobs-word"]);
    window.write_all(b"bobs-word\n").unwrap();
    until(&mut window, "bob approves stop 1");
    until(&mut window, "in force");
    drop(window);
    wait(&mut child);
    bench.assert_quiet();
    let log = &bench.logs()[0];
    assert!(log.contains("\"by\":\"ann\",\"yes\":true,\"certificate\":\""), "{log}");
}

/// Adds text to the configuration of app1's agent, which reads it again at once.
fn policy(bench: &Bench, text: &str) {
    let write = format!("printf '{}' >>/etc/firedrill/agent.toml", text.replace('\n', "\\n"));
    let words = ["lab", "exec", "--name", &bench.lab, "app1", "--", "sh", "-c", &write];
    let set = bench.firedrill(&words).output().unwrap();
    assert!(set.status.success(), "{}", said(&set));
}

/// A game day that is never due, with the scenario in `scenario.toml`.
const GAMEDAY: &str = "schema = 1\nname = \"friday\"\nscenarios = [{ file = \"scenario.toml\", seed = 1 }]\nfleet = \"fleet.toml\"\n\
                       schedule = { once = \"2999-01-01T00:00\", zone = \"UTC\" }\n";

#[test]
fn a_standing_approval_counts_for_its_game_day_while_its_files_are_the_same() {
    if !labs() {
        return;
    }
    let bench = Bench::up("standing");
    bench.issue(&["ann"]);
    let authority = bench.pki();
    let pki = authority.to_str().unwrap();
    let lab = format!("--lab={}", bench.lab);
    policy(&bench, "[policy.approval]\npeople = 1\n");
    let asking = scenario(1, "2s", "", "approve = { people = 1, expires = \"1s\" }");
    bench.file("scenario.toml", &asking);
    fs::create_dir(bench.folder.path().join("gamedays")).unwrap();
    bench.file("gamedays/friday.toml", GAMEDAY);
    let approve = |more: &[&str]| {
        let words = ["gameday", "approve", "gamedays/friday.toml", "--pki", pki, "--as", "ann"];
        bench.firedrill(&[&words[..], more].concat()).output().unwrap()
    };
    let start = || {
        let words = ["gameday", "start", "gamedays/friday.toml", "--now", &lab];
        bench.firedrill(&words).output().unwrap()
    };
    let within = ["--host", "app*", "--kind", "service-*"];
    assert_ends(
        &approve(&["--host", "app*", "--kind", "servise-*"]),
        2,
        "there is no kind of fault `servise-*`",
    );
    assert_ends(&approve(&[&within[..], &["--for", "31d"]].concat()), 2, "30 days at most");
    assert_ends(&approve(&within), 0, "ann approves the drills of friday for 30d");
    // The host wants each drill approved, until its policy says otherwise.
    let output = start();
    assert!(said(&output).contains("this host wants each drill approved"), "{}", said(&output));
    assert!(!said(&output).contains("in force"), "{}", said(&output));
    policy(&bench, "standing = \"30d\"\n");
    let output = start();
    assert!(said(&output).contains("ann approves stop 1"), "{}", said(&output));
    assert!(said(&output).contains("in force"), "{}", said(&output));
    bench.assert_quiet();
    // The approval counts neither for a run that is not of the game day, nor for other files.
    let given = bench.run(&asking, &["--seed", "1", "--approve", "approvals/friday/ann.json"]);
    assert_ends(&given, 3, "this run is of none");
    bench.file("scenario.toml", &format!("{asking}\n# changed\n"));
    let output = start();
    assert!(said(&output).contains("is to other files of friday"), "{}", said(&output));
    assert!(!said(&output).contains("in force"), "{}", said(&output));
    // The scenario asks for no approvals, but the hosts do. The run does not send them the approval of other files.
    bench.file("scenario.toml", &plain_scenario(1, "2s"));
    let output = start();
    assert!(said(&output).contains("is to other files of friday"), "{}", said(&output));
    assert!(said(&output).contains("and nobody has"), "{}", said(&output));
    let given =
        bench.run(&plain_scenario(1, "2s"), &["--seed", "1", "--approve", "approvals/friday/ann.json"]);
    assert_ends(&given, 4, "this run is of none");
    bench.file("scenario.toml", &format!("{asking}\n# changed\n"));
    // The approval counts only within its bounds.
    let other = approve(&["--host", "app*", "--kind", "net-*"]);
    assert_ends(&other, 0, "does not cover service-stop on app1");
    let output = start();
    assert!(said(&output).contains("service-stop is none of net-*"), "{}", said(&output));
    assert!(!said(&output).contains("in force"), "{}", said(&output));
    bench.assert_quiet();
}

#[test]
fn a_game_day_without_a_terminal_waits_for_approvals_in_the_folder_of_its_run() {
    if !labs() {
        return;
    }
    let bench = Bench::up("in-folder");
    bench.issue(&["ann"]);
    let authority = bench.pki();
    let pki = authority.to_str().unwrap();
    let lab = format!("--lab={}", bench.lab);
    bench.file("scenario.toml", &scenario(1, "1s", "", "approve = { people = 1, expires = \"10m\" }"));
    fs::create_dir(bench.folder.path().join("gamedays")).unwrap();
    bench.file("gamedays/friday.toml", GAMEDAY);
    let words = ["gameday", "start", "gamedays/friday.toml", "--now", &lab];
    let mut child = bench.firedrill(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asked = || bench.logs().first().is_some_and(|log| log.contains("\"approval-asked\""));
    while !asked() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended and asked nobody");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let run = run_folders(&bench.reports()).remove(0);
    let words = ["approve", run.to_str().unwrap(), "--pki", pki, "--as", "ann"];
    assert_ends(&bench.firedrill(&words).output().unwrap(), 0, "ann approves");
    wait(&mut child);
    let log = &bench.logs()[0];
    assert!(log.contains("\"by\":\"ann\",\"yes\":true") && log.contains("\"in-force\""), "{log}");
    bench.assert_quiet();
}
