//! Approvals that people give before a run, and while a run waits for them.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use crate::runs::run_folders;
use crate::{
    bench::{Bench, assert_ends, labs, on_a_terminal, scenario, wait},
    output::said,
};

#[test]
fn approvals_can_be_given_beforehand() {
    if !labs() {
        return;
    }
    let bench = Bench::up("beforehand");
    // Without a terminal nobody can approve.
    let asking = scenario(1, "2s", "", "approve = { people = 1, expires = \"5s\" }");
    let output = bench.run(&asking, &[]);
    assert_ends(&output, 3, "no terminal to ask on");
    // A mere name is not an approval, nor is one signed by a person of another authority.
    bench.file("mickey-mouse", "mickey-mouse");
    let output = bench.run(&asking, &["--approve", "mickey-mouse"]);
    assert_ends(&output, 4, "it is not an approval");
    bench.issue(&["ann", "bob"]);
    let pki = bench.pki();
    let pki = pki.to_str().unwrap();
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
    let pki = bench.pki();
    let pki = pki.to_str().unwrap();
    let policy =
        "printf '[policy.approval]\\npeople = 1\\nkinds = [\"service-*\"]\\n' >>/etc/firedrill/agent.toml";
    let set = bench
        .firedrill(&["lab", "exec", "--name", &bench.lab, "app1", "--", "sh", "-c", policy])
        .output()
        .unwrap();
    assert!(set.status.success(), "{}", said(&set));
    // The scenario asks nobody.
    let text = scenario(1, "2s", "", "");
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
    let longer = scenario(1, "3s", "", "");
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
    let pki = bench.pki();
    let pki = pki.to_str().unwrap();
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
