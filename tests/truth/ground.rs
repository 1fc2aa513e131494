//! A small lab, a coordinator in it as a separate process, and its report.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use firedrill::log::{self, Event};
use firedrill_lab::Lab;
use firedrill_wire::journal::{State, What};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::runs::run_folders;

const PROGRAM: &str = env!("CARGO_BIN_EXE_firedrill");
/// Maximum wait for an event, long enough for a busy machine.
const LONG: Duration = Duration::from_secs(90);

const FLEET: &str = r#"
schema = 1
[defaults]
env = "truth"
agent_port = 7790
[[host]]
name = "edge1"
region = "west"
roles = ["edge"]
addresses = ["10.78.1.10", "fd78:1::10"]
[[host]]
name = "app1"
region = "west"
roles = ["app"]
addresses = ["10.78.1.11", "fd78:1::11"]
[[host]]
name = "app2"
region = "west"
roles = ["app"]
addresses = ["10.78.1.12", "fd78:1::12"]
[[host]]
name = "client1"
region = "west"
roles = ["client"]
addresses = ["10.78.1.20", "fd78:1::20"]
"#;

/// Returns the option that names a lab.
pub(crate) fn by_lab(name: &str) -> String {
    format!("--lab={name}")
}

/// The shop's URL through the balancer, which routes around an app host that fails.
pub(crate) const SHOP: &str = "http://edge1/checkout";
/// The URL of one app host itself.
pub(crate) const APP1: &str = "http://app1:8080/checkout";

/// A drill of one attack that takes about ten seconds. A field is the value of the scenario's key with the same name, as it is written in TOML.
/// Cases set some fields and take the others from [`Drill::new`].
pub(crate) struct Drill {
    pub(crate) url: &'static str,
    pub(crate) connection: &'static str,
    pub(crate) from: &'static str,
    pub(crate) good: &'static str,
    pub(crate) on: &'static str,
    /// The kind of the fault and its parameters, as they follow `fault.`.
    pub(crate) fault: &'static str,
    pub(crate) hold: &'static str,
    pub(crate) recovery: &'static str,
    pub(crate) lease: &'static str,
    /// Further lines of the guard.
    pub(crate) guard: &'static str,
    /// The guard's share of each role.
    pub(crate) share: &'static str,
    /// Further lines of the attack, and the text after it.
    pub(crate) more: &'static str,
}

impl Drill {
    /// Returns a drill that stops the service on one of two app hosts. Users come through the balancer.
    pub(crate) fn new() -> Self {
        Self {
            url: SHOP,
            connection: "new",
            from: r#"["coordinator"]"#,
            good: "60%",
            on: "app1",
            fault: r#"service-stop = { service = "checkout" }"#,
            hold: "4s",
            recovery: "2s",
            lease: "10s",
            guard: "",
            share: "50%",
            more: "",
        }
    }

    fn text(&self) -> String {
        let Self { url, connection, from, good, on, fault, hold, recovery, lease, guard, share, more } = self;
        format!(
            r#"
schema = 1
name = "truth"
hypothesis = "The report says what was, and no more."
environment = "truth"
lease = "{lease}"
[targets.client]
where = {{ role = "client" }}
[targets.edge]
where = {{ role = "edge" }}
[targets.everybody]
where = {{ env = "truth" }}
[targets.shop]
where = {{ role = ["edge", "app"] }}
[probes.buy]
http = {{ url = "{url}", status = 200 }}
rate = 40
timeout = "500ms"
connection = "{connection}"
from = {from}
[objectives.users]
probe = "buy"
good = "{good}"
[guard]
max_share = {{ of = "role", share = "{share}" }}
{guard}
[[attack]]
name = "attack"
on = "{on}"
fault.{fault}
baseline = "2s"
hold = "{hold}"
recovery = "{recovery}"
{more}
"#
        )
    }
}

/// The lab of one case. It ends with the case.
pub(crate) struct Ground {
    name: String,
    folder: tempfile::TempDir,
}

impl Ground {
    /// Starts the lab of a case.
    pub(crate) fn new(case: &str) -> Self {
        let ground = Self {
            name: format!("truth-{case}-{}", std::process::id()),
            folder: tempfile::tempdir().unwrap(),
        };
        let fleet = ground.path("fleet.toml");
        fs::write(&fleet, FLEET).unwrap();
        let up = ground.firedrill(&["lab", "up", "--name", &ground.name, "--fleet", fleet.to_str().unwrap()]);
        assert!(up.status.success(), "{}", said(&up));
        ground
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env("NO_COLOR", "1").stdin(Stdio::null()).current_dir(self.folder.path());
        command
    }

    /// Runs `firedrill` to its end, and returns its output.
    pub(crate) fn firedrill(&self, words: &[&str]) -> Output {
        self.command().args(words).output().unwrap()
    }

    /// Returns the lab, for observations and disturbances.
    pub(crate) fn lab(&self) -> Lab {
        Lab::attach(&self.name).unwrap()
    }

    /// Returns the output of `check` for a drill, on the same fleet.
    pub(crate) fn check(&self, drill: &Drill) -> Output {
        fs::write(self.path("drill.toml"), drill.text()).unwrap();
        self.firedrill(&["check", "drill.toml", "--fleet", "fleet.toml"])
    }

    /// Starts a coordinator that runs a drill.
    pub(crate) fn start(&self, drill: &Drill) -> Running<'_> {
        fs::write(self.path("drill.toml"), drill.text()).unwrap();
        let errors = fs::File::create(self.path("stderr")).unwrap();
        let document = fs::File::create(self.path("stdout")).unwrap();
        let child = self
            .command()
            .args(["run", "drill.toml", &by_lab(&self.name), "--out", "out", "--json"])
            .stdout(document)
            .stderr(errors)
            .spawn()
            .unwrap();
        Running { ground: self, child }
    }

    /// Returns the pid, as this process sees it, of the worker of a host's agent.
    pub(crate) fn worker(&self, host: &str) -> i32 {
        let does_work = |pid: &i32| {
            let of = |file: &str| PathBuf::from(format!("/proc/{pid}/{file}"));
            let words = fs::read(of("cmdline")).unwrap_or_default();
            let polls =
                fs::read_dir(of("fd")).into_iter().flatten().flatten().any(|fd| {
                    fs::read_link(fd.path()).is_ok_and(|to| to == Path::new("anon_inode:[eventpoll]"))
                });
            String::from_utf8_lossy(&words).contains("agent.toml") && polls
        };
        let all: Vec<i32> = self.lab().pids(host).unwrap().into_iter().filter(does_work).collect();
        assert_eq!(all.len(), 1, "{host} does not have exactly one worker: {all:?}");
        all[0]
    }

    /// Returns what the coordinator has written to standard error so far.
    fn said_by_run(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.command().args(["lab", "down", "--name", &self.name]).output();
    }
}

/// A coordinator at work.
pub(crate) struct Running<'g> {
    ground: &'g Ground,
    child: Child,
}

impl Running<'_> {
    /// Returns the folder of the newest try; its name is the run's id.
    pub(crate) fn folder(&self) -> PathBuf {
        self.tries().pop().unwrap()
    }

    pub(crate) fn run_id(&self) -> String {
        self.folder().file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// Waits until a fault is in force.
    pub(crate) fn in_force(&mut self) -> &mut Self {
        self.in_force_on(1)
    }

    /// Waits until the log has so many changes to "in force": one per host, if each host has one fault.
    pub(crate) fn in_force_on(&mut self, hosts: usize) -> &mut Self {
        self.until_times(hosts, |event| match event {
            Event::Agent { what, .. } => matches!(what.what, What::Changed { to: State::InForce, .. }),
            _ => false,
        })
    }

    /// Waits until an event has happened.
    pub(crate) fn until(&mut self, happened: impl Fn(&Event) -> bool) -> &mut Self {
        self.until_times(1, happened)
    }

    fn until_times(&mut self, times: usize, happened: impl Fn(&Event) -> bool) -> &mut Self {
        let end = Instant::now() + LONG;
        loop {
            let there = run_folders(&self.ground.path("out"))
                .into_iter()
                .filter_map(|run| log::read(&run.join("events.jsonl")).ok())
                .flat_map(|log| log.records)
                .filter(|record| happened(&record.event));
            if there.count() >= times {
                return self;
            }
            let over = self.child.try_wait().unwrap();
            assert!(over.is_none(), "the run ended with {over:?}: {}", self.ground.said_by_run());
            assert!(Instant::now() < end, "the event did not happen: {}", self.ground.said_by_run());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the folders of all tries, oldest first.
    pub(crate) fn tries(&self) -> Vec<PathBuf> {
        let mut all = run_folders(&self.ground.path("out"));
        // Ids from the same minute have no order, so the start in the log decides.
        all.sort_by_key(|folder| {
            let log = log::read(&folder.join("events.jsonl")).ok();
            match log.and_then(|log| log.records.into_iter().next()).map(|first| first.event) {
                Some(Event::RunStarted { attempt, .. }) => attempt,
                _ => u32::MAX,
            }
        });
        all
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> &mut Self {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self
    }

    /// Waits until the coordinator has ended, without reading its report. Returns the run's folder.
    pub(crate) fn gone(mut self) -> PathBuf {
        self.wait();
        self.folder()
    }

    /// Waits until the coordinator has ended by itself, and returns its report.
    pub(crate) fn report(self) -> Report {
        self.report_and_tries().0
    }

    /// Returns the report of the last try, and the folders of all tries.
    pub(crate) fn report_and_tries(self) -> (Report, Vec<PathBuf>) {
        self.standing(|tries| tries.len() - 1)
    }

    /// Waits until the coordinator has ended. Returns the report of the try that stands, and the folders of all tries. `which` returns the index of
    /// that try.
    pub(crate) fn standing(mut self, which: fn(&[PathBuf]) -> usize) -> (Report, Vec<PathBuf>) {
        let code = self.wait();
        let tries = self.tries();
        let folder = &tries[which(&tries)];
        let document = fs::read_to_string(self.ground.path("stdout")).unwrap();
        let file = fs::read_to_string(folder.join("report.json")).unwrap();
        assert_eq!(document, file, "standard output is report.json of the try that stands, and nothing else");
        (Report::read(folder, code, self.ground.said_by_run()), tries)
    }

    fn wait(&mut self) -> Option<i32> {
        let end = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("the run does not end: {}", self.ground.said_by_run());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The files that a run left for people and programs.
pub(crate) struct Report {
    /// The exit code of the coordinator; `None` if a signal ended it.
    code: Option<i32>,
    /// The scorecard of `report.json`.
    pub(crate) card: Value,
    /// The text of `report.md`.
    pub(crate) pages: String,
    /// The standard error of the coordinator.
    said: String,
}

impl Report {
    pub(crate) fn read(folder: &Path, code: Option<i32>, said: String) -> Self {
        let text = |file: &str| {
            fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}; {said}"))
        };
        let json: Value = serde_json::from_str(&text("report.json")).unwrap();
        Self {
            code,
            card: json["scorecard"].clone(),
            // Backslashes only keep text from being markup, so they are removed.
            pages: text("report.md").replace('\\', ""),
            said,
        }
    }

    /// Checks the verdict, the exit code, and the reason in both reports.
    pub(crate) fn expect(&self, verdict: &str, code: i32, reason: &str) -> &Self {
        let card = serde_json::to_string_pretty(&self.card).unwrap();
        assert_eq!(self.card["verdict"], verdict, "{card}\n{}", self.said);
        assert_eq!(self.code, Some(code), "{card}\n{}", self.said);
        assert!(card.contains(reason), "`{reason}` is not in report.json:\n{card}");
        assert!(self.pages.contains(reason), "`{reason}` is not in report.md:\n{}", self.pages);
        self
    }

    /// Checks that a host was touched, and that all touched hosts are as before.
    pub(crate) fn clean(&self) {
        let hosts = self.card["hosts"].as_array().unwrap();
        assert!(!hosts.is_empty(), "no host was touched: {}", self.card);
        for host in hosts {
            assert_eq!(host["state"], "clean", "{host}");
        }
    }
}

/// Returns the standard output and the standard error of a program that has ended, as text.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
