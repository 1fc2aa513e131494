//! Random crash trials: each is a real agent with real faults in fresh namespaces, whose processes are killed and stopped
//! at a random moment while journal, configuration or identity may go bad; then the host must be as it was before.
//!
//! The number of a trial determines all its choices. `FIREDRILL_TRIALS` is the number of trials, `FIREDRILL_SEED` the
//! number of the first, `FIREDRILL_TRIALS_AT_ONCE` the number of trials that run at the same time. Prints each trial that left
//! a difference on its host, and a table at the end.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod damage;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../helpers/fakes.rs"]
mod fakes;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../helpers/harness.rs"]
mod harness;
mod host;
mod plan;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../helpers/runsv.rs"]
mod runsv;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../helpers/services.rs"]
mod services;
mod table;
mod trial;

use std::{
    env, fs,
    process::{Command, ExitCode, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use firedrill_agent::{built_in, testing::skip, wiring::Wiring};
use harness::{Part, begin};
use trial::Outcome;

/// The argument with which this program starts itself to make the namespaces of a trial.
const OUTSIDE: &str = "__outside";
/// The argument with which this program starts itself in the namespaces of a trial.
const INSIDE: &str = "__inside";

/// The default number of trials: enough to notice an error that all trials have.
const USUAL: u64 = 24;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [OUTSIDE, seed] => return outside(seed),
        [INSIDE, seed, root] => {
            let outcome = trial::run(seed.parse().unwrap(), *root == "root");
            println!("{}", serde_json::to_string(&outcome).unwrap());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let tests = match begin(TESTS, || Wiring {
        server: |parts| Box::pin(trial::coordinator(parts)),
        ..built_in::wiring()
    }) {
        Part::Done(code) => return code,
        Part::Tests(tests) => tests,
    };
    plan::every_kind_has_trials();
    let all_good = tests.iter().all(|(name, test)| {
        let good = test();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        good
    });
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Test = (&'static str, fn() -> bool);

const TESTS: &[Test] = &[("random_crashes_leave_nothing", trials)];

/// Whether this is the machine's root with iptables: only it may write to the lists that rules by iptables need.
fn is_machine_root() -> bool {
    nix::unistd::geteuid().is_root()
        && fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295")
        && ["/usr/sbin", "/sbin"].iter().any(|dir| fs::exists(format!("{dir}/iptables-restore")).unwrap())
}

/// Starts a trial in fresh namespaces, and passes its output on.
fn outside(seed: &str) -> ExitCode {
    let root = if is_machine_root() { "root" } else { "user" };
    let mut inside = Command::new(env::current_exe().unwrap());
    inside.args([INSIDE, seed, root]).stdin(Stdio::null());
    match host::in_fresh_namespaces(inside) {
        Ok(output) => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            print!("{}", String::from_utf8_lossy(&output.stdout));
            if output.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("cannot make namespaces: {error}");
            ExitCode::from(77)
        }
    }
}

/// Returns the number in an environment variable; `None` if it is not set.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Runs the trials, several at a time. Returns whether none of them had a problem.
fn trials() -> bool {
    let first = number("FIREDRILL_SEED").unwrap_or(1);
    let count = number("FIREDRILL_TRIALS").unwrap_or(USUAL);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let at_once = number("FIREDRILL_TRIALS_AT_ONCE").unwrap_or(3 * cores);
    if !is_machine_root() {
        skip("crash trials of faults by iptables: they need the machine's root and iptables");
    }
    let next = AtomicU64::new(first);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = run_trial(seed);
                    if let Some(problem) = &outcome.problem {
                        eprintln!("trial {seed}: {}\n{problem}\n", outcome.plan);
                    }
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    eprint!("{}", table::of(&outcomes, first, count));
    outcomes.iter().all(|outcome| outcome.problem.is_none())
}

/// Runs a trial in another process.
fn run_trial(seed: u64) -> Outcome {
    let output =
        Command::new(env::current_exe().unwrap()).args([OUTSIDE, &seed.to_string()]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| Outcome {
        seed,
        plan: plan::Plan::of(seed, cfg!(debug_assertions), is_machine_root()).to_string(),
        kinds: Vec::new(),
        damage: String::new(),
        broke: false,
        problem: Some(format!(
            "the trial could not be made: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    })
}
