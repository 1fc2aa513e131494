//! Real agents with a fault in force, whose files go bad: the processes still undo everything and report the problem.
//!
//! Has a separate test harness, because the agent forks. Everything runs in a mount namespace of this program.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod configuration;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../helpers/fakes.rs"]
mod fakes;
#[path = "../helpers/harness.rs"]
mod harness;
mod log;
mod state;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Child, ExitCode, Stdio},
    time::Duration,
};

use fakes::{alice, ask_arm, ask_prepare, config_text, pause, run_id, wait, wiring};
use firedrill_agent::{
    host::Host,
    sweep::Swept,
    testing::skip,
    wiring::{ServerParts, Wiring},
};
use firedrill_wire::{InjectionId, Span, api::Prepared};
use harness::{Part, Processes, Who, begin, command, own_directories, renew_while};
use rustix::process::Signal;

fn main() -> ExitCode {
    let tests = [configuration::TESTS, log::TESTS, state::TESTS].concat().leak();
    let tests = match begin(tests, || Wiring { server: |parts| Box::pin(drill(parts)), sweep, ..wiring() }) {
        Part::Done(code) => return code,
        Part::Tests(tests) => tests,
    };
    if !nix::unistd::geteuid().is_root()
        && let Err(why) = own_directories()
    {
        skip(&format!("agents whose files go bad: no mount namespace can be made here: {why}"));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in tests {
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += usize::from(!ok);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Test = (&'static str, fn());

/// Removes nothing. Writes the ids of the live injections, whose objects a real sweep would have spared, to the file `swept`.
fn sweep(host: &Host, live: &dyn Fn() -> Vec<InjectionId>) -> Swept {
    let live: Vec<String> = live().iter().map(ToString::to_string).collect();
    fs::create_dir_all(&host.paths.run).unwrap();
    fs::write(host.paths.run.join("swept"), live.join(" ")).unwrap();
    Swept::default()
}

/// The coordinator, inside the worker: asks for a fault until it is accepted, then renews it. Writes the code of each
/// refusal to the file `refused`.
async fn drill(parts: ServerParts) -> Result<(), String> {
    let world = parts.config.paths.run.join("world");
    if world.join("drill").exists() {
        let control = parts.control;
        let (hold, lease) = (Span::secs(100), Span::secs(20));
        tokio::task::spawn_blocking(move || {
            loop {
                let ask = ask_prepare(&[("a", pause("a", None, None))], hold);
                let answer = control.prepare(&alice(), &run_id(), &ask).unwrap();
                match &answer.injections[0].answer {
                    Prepared::Ready { fingerprint, .. } => {
                        let prepared = [("a".to_owned(), fingerprint.clone())];
                        control.arm(&alice(), &run_id(), &ask_arm(&prepared, 100, hold, lease)).unwrap();
                        break;
                    }
                    Prepared::Refused(problem) => {
                        fs::write(world.join("refused"), problem.code.as_str()).unwrap();
                    }
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            renew_while(&*control, lease, || true);
        });
    }
    parts.stop.cancelled().await;
    Ok(())
}

/// An agent that has a fault in force, or is about to.
struct Agent {
    dir: tempfile::TempDir,
    guardian: Child,
    processes: Processes,
}

impl Agent {
    /// Starts an agent and waits until its fault is in force.
    fn in_force() -> Self {
        let agent = Self::start("");
        agent.wait_in_force();
        agent
    }

    /// Starts an agent that asks for a fault. `more` is appended to its configuration.
    fn start(more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more)
    }

    fn start_in(dir: tempfile::TempDir, more: &str) -> Self {
        let text = config_text(dir.path(), &format!("start_tolerance = \"20s\"\n{more}"));
        fs::write(dir.path().join("agent.toml"), text).unwrap();
        fs::write(dir.path().join("run/world/drill"), "").unwrap();
        let guardian = command(&dir, &["serve"]).spawn().unwrap();
        let mut agent = Self { dir, guardian, processes: Processes::default() };
        wait("the agent to serve", || agent.serves());
        agent.processes = Processes::of(agent.guardian.id());
        agent
    }

    fn serves(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.path("run/control.sock")).is_ok()
    }

    fn wait_in_force(&self) {
        wait("the fault to be in force", || self.active().contains("InForce"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("agent.toml")
    }

    /// Returns the injections that the last sweep in a run directory spared; `None` if there was no sweep since the last call.
    fn swept(&self, run: &str) -> Option<String> {
        let file = self.path(run).join("swept");
        let spared = fs::read_to_string(&file).ok()?;
        fs::remove_file(file).unwrap();
        Some(spared)
    }

    fn active(&self) -> String {
        fs::read_to_string(self.path("run/active")).unwrap_or_default()
    }

    fn effect(&self) -> bool {
        self.path("run/world/a").exists()
    }

    /// Kills all three processes, so that none is left to undo anything.
    fn kill_all(&mut self) {
        self.kill();
        assert!(self.effect(), "no process was left to undo it");
        // The next agent does not ask for a fault.
        fs::remove_file(self.path("run/world/drill")).unwrap();
    }

    fn kill(&mut self) {
        // All are stopped first, so that none of them sees another die.
        self.processes.stop(&Processes::ALL);
        Processes::ALL.iter().for_each(|who| self.processes.signal(*who, Signal::KILL));
        for who in [Who::Guardian, Who::Worker, Who::Helper] {
            wait("the agent to be gone", || self.processes.is_gone(who));
        }
        self.guardian.wait().unwrap();
    }

    /// Runs a verb to its end.
    fn verb(&self, words: &[&str]) -> Output {
        let output = command(&self.dir, words).stderr(Stdio::piped()).output().unwrap();
        Output::from(output)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
    }
}

/// The output of a verb.
#[derive(Debug)]
struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<process::Output> for Output {
    fn from(output: process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Output {
    #[track_caller]
    fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Checks that stderr has the file, the line and the place in it.
    #[track_caller]
    fn shows(self, file: &Path, line: &str) -> Self {
        for wanted in [file.to_str().unwrap(), line, "^", "nonsense"] {
            assert!(self.stderr.contains(wanted), "{wanted}: {self:?}");
        }
        self
    }
}
