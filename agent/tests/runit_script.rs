//! Tests of the scripts in `packaging/runit` under a real runsv: the agent serves, is restarted, and no fault stays in force without it.
//!
//! This program has no libtest harness, because the agent forks.
#![expect(clippy::unwrap_used, reason = "a test program")]

#[expect(dead_code, reason = "for other tests")]
#[path = "helpers/fakes.rs"]
mod fakes;
#[expect(dead_code, reason = "for other tests")]
#[path = "helpers/harness.rs"]
mod harness;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
};

use fakes::{alice, ask_arm, ask_prepare, config_text, pause, ready, run_id, wait, wiring};
use firedrill_agent::{
    config::Config,
    journal::{Tail, read},
    wiring::{ServerParts, Wiring},
};
use firedrill_wire::{
    Span,
    journal::{HealReason, What},
};
use harness::{AGENT, Part, Processes, begin, renew_while};
use rustix::process::Signal;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/runit");

fn main() -> ExitCode {
    let tests = match begin(TESTS, || Wiring { server: |parts| Box::pin(drill(parts)), ..wiring() }) {
        Part::Done(code) => return code,
        Part::Tests(tests) => tests,
    };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_installed = |name: &str| std::env::split_paths(&folders).any(|folder| folder.join(name).is_file());
    if !is_installed("runsv") || !is_installed("svlogd") {
        eprintln!("skipped: the scripts for runit, which is not installed");
        return ExitCode::SUCCESS;
    }
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

const TESTS: &[(&str, fn())] = &[
    ("a_stopped_service_undoes_its_faults", a_stopped_service_undoes_its_faults),
    ("faults_are_undone_before_the_next_start", faults_are_undone_before_the_next_start),
    ("faults_are_undone_with_a_broken_configuration", faults_are_undone_with_a_broken_configuration),
];

/// Acts as the coordinator inside the worker: makes one fault, and renews its lease as long as the file `drill` exists.
async fn drill(parts: ServerParts) -> Result<(), String> {
    let world = parts.config.paths.run.join("world");
    if world.join("drill").exists() {
        let control = parts.control;
        let (lease, hold) = (Span::secs(2), Span::secs(100));
        tokio::task::spawn_blocking(move || {
            let ask = ask_prepare(&[("a", pause("a", None, None))], hold);
            let prepared = ready(control.prepare(&alice(), &run_id(), &ask).unwrap());
            control.arm(&alice(), &run_id(), &ask_arm(&prepared, 100, hold, lease)).unwrap();
            renew_while(&*control, lease, || world.join("drill").exists());
        });
    }
    parts.stop.cancelled().await;
    Ok(())
}

/// An agent under runsv, with a fault in force. Dropping this ends runsv and the agent.
struct Service {
    dir: tempfile::TempDir,
    runsv: Child,
}

impl Service {
    /// Starts the agent, and waits until the fault is in force.
    fn in_force() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::write(path.join("agent.toml"), config_text(path, "start_tolerance = \"20s\"\n")).unwrap();
        fs::write(path.join("run/world/drill"), "").unwrap();
        let service = path.join("sv");
        fs::create_dir_all(service.join("log")).unwrap();
        for script in ["run", "finish", "log/run"] {
            fs::copy(Path::new(SCRIPTS).join(script), service.join(script)).unwrap();
        }
        let conf = ["AGENT", "RUN", "STATE", "LOG"].map(|name| {
            let place = path.join(if name == "AGENT" { "agent".to_owned() } else { name.to_lowercase() });
            format!("{name}={}\n", place.display())
        });
        fs::write(service.join("conf"), conf.concat()).unwrap();
        let program = std::env::current_exe().unwrap();
        let agent = format!(
            "#!/bin/sh\nexec {} {AGENT} \"$@\" --config {}\n",
            program.display(),
            path.join("agent.toml").display()
        );
        fs::write(path.join("agent"), agent).unwrap();
        fs::set_permissions(path.join("agent"), fs::Permissions::from_mode(0o755)).unwrap();
        let runsv = Command::new("runsv").arg(&service).spawn().unwrap();
        let this = Self { dir, runsv };
        wait("the fault to be in force", || this.effect().exists());
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the file that exists while the fault is in force.
    fn effect(&self) -> PathBuf {
        self.path("run/world/a")
    }

    /// Sends commands to runsv as `sv` does.
    fn send(&self, command: &[u8]) {
        let control = self.path("sv/supervise/control");
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(control)
            .unwrap()
            .write_all(command)
            .unwrap();
    }

    /// Whether this is the status by runsv: `run` or `down`.
    fn has_status(&self, status: &str) -> bool {
        fs::read_to_string(self.path("sv/supervise/stat")).is_ok_and(|text| text.trim() == status)
    }

    /// Returns the PID of the guardian, which runsv starts.
    fn guardian(&self) -> Option<u32> {
        fs::read_to_string(self.path("sv/supervise/pid")).ok()?.trim().parse().ok()
    }

    /// Returns the reasons of all undos in the journal.
    fn reasons(&self) -> Vec<HealReason> {
        let events = Tail::new(self.path("state/journal"), 0).next(u64::MAX).unwrap();
        let reasons = events.into_iter().filter_map(|event| match event.what {
            What::Changed { reason, .. } => reason,
            _ => None,
        });
        reasons.collect()
    }

    /// Kills all three processes, so that none is left to undo anything.
    fn kill_all(&self) {
        let processes = Processes::of(self.guardian().unwrap());
        processes.stop(&Processes::ALL);
        Processes::ALL.iter().for_each(|who| processes.signal(*who, Signal::KILL));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log/current")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // runsv stops the service and then ends itself.
        if self.path("sv/supervise/ok").exists() {
            self.send(b"x");
        }
        wait("runsv to end", || self.runsv.try_wait().is_ok_and(|ended| ended.is_some()));
    }
}

fn a_stopped_service_undoes_its_faults() {
    let service = Service::in_force();
    service.send(b"d");
    wait("the service to be down", || service.has_status("down"));
    assert!(!service.effect().exists(), "{}", service.log());
    assert!(service.reasons().contains(&HealReason::AgentStopping), "{:?}", service.reasons());
}

fn faults_are_undone_before_the_next_start() {
    let service = Service::in_force();
    let before = service.guardian().unwrap();
    fs::remove_file(service.path("run/world/drill")).unwrap();
    service.kill_all();
    wait("another agent to run", || {
        service.has_status("run") && service.guardian().is_some_and(|now| now != before)
    });
    // `finish` undid everything before the next agent started.
    assert!(!service.effect().exists(), "{}", service.log());
    let config = Config::load(&service.path("agent.toml")).unwrap();
    assert_eq!(read(&config.paths()).unwrap().open().count(), 0);
    assert!(service.reasons().contains(&HealReason::AgentStopping), "{:?}", service.reasons());
    wait("the log of the undo", || service.log().contains("Undone"));
}

fn faults_are_undone_with_a_broken_configuration() {
    let service = Service::in_force();
    fs::write(service.path("agent.toml"), "nonsense = [").unwrap();
    service.kill_all();
    wait("the effect to be put back", || !service.effect().exists());
    wait("the log to say what is wrong", || service.log().contains("agent.toml"));
}
