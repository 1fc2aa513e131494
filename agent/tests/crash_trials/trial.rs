//! One trial, from inside its host: a drill, hits on processes, damage, and an undo. Then the host must be as before.

use std::{
    fs,
    os::unix::{net::UnixStream, process::CommandExt as _},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use firedrill_agent::wiring::ServerParts;
use firedrill_wire::{
    Span,
    api::{Undo, UndoScope},
    journal::State,
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::{
    damage,
    fakes::{alice, ask_arm, ask_prepare, ready, run_id},
    harness::{Processes, command, renew_while},
    host::{Host, root},
    plan::{Damage, Healer, Moment, Plan},
};

/// Maximum time for a step of the trial on a busy machine. No undo takes more than some seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// The lease of a coordinator that renews, in milliseconds. It is longer than the agent's processes take to notice that one has died, and
/// short enough that it ends while the trial waits.
const RENEWED: u64 = 6000;

/// The result of a trial.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) plan: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) damage: String,
    /// Whether a fault had an effect when the first process was hit.
    pub(crate) broke: bool,
    /// The differences that were left, or why the trial could not be made.
    pub(crate) problem: Option<String>,
}

/// The coordinator's task, from the file `drill`. Times are in milliseconds.
#[derive(Serialize, Deserialize)]
struct Drill {
    faults: Vec<String>,
    ahead: u64,
    hold: u64,
    lease: u64,
    undo: bool,
}

/// The coordinator, inside the worker.
pub(crate) async fn coordinator(parts: ServerParts) -> Result<(), String> {
    let run = parts.config.paths.run.clone();
    if let Ok(text) = fs::read_to_string(run.join("drill")) {
        let drill: Drill = serde_json::from_str(&text).unwrap();
        let control = parts.control;
        tokio::task::spawn_blocking(move || {
            let names: Vec<String> = (0..drill.faults.len()).map(|number| format!("t{number}")).collect();
            let faults = drill.faults.iter().map(|json| serde_json::from_str(json).unwrap());
            let faults: Vec<_> = names.iter().map(String::as_str).zip(faults).collect();
            let hold = Span::millis(drill.hold);
            let lease = Span::millis(drill.lease);
            let prepared = ready(control.prepare(&alice(), &run_id(), &ask_prepare(&faults, hold)).unwrap());
            control.arm(&alice(), &run_id(), &ask_arm(&prepared, drill.ahead, hold, lease)).unwrap();
            fs::write(run.join("armed"), "").unwrap();
            if drill.undo {
                let (control, run) = (std::sync::Arc::clone(&control), run.clone());
                std::thread::spawn(move || {
                    let all_in_force = || {
                        let open = control.status().open;
                        open.is_empty() || open.iter().all(|injection| injection.state == State::InForce)
                    };
                    while !all_in_force() && run.join("coordinator").exists() {
                        sleep(Duration::from_millis(5));
                    }
                    control.undo(&alice(), &Undo { scope: UndoScope::Run(run_id()), halt: false });
                });
            }
            renew_while(&*control, lease, || run.join("coordinator").exists());
        });
    }
    parts.stop.cancelled().await;
    Ok(())
}

/// Carries out a trial as the first process of fresh namespaces.
pub(crate) fn run(seed: u64, root_user: bool) -> Outcome {
    let plan = Plan::of(seed, cfg!(debug_assertions), root_user);
    let host = Host::new(plan.faults.iter().any(|kind| kind.root_only), plan.configuration());
    let mut trial = Trial { host, plan, agent: None, rng: fastrand::Rng::with_seed(seed) };
    let (broke, problem) = match trial.carry_out() {
        Ok(broke) => (broke, None),
        Err(problem) => (true, Some(format!("{problem}\n{}", trial.story()))),
    };
    Outcome {
        seed,
        plan: trial.plan.to_string(),
        kinds: trial.plan.faults.iter().map(|kind| kind.name.to_owned()).collect(),
        damage: format!("{:?}", trial.plan.damage),
        broke,
        problem,
    }
}

struct Trial {
    host: Host,
    plan: Plan,
    agent: Option<Child>,
    rng: fastrand::Rng,
}

impl Trial {
    /// Returns whether a fault had an effect when the first process was hit. The error says what went wrong.
    fn carry_out(&mut self) -> Result<bool, String> {
        let processes = self.start()?;
        self.come_to_the_moment()?;
        let broke = !self.host.effects().is_empty();
        let besides = self.plan.undo_besides.then(|| self.verb(&["undo", "--all", "--no-halt"]));
        let all_killed = self.plan.hits.iter().filter(|hit| hit.signal == Signal::KILL).count() == 3;
        if !all_killed {
            self.damage();
        }
        for hit in &self.plan.hits {
            sleep(Duration::from_millis(hit.pause));
            processes.signal(hit.who, hit.signal);
        }
        let run = root().join("run");
        if self.plan.silent {
            let _ = fs::remove_file(run.join("coordinator"));
        }
        let _ = fs::remove_file(run.join("crash-point"));
        let _ = fs::remove_file(run.join("drill"));
        if let Some(mut child) = besides {
            child.wait().unwrap();
        }
        if all_killed {
            until("the agent is dead", || Processes::ALL.iter().all(|who| processes.is_gone(*who)))?;
            self.damage();
        }
        if !Processes::ALL.iter().any(|who| self.plan.is_left(*who)) {
            self.heal(&processes)?;
        }
        self.wait_clean()?;
        // A process that was stopped is continued. It must find that everything is undone, and change nothing.
        let _ = fs::remove_file(run.join("coordinator"));
        for who in Processes::ALL {
            processes.signal(who, Signal::CONT);
        }
        let mut status = String::new();
        until("nothing is open", || {
            let output = command(root(), &["status", "--json"]).output().unwrap();
            status = String::from_utf8_lossy(&output.stdout).into_owned();
            serde_json::from_str::<serde_json::Value>(&status)
                .is_ok_and(|status| status["open"].as_array().is_some_and(Vec::is_empty))
        })
        .map_err(|late| format!("{late}: {status}"))?;
        self.wait_clean()?;
        let log = self.log();
        if log.contains("panicked at") { Err("a process panicked".to_owned()) } else { Ok(broke) }
    }

    /// Starts the agent, with its drill.
    fn start(&mut self) -> Result<Processes, String> {
        let run = root().join("run");
        let drill = Drill {
            faults: self.plan.faults.iter().map(|kind| kind.json.to_owned()).collect(),
            ahead: self.plan.ahead,
            hold: self.plan.hold,
            lease: if self.plan.silent { 1000 } else { RENEWED },
            undo: self.plan.moment.is_in_undo(),
        };
        fs::write(run.join("drill"), serde_json::to_string(&drill).unwrap()).unwrap();
        fs::write(run.join("coordinator"), "").unwrap();
        if let Moment::Place(place) = self.plan.moment {
            fs::write(run.join("crash-point"), place).unwrap();
        }
        let agent = command(root(), &["serve"]).process_group(0).spawn().unwrap();
        let guardian = agent.id();
        self.agent = Some(agent);
        until("the faults are armed", || run.join("armed").exists())?;
        Ok(Processes::of(guardian))
    }

    /// Waits until the moment of the first hit.
    fn come_to_the_moment(&self) -> Result<(), String> {
        match self.plan.moment {
            Moment::After(pause) => {
                sleep(Duration::from_millis(pause));
                Ok(())
            }
            // The wait is bounded, because a fault may end before that place.
            Moment::Place(_) => {
                let began = Instant::now();
                let bound = Duration::from_millis(self.plan.ahead + 3000);
                while !root().join("run/crash-point.reached").exists() && began.elapsed() < bound {
                    sleep(Duration::from_millis(5));
                }
                Ok(())
            }
        }
    }

    /// Does the planned damage, unless it would destroy the only complete record of the open injections.
    fn damage(&mut self) {
        let began = Instant::now();
        while self.plan.damage.loses_the_journal() && !damage::is_copied(&self.host.config) {
            if began.elapsed() > Duration::from_secs(1) {
                self.plan.damage = Damage::None;
            }
            sleep(Duration::from_millis(10));
        }
        damage::make(self.plan.damage, &mut self.rng);
    }

    fn verb(&self, words: &[&str]) -> Child {
        command(root(), words).stdout(Stdio::null()).process_group(0).spawn().unwrap()
    }

    /// Undoes as an administrator or a service manager does when no process of the agent is left.
    fn heal(&mut self, processes: &Processes) -> Result<(), String> {
        if self.plan.healer != Healer::UndoAll {
            // A service manager kills all processes before it starts the next.
            Processes::ALL.iter().for_each(|who| processes.signal(*who, Signal::KILL));
            until("the agent is dead", || Processes::ALL.iter().all(|who| processes.is_gone(*who)))?;
        }
        if let Some(after) = self.plan.healer_dies {
            let mut first = self.verb(self.plan.healer.words());
            sleep(Duration::from_millis(after));
            let _ = kill_process_group(Pid::from_child(&first), Signal::KILL);
            first.wait().unwrap();
        }
        self.agent = Some(self.verb(self.plan.healer.words()));
        Ok(())
    }

    fn wait_clean(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let left = self.host.differences();
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("left after {PATIENCE:?}:\n  {}", left.join("\n  ")));
            }
            sleep(Duration::from_millis(15));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(root().join("stderr")).unwrap_or_default()
    }

    /// Returns the details for a person who looks into a failed trial.
    fn story(&self) -> String {
        let run = root().join("run");
        let journal = fs::read(root().join("state/journal")).unwrap_or_default();
        let journal = String::from_utf8_lossy(&journal);
        let lines: Vec<String> =
            journal.lines().rev().take(20).map(|line| line.chars().take(300).collect()).collect();
        format!(
            "the agents' words:\n{}\nthe journal, newest first:\n{}\nsockets answer: {}",
            self.log(),
            lines.join("\n"),
            UnixStream::connect(run.join("control.sock")).is_ok()
        )
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return Err(format!("waited {PATIENCE:?} until {what}"));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}
