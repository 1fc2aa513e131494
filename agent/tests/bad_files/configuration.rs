//! Tests in which the configuration is invalid, gone, or differs from the one with which the agent started.

use std::{fs, process::Stdio};

use super::{Agent, Output, Test, command, wait};

pub(crate) const TESTS: &[Test] = &[
    ("undo_all_heals_with_an_unknown_key", undo_all_heals),
    ("a_live_agent_is_reached_with_an_unknown_key", live_agent_is_reached),
    ("an_agent_that_cannot_start_heals_first", an_agent_that_cannot_start),
    ("sweep_heals_with_a_file_that_is_gone", sweep_heals),
    ("faults_at_the_old_paths_are_undone", other_paths),
    ("faults_at_the_old_paths_are_undone_at_a_start", other_paths_at_start),
    ("stuck_faults_at_the_old_paths_are_not_swept", other_paths_stuck),
    ("a_new_policy_counts_without_a_restart", policy_is_taken),
    ("changes_that_need_a_restart_are_reported", changes_that_need_a_restart_are_reported),
    ("check_config_shows_the_place", check_config),
];

/// Adds an invalid line before all others.
fn add_invalid_line(agent: &Agent) {
    let text = fs::read_to_string(agent.config()).unwrap();
    fs::write(agent.config(), format!("nonsense = 1\n{text}")).unwrap();
}

fn undo_all_heals() {
    let mut agent = Agent::in_force();
    add_invalid_line(&agent);
    agent.kill_all();
    let status = agent.verb(&["status", "--json"]).ends_with(0).shows(&agent.config(), "line 1");
    assert!(status.stdout.contains("\"in-force\"") && status.stdout.contains("nonsense"), "{status:?}");
    assert!(agent.verb(&["doctor"]).ends_with(3).stdout.contains("nonsense"));

    let undo = agent.verb(&["undo", "--all"]).ends_with(0).shows(&agent.config(), "line 1");
    assert!(undo.stdout.contains("Undone") && !agent.effect(), "{undo:?}");
    let used = format!("the last good configuration's: state {}", agent.path("state").display());
    assert!(undo.stderr.contains(&used), "{undo:?}");
    assert!(!agent.path("run/active").exists());

    assert!(agent.verb(&["status"]).ends_with(0).stdout.contains("halted by root@h"));
    agent.verb(&["release"]).ends_with(0).shows(&agent.config(), "line 1");
    assert!(!agent.verb(&["status"]).ends_with(0).stdout.contains("halted"));
}

fn live_agent_is_reached() {
    let agent = Agent::in_force();
    add_invalid_line(&agent);
    let status = agent.verb(&["status"]).ends_with(0).shows(&agent.config(), "line 1");
    assert!(status.stdout.contains("serves") && status.stdout.contains("nothing is injected"), "{status:?}");
    // Another agent that cannot start does not touch the faults of the one that lives.
    let second = agent.verb(&["serve"]).ends_with(2);
    assert!(second.stderr.contains("left to it") && agent.effect(), "{second:?}");
    assert!(agent.verb(&["undo", "--all"]).ends_with(0).stdout.contains("Undone"));
    assert!(!agent.effect());
    agent.verb(&["release"]).ends_with(0);
    assert!(agent.serves());
}

fn an_agent_that_cannot_start() {
    let mut agent = Agent::in_force();
    add_invalid_line(&agent);
    agent.kill_all();
    agent.swept("run");
    let serve = agent.verb(&["serve"]).ends_with(2).shows(&agent.config(), "line 1");
    assert!(!agent.effect(), "{serve:?}");
    assert_eq!(agent.swept("run").as_deref(), Some(""), "swept without a configuration");
    assert!(serve.stdout.contains("Undone") && serve.stderr.contains("does not start"), "{serve:?}");
    let again = agent.verb(&["serve"]).ends_with(2);
    assert!(again.stdout.is_empty(), "there is nothing to report: {again:?}");
}

fn sweep_heals() {
    let mut agent = Agent::in_force();
    agent.kill_all();
    fs::remove_file(agent.config()).unwrap();
    let sweep = agent.verb(&["sweep"]).ends_with(0);
    assert!(!agent.effect() && sweep.stdout.contains("Undone"), "{sweep:?}");
    assert!(sweep.stderr.contains("cannot read") && sweep.stderr.contains("last good"), "{sweep:?}");
}

/// Changes the state directory and the run directory in the configuration.
fn change_paths(agent: &Agent) {
    let text = fs::read_to_string(agent.config()).unwrap();
    let text = text.replace("/state\"", "/new-state\"").replace("/run\"", "/new-run\"");
    fs::write(agent.config(), text).unwrap();
}

fn other_paths() {
    let mut agent = Agent::in_force();
    change_paths(&agent);
    let status = agent.verb(&["status"]).ends_with(0);
    assert!(status.stdout.contains("serves") && status.stdout.contains("InForce"), "{status:?}");
    agent.kill_all();
    let status = agent.verb(&["status"]).ends_with(0);
    assert!(status.stdout.contains("which the configuration named before"), "{status:?}");
    let undo = agent.verb(&["undo", "--all"]).ends_with(0);
    assert!(!agent.effect() && undo.stdout.contains("Undone"), "{undo:?}");
    assert!(!undo.stdout.contains("nothing was in force"), "{undo:?}");
}

fn other_paths_stuck() {
    let mut agent = Agent::in_force();
    fs::write(agent.path("run/world/a.hopeless"), "").unwrap();
    change_paths(&agent);
    agent.kill_all();
    agent.swept("run");
    agent.verb(&["undo", "--all", "--no-halt"]).ends_with(6);
    assert_eq!(agent.swept("run").as_deref(), Some("a"));
    assert_eq!(agent.swept("new-run").as_deref(), Some("a"), "the journal there does not know it");
}

fn other_paths_at_start() {
    let mut agent = Agent::in_force();
    change_paths(&agent);
    agent.kill_all();
    agent.guardian = command(&agent.dir, &["serve"]).stdout(Stdio::null()).spawn().unwrap();
    let socket = agent.path("new-run/control.sock");
    wait("the agent to serve", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    assert!(!agent.effect());
    agent.processes = super::Processes::of(agent.guardian.id());
}

fn policy_is_taken() {
    let agent = Agent::start("[policy]\nmax_hold = \"1s\"\n");
    let refused = || fs::read_to_string(agent.path("run/world/refused")).unwrap_or_default();
    wait("the policy to refuse", || refused() == "not-allowed");
    let text = fs::read_to_string(agent.config()).unwrap();
    fs::write(agent.config(), format!("nonsense = 1\n{text}")).unwrap();
    wait("an invalid file to refuse", || refused() == "configuration");
    assert!(agent.verb(&["status"]).ends_with(0).stdout.contains("nothing is injected"));
    fs::write(agent.config(), text.replace("\"1s\"", "\"10m\"")).unwrap();
    agent.wait_in_force();
    let status = agent.verb(&["status"]).ends_with(0);
    assert!(!status.stdout.contains("warning"), "{status:?}");
    assert!(status.stderr.is_empty(), "{status:?}");
}

fn changes_that_need_a_restart_are_reported() {
    let agent = Agent::in_force();
    let text = fs::read_to_string(agent.config()).unwrap();
    fs::write(agent.config(), text.replace("[22]", "[22, 2222]").replace("\"20s\"", "\"10s\"")).unwrap();
    for verb in ["status", "doctor"] {
        let output = agent.verb(&[verb]).ends_with(0);
        let wanted = "is newer than what the agent uses: ssh_ports, timings";
        assert!(output.stdout.contains(wanted) && output.stdout.contains("restart the agent"), "{output:?}");
    }
}

fn check_config() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new.toml");
    let check = || {
        let words = ["check-config", file.to_str().unwrap()];
        Output::from(command(&dir, &words).stderr(Stdio::piped()).output().unwrap())
    };
    assert!(check().ends_with(2).stderr.contains("new.toml"));
    fs::write(&file, "host = \"h\"\n\n  nonsense = 1\n").unwrap();
    check().ends_with(2).shows(&file, "line 3");
    fs::write(&file, "host = \"h\"\n").unwrap();
    assert!(check().ends_with(0).stdout.contains("can be used"));
    let help = Output::from(command(&dir, &["check-config", "--help"]).output().unwrap()).ends_with(0);
    assert!(help.stdout.contains("Examples:\n  firedrill-agent check-config"), "{help:?}");
}
