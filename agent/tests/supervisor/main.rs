//! Tests of the supervisor with fake faults that record each call: which injections start, which never do, and that all are undone.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod approvals;
mod end;
#[path = "../helpers/fakes.rs"]
mod fakes;
mod journal;
mod life;
mod logs;
mod people;
mod start;
mod undo;

use std::{fs, path::PathBuf, sync::Arc, sync::atomic::AtomicU64, sync::atomic::Ordering};

use fakes::{alice, ask_arm, ask_prepare, config_text, pause, ready, run_id, wait, wiring};
use firedrill_agent::{
    config::Config, control::Caller, control::Certificate, control::Control, journal::Tail,
    supervisor::Guard, supervisor::Supervisor, supervisor::recover, wiring::Wiring,
};
use firedrill_wire::{
    Fault, InjectionId, Span, api::Arm, api::Prepared, api::Renew, api::Undo, api::UndoAnswer,
    api::UndoScope, fault::ProcessKill, fault::Signal, journal::AgentEvent, journal::HealReason,
    journal::State, journal::What,
};

/// A guardian that records its last deadline, in microseconds since boot; 0 is none.
#[derive(Default)]
struct Deadline(AtomicU64);
impl Guard for Deadline {
    fn set(&self, _: u32, deadline_boot_us: Option<u64>) {
        self.0.store(deadline_boot_us.unwrap_or(0), Ordering::SeqCst);
    }
}

const HOLD: Span = Span::secs(60);
const LEASE: Span = Span::secs(30);

/// An agent without a server, in a temporary directory.
struct Agent {
    dir: tempfile::TempDir,
    config: Arc<Config>,
    guard: Arc<Deadline>,
    supervisor: Supervisor,
}

impl Agent {
    fn new() -> Self {
        Self::with("")
    }

    /// Starts an agent with more lines in its configuration.
    fn with(more: &str) -> Self {
        Self::with_wiring(more, wiring())
    }

    fn with_wiring(more: &str, wiring: Wiring) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // On a busy machine starts are late. Tests of late starts set a tolerance in `more`.
        let tolerance = if more.contains("start_tolerance") { "" } else { "start_tolerance = \"20s\"\n" };
        let text = config_text(dir.path(), &format!("{tolerance}{more}"));
        let config = Arc::new(Config::parse(&text, &dir.path().join("agent.toml")).unwrap());
        let guard = Arc::default();
        let supervisor = Self::start(&config, &guard, wiring);
        Self { dir, config, guard, supervisor }
    }

    fn start(config: &Arc<Config>, guard: &Arc<Deadline>, wiring: Wiring) -> Supervisor {
        let host = Arc::new(config.host());
        let recovered = recover(config, &host, &wiring, &HealReason::FoundAtStart, || {}).unwrap();
        let prober = (wiring.prober)(config, wiring.stores);
        let guard = Arc::clone(guard);
        Supervisor::start(Arc::clone(config), host, wiring, guard, prober, recovered).unwrap()
    }

    /// Starts another agent with the same files, as after a crash.
    fn restart(self) -> Self {
        let Self { dir, config, guard, supervisor } = self;
        std::mem::forget(supervisor);
        // The threads of the old agent live on. They keep the old file of the journal open, so the new agent gets a copy.
        let (journal, copy) = (dir.path().join("state/journal"), dir.path().join("state/journal.copy"));
        if journal.exists() {
            fs::copy(&journal, &copy).unwrap();
            fs::rename(&copy, &journal).unwrap();
        }
        let supervisor = Self::start(&config, &guard, wiring());
        Self { dir, config, guard, supervisor }
    }

    /// Returns the path of a file of the fake world.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("run/world").join(name)
    }

    /// Returns the recorded calls of fake faults.
    fn log(&self) -> Vec<String> {
        fs::read_to_string(self.file("log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn events(&self) -> Vec<AgentEvent> {
        let mut tail = Tail::new(self.dir.path().join("state/journal"), 0);
        let mut events = Vec::new();
        loop {
            let more = tail.next(u64::MAX).unwrap();
            if more.is_empty() {
                return events;
            }
            events.extend(more);
        }
    }

    /// Returns the states of an injection, the last reason, and all details in one text.
    fn history(&self, wanted: &str) -> (Vec<State>, Option<HealReason>, String) {
        let (mut states, mut last, mut details) = (Vec::new(), None, String::new());
        for event in self.events() {
            if let What::Changed { injection, to, reason, detail, .. } = event.what
                && injection.as_str() == wanted
            {
                states.push(to);
                last = reason.or(last);
                details += &detail;
            }
        }
        (states, last, details)
    }

    /// Returns when an injection got into a state by the agent's journal, in microseconds since boot.
    fn when(&self, wanted: &str, state: State) -> Option<u64> {
        self.events().into_iter().find_map(|event| match event.what {
            What::Changed { injection, to, .. } if injection.as_str() == wanted && to == state => {
                Some(event.boot_us)
            }
            _ => None,
        })
    }

    /// Prepares and arms injections with this hold, and renews their lease.
    fn armed_for(&self, faults: &[(&str, Fault)], hold: Span) {
        let answer = self.supervisor.prepare(&alice(), &run_id(), &ask_prepare(faults, hold)).unwrap();
        self.arm(&ask_arm(&ready(answer), 50, hold, LEASE)).unwrap();
        self.renew().unwrap();
    }

    /// Prepares injections, and returns the request to arm them with a start in `start_ms` milliseconds.
    fn prepared(&self, faults: &[(&str, Fault)], start_ms: u64) -> Arm {
        let answer = self.supervisor.prepare(&alice(), &run_id(), &ask_prepare(faults, HOLD)).unwrap();
        ask_arm(&ready(answer), start_ms, HOLD, LEASE)
    }

    /// Prepares a fault that must be refused, and returns the code of the refusal.
    fn refusal_of(&self, json: &str) -> String {
        let asks = [("a", serde_json::from_str(json).unwrap())];
        let answer = self.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&asks, HOLD)).unwrap();
        match &answer.injections[0].answer {
            Prepared::Refused(problem) => problem.code.to_string(),
            ready @ Prepared::Ready { .. } => panic!("{json} is {ready:?}"),
        }
    }

    fn arm(&self, arm: &Arm) -> Result<(), String> {
        self.supervisor.arm(&alice(), &run_id(), arm).map(drop).map_err(|problem| problem.code.to_string())
    }

    fn renew(&self) -> Result<(), String> {
        self.supervisor
            .renew(&alice(), &run_id(), &Renew { lease: LEASE })
            .map(drop)
            .map_err(|problem| problem.code.to_string())
    }

    /// Prepares, arms and renews injections, and waits until they are in force.
    fn in_force(&self, faults: &[(&str, Fault)]) {
        self.arm(&self.prepared(faults, 0)).unwrap();
        self.renew().unwrap();
        for (id, _) in faults {
            self.wait_for(id, State::InForce);
        }
    }

    fn wait_for(&self, id: &str, state: State) {
        wait(&format!("{id} to be {state:?}"), || self.history(id).0.last() == Some(&state));
    }

    fn undo(&self, scope: UndoScope, halt: bool) -> UndoAnswer {
        self.supervisor.undo(&alice(), &Undo { scope, halt })
    }
}

fn id(text: &str) -> InjectionId {
    text.parse().unwrap()
}

/// Returns a fault that makes the file `name`, and that nothing undoes.
fn kill(name: &str) -> Fault {
    let Fault::ProcessPause(fault) = pause(name, None, None) else { unreachable!() };
    Fault::ProcessKill(ProcessKill { which: fault.which, signal: Signal::Kill })
}

/// Returns one fault, `a`.
fn a() -> [(&'static str, Fault); 1] {
    [("a", pause("a", None, None))]
}

/// Returns a person whose certificate has that serial number.
fn with_certificate(name: &str, serial: &str) -> Caller {
    let certificate = Certificate { serial: serial.into(), chain: Vec::new() };
    Caller { name: name.into(), certificate: Some(Arc::new(certificate)), ..alice() }
}
