//! The supervisor over recording fakes: what starts, what never starts, and that everything is put back.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{alice, ask_arm, ask_prepare, config_text, pause, probes, ready, run_id, wait, wiring};
use firedrill_agent::{
    config::Config,
    control::{Caller, Certificate, Control},
    journal::{Tail, read},
    supervisor::{Guard, Supervisor, recover},
};
use firedrill_probe::clock::boot_us;
use firedrill_wire::{
    Fault, InjectionId, RunId, Span,
    api::{Arm, HostState, Prepare, Prepared, Problem, Renew, StartProbes, Undo, UndoAnswer, UndoScope},
    fault::{ProcessKill, Signal},
    journal::{AgentEvent, HealReason, State, What},
};

/// The deadline that the guardian was told last.
#[derive(Default)]
struct Deadline(AtomicU64);
impl Guard for Deadline {
    fn set(&self, _: u32, deadline_boot_us: Option<u64>) {
        self.0.store(deadline_boot_us.unwrap_or(0), Ordering::SeqCst);
    }
}

const HOLD: Span = Span::secs(60);
const LEASE: Span = Span::secs(30);

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

    fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = config_text(dir.path(), more);
        let config = Arc::new(Config::parse(&text, &dir.path().join("agent.toml")).unwrap());
        let guard = Arc::default();
        let supervisor = Self::start(&config, &guard);
        Self { dir, config, guard, supervisor }
    }

    fn start(config: &Arc<Config>, guard: &Arc<Deadline>) -> Supervisor {
        let wiring = wiring();
        let host = Arc::new(config.host());
        let recovered = recover(config, &host, &wiring, &HealReason::FoundAtStart, || {}).unwrap();
        let prober = (wiring.prober)(config);
        let guard = Arc::clone(guard);
        Supervisor::start(Arc::clone(config), host, wiring, guard, prober, recovered).unwrap()
    }

    /// Another agent on the same disk, as after a crash; the old one's threads stay asleep.
    fn restart(self) -> Self {
        let Self { dir, config, guard, supervisor } = self;
        std::mem::forget(supervisor);
        // The old agent's threads live on, which those of a dead one do not: they write to a file that nobody reads.
        let (journal, copy) = (dir.path().join("state/journal"), dir.path().join("state/journal.copy"));
        if journal.exists() {
            fs::copy(&journal, &copy).unwrap();
            fs::rename(&copy, &journal).unwrap();
        }
        let supervisor = Self::start(&config, &guard);
        Self { dir, config, guard, supervisor }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("run/world").join(name)
    }

    fn log(&self) -> Vec<String> {
        fs::read_to_string(self.file("log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn events(&self) -> Vec<AgentEvent> {
        let mut tail = Tail::new(self.dir.path().join("state/journal"), 0);
        let mut all = Vec::new();
        loop {
            let more = tail.next(u64::MAX).unwrap();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// The states that an injection went through, the last reason, and the details.
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

    /// When an injection got into a state, by the agent's own journal.
    fn when(&self, wanted: &str, state: State) -> Option<u64> {
        self.events().into_iter().find_map(|event| match event.what {
            What::Changed { injection, to, .. } if injection.as_str() == wanted && to == state => {
                Some(event.boot_us)
            }
            _ => None,
        })
    }

    /// Prepares and arms injections of another hold than the usual, and renews.
    fn armed_for(&self, faults: &[(&str, Fault)], hold: Span) {
        let answer = self.supervisor.prepare(&alice(), &run_id(), &ask_prepare(faults, hold)).unwrap();
        self.arm(&ask_arm(&ready(answer), 50, hold, LEASE)).unwrap();
        self.renew().unwrap();
    }

    fn prepared(&self, faults: &[(&str, Fault)], start_ms: u64) -> Arm {
        let answer = self.supervisor.prepare(&alice(), &run_id(), &ask_prepare(faults, HOLD)).unwrap();
        ask_arm(&ready(answer), start_ms, HOLD, LEASE)
    }

    fn arm(&self, arm: &Arm) -> Result<(), String> {
        self.supervisor.arm(&alice(), &run_id(), arm).map(drop).map_err(|problem| problem.code)
    }

    fn renew(&self) -> Result<(), String> {
        self.supervisor
            .renew(&alice(), &run_id(), &Renew { lease: LEASE })
            .map(drop)
            .map_err(|problem| problem.code)
    }

    /// Prepares, arms, renews, and waits until the files are there.
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

/// A fault that makes the file `name`, and that nothing undoes.
fn kill(name: &str) -> Fault {
    let Fault::ProcessPause(fault) = pause(name, None, None) else { unreachable!() };
    Fault::ProcessKill(ProcessKill { which: fault.which, signal: Signal::Kill })
}

fn a() -> [(&'static str, Fault); 1] {
    [("a", pause("a", None, None))]
}

/// A person whose certificate has that serial number.
fn with_certificate(name: &str, serial: &str) -> Caller {
    let certificate = Certificate { serial: serial.into(), chain: Vec::new() };
    Caller { name: name.into(), certificate: Some(Arc::new(certificate)), ..alice() }
}

#[test]
fn people_are_called_what_their_certificate_says() {
    let agent = Agent::new();
    let mut arm = agent.prepared(&[("r1-a-1", pause("a", None, None))], 50);
    arm.about = serde_json::from_str(
        r#"{"drill":"Friday\n\u001b[31m","operator":"somebody else","ticket":"T\u202e1"}"#,
    )
    .unwrap();
    agent.arm(&arm).unwrap();
    agent.renew().unwrap();
    wait("it is in force", || agent.file("a").exists());
    let about = agent.supervisor.status().open.remove(0).about;
    assert_eq!((about.operator.as_str(), about.drill.as_str()), ("alice", "Friday ␛[31m"));
    assert_eq!(about.ticket.as_deref(), Some("T\u{fffd}1"));
    let active = fs::read_to_string(agent.dir.path().join("run/active")).unwrap();
    assert!(active.contains("operator   alice") && !active.contains("somebody else"), "{active}");
    let journal = fs::read_to_string(agent.dir.path().join("state/journal")).unwrap();
    assert!(!journal.contains("somebody else"), "{journal}");
}

#[test]
fn what_somebody_holds_ends_when_their_certificate_is_not_trusted_any_more() {
    let agent = Agent::new();
    let (run, others): (RunId, RunId) = (run_id(), "r2".parse().unwrap());
    for (run, who, name, id) in [(&run, "mallory", "a", "r1-a-1"), (&others, "olga", "b", "r2-b-1")] {
        let caller = with_certificate(who, who);
        let ask = ask_prepare(&[(id, pause(name, None, None))], HOLD);
        let ready = ready(agent.supervisor.prepare(&caller, run, &ask).unwrap());
        agent.supervisor.arm(&caller, run, &ask_arm(&ready, 50, HOLD, LEASE)).unwrap();
        agent.supervisor.renew(&caller, run, &Renew { lease: LEASE }).unwrap();
        wait("it is in force", || agent.file(name).exists());
    }
    let judge = |certificate: &Certificate| match certificate.serial.as_str() {
        "mallory" => Err("it was revoked".to_owned()),
        _ => Ok(()),
    };
    agent.supervisor.distrust(&judge);
    wait("it is put back", || agent.history("r1-a-1").0.contains(&State::Undone));
    assert!(!agent.file("a").exists() && agent.file("b").exists());
    assert_eq!(agent.history("r1-a-1").1, Some(HealReason::Distrusted { name: "mallory".into() }));
    let told = agent.events().into_iter().filter_map(|event| match event.what {
        What::Distrusted { run, name, serial, why } => Some((run, name, serial, why)),
        _ => None,
    });
    let expected = (run.clone(), "mallory".into(), "mallory".into(), "it was revoked".into());
    assert_eq!(told.collect::<Vec<_>>(), [expected]);
    // Nobody goes on with that run, its owner with another certificate neither.
    let again = with_certificate("mallory", "another");
    let ask = ask_prepare(&[("r1-c-1", pause("c", None, None))], HOLD);
    for problem in [
        agent.supervisor.prepare(&again, &run, &ask).unwrap_err(),
        agent.supervisor.renew(&again, &run, &Renew { lease: LEASE }).unwrap_err(),
        agent.supervisor.start_probes(&again, &run, &probes()).unwrap_err(),
    ] {
        assert_eq!(problem.code, "distrusted");
        assert!(problem.title.contains("the certificate of mallory is not trusted"), "{}", problem.title);
    }
    // A second look ends nothing again.
    agent.supervisor.distrust(&judge);
    assert_eq!(
        agent.events().iter().filter(|event| matches!(event.what, What::Distrusted { .. })).count(),
        1
    );
}

#[test]
fn leases_are_bounded_by_the_policy() {
    let agent = Agent::with("[policy]\nmax_lease = \"20s\"\n");
    let answer = agent.supervisor.prepare(
        &alice(),
        &run_id(),
        &ask_prepare(&[("r1-a-1", pause("a", None, None))], HOLD),
    );
    let ready = ready(answer.unwrap());
    let bounded = |problem: Problem| {
        assert_eq!(problem.code, "not-allowed");
        assert!(problem.title.contains("at most 20s"), "{}", problem.title);
        assert!(problem.hint.contains("policy.max_lease"), "{}", problem.hint);
    };
    let years = Span::secs(1000 * 365 * 86_400);
    bounded(agent.supervisor.arm(&alice(), &run_id(), &ask_arm(&ready, 50, HOLD, years)).unwrap_err());
    agent.arm(&ask_arm(&ready, 50, HOLD, Span::secs(20))).unwrap();
    bounded(agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: years }).unwrap_err());
    agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: Span::secs(20) }).unwrap();
    let file = agent.dir.path().join("agent.toml");
    let error = Config::parse("[policy]\nmax_lease = \"1s\"\n", &file).unwrap_err().to_string();
    assert!(error.contains("policy.max_lease") && error.contains("2s at least"), "{error}");
}

#[test]
fn a_hold_ends_by_itself_with_evidence_and_nothing_left() {
    let agent = Agent::new();
    let answer =
        agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), Span::millis(400))).unwrap();
    agent.arm(&ask_arm(&ready(answer), 50, Span::millis(400), LEASE)).unwrap();
    let active = fs::read_to_string(agent.dir.path().join("run/active")).unwrap();
    assert!(active.contains("Friday") && active.contains("undo --all"), "{active}");
    agent.renew().unwrap();
    agent.wait_for("a", State::Undone);
    let (states, reason, _) = agent.history("a");
    assert_eq!(states, [State::Armed, State::Injecting, State::InForce, State::Undoing, State::Undone]);
    assert_eq!(reason, Some(HealReason::HoldOver));
    let events = agent.events();
    let looks = events.iter().filter(|event| matches!(event.what, What::Looked { .. })).count();
    assert!(looks >= 2, "{looks}: one at the start, one at the end");
    assert!(events.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    assert!(!agent.file("a").exists());
    wait("the files in /run to go", || !agent.dir.path().join("run/active").exists());
    assert!(!agent.dir.path().join("run/open.json").exists());
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!((end.state, end.compared), (HostState::Clean, 1));
}

#[test]
fn the_hold_is_counted_from_when_each_fault_is_in_force() {
    let agent = Agent::new();
    let hold = Span::millis(400);
    agent.armed_for(
        &[("slow", pause("slow", Some("slow"), None)), ("quick", pause("quick", None, None))],
        hold,
    );
    for name in ["slow", "quick"] {
        agent.wait_for(name, State::Undone);
        let [begun, in_force, undoing] = [State::Injecting, State::InForce, State::Undoing]
            .map(|state| agent.when(name, state).expect("it went through all of them"));
        let held = undoing - in_force;
        assert!(held >= hold.as_micros(), "{name} was in force for {held} µs");
        assert!(name == "quick" || in_force - begun >= 300_000, "making it took its time");
        assert_eq!(agent.history(name).1, Some(HealReason::HoldOver));
    }
}

#[test]
fn the_guardian_and_people_are_told_the_end_that_counts() {
    let agent = Agent::new();
    let hold = Span::secs(10);
    agent.armed_for(&[("a", pause("a", Some("slow"), None))], hold);
    let told = || agent.guard.0.load(Ordering::SeqCst);
    wait("the effect to begin", || agent.file("a.begun").exists());
    let begun = agent.when("a", State::Injecting).expect("it has begun");
    // The hold as long again for the start, and some seconds for the answers of whoever makes it.
    assert!((begun + 10_000_000..begun + 16_000_000).contains(&told()), "{} {begun}", told());
    agent.wait_for("a", State::InForce);
    let ends = agent.when("a", State::InForce).expect("it is in force") + hold.as_micros();
    wait("the guardian to be told", || told() == ends);
    assert_eq!(agent.supervisor.status().open[0].ends_boot_us, ends);
    wait("the copy", || {
        fs::read_to_string(agent.dir.path().join("run/open.json"))
            .is_ok_and(|text| text.contains(&format!("\"ends_boot_us\":{ends}")))
    });
    let replayed = read(&agent.config.paths()).unwrap();
    assert_eq!(replayed.open().next().expect("open").intent.live.ends_boot_us, ends);
    agent.undo(UndoScope::All, false);
}

#[test]
fn an_undo_overtakes_a_delayed_arm_also_after_a_restart() {
    let agent = Agent::new();
    let [one, two] = ["one", "two"].map(|name| (name, pause(name, None, None)));
    let late = agent.prepared(&[one.clone(), two.clone()], 500);
    agent.undo(UndoScope::Injection(id("two")), false);
    assert_eq!(agent.arm(&late), Err("tombstone".into()), "all or none");
    assert!(agent.history("one").0.is_empty());
    let agent = agent.restart();
    assert_eq!(agent.arm(&agent.prepared(&[two], 500)), Err("tombstone".into()));
    agent.undo(UndoScope::Run(run_id()), false);
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(std::slice::from_ref(&one), HOLD));
    assert_eq!(asked.unwrap_err().code, "tombstone");
    let agent = agent.restart();
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&[one], HOLD));
    assert_eq!(asked.unwrap_err().code, "tombstone");
}

/// A coordinator learns from any of its hosts that its run was undone.
#[test]
fn an_undo_that_finds_nothing_in_force_is_told_once_if_the_run_is_known() {
    let agent = Agent::new();
    let told = || {
        let events = agent.events().into_iter();
        let told = events.filter_map(|event| match event.what {
            What::RunUndone { run, by } => Some((run.to_string(), by)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    agent.undo(UndoScope::Run("typo".parse().unwrap()), false);
    assert_eq!(told(), [], "a run that nobody here has heard of tells nobody anything");
    for _ in 0..2 {
        agent.undo(UndoScope::Run("measured".parse().unwrap()), false);
    }
    let measured = ("measured".to_owned(), "alice".to_owned());
    assert_eq!(told(), std::slice::from_ref(&measured));
    let _prepared = agent.prepared(&a(), 0);
    agent.undo(UndoScope::All, false);
    assert_eq!(told(), [measured, (run_id().to_string(), "alice".to_owned())]);

    let agent = Agent::new();
    agent.in_force(&a());
    agent.undo(UndoScope::Run(run_id()), false);
    assert_eq!(agent.history("a").1, Some(HealReason::Asked { by: "alice".to_owned() }));
    let twice = agent.events().into_iter().any(|event| matches!(event.what, What::RunUndone { .. }));
    assert!(!twice, "what was in force tells it already");
}

#[test]
fn overlapping_injections_are_undone_in_every_order() {
    for order in [["a", "b"], ["b", "a"]] {
        let agent = Agent::new();
        let shared = Some("shared x");
        agent.in_force(&[("a", pause("a", None, shared)), ("b", pause("b", None, shared))]);
        agent.undo(UndoScope::Injection(id(order[0])), false);
        assert!(!agent.file(order[0]).exists() && agent.file(order[1]).exists(), "{order:?}");
        agent.undo(UndoScope::Injection(id(order[1])), false);
        assert!(!agent.file(order[1]).exists(), "{order:?}");
    }
}

#[test]
fn more_faults_than_an_agent_takes_are_refused_with_the_bound() {
    let agent = Agent::new();
    let ask = |from: usize, count: usize| {
        let names: Vec<String> = (from..from + count).map(|n| format!("i{n}")).collect();
        let faults: Vec<(&str, Fault)> =
            names.iter().map(|name| (name.as_str(), pause(name, None, None))).collect();
        agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&faults, HOLD))
    };
    let all = ready(ask(0, Prepare::MOST_OF_RUN).unwrap());
    let refused = ask(1, Prepare::MOST_OF_RUN).unwrap_err();
    assert_eq!(refused.code, "too-many");
    assert!(
        refused.title.contains("1001 faults of run r1") && refused.title.contains("takes 1000"),
        "{refused:?}"
    );
    ask(0, Prepare::MOST_OF_RUN).unwrap();
    let told = agent.arm(&ask_arm(&all[..Arm::MOST + 1], 60_000, HOLD, LEASE)).unwrap_err();
    assert!(told.contains("too-many"), "{told}");
    // All are remembered: the first as well as the last.
    let ends = [all[0].clone(), all[Prepare::MOST_OF_RUN - 1].clone()];
    agent.arm(&ask_arm(&ends, 60_000, HOLD, LEASE)).unwrap();
    agent.undo(UndoScope::All, false);
}

/// What is asked for many runs that nobody arms, by whoever has a certificate, costs no run its proof or its place.
#[test]
fn questions_about_other_runs_cost_a_run_in_force_nothing() {
    let agent = Agent::new();
    agent.in_force(&a());
    let bob = Caller { name: "bob".into(), ..alice() };
    let run = |n: usize, kind: &str| format!("{kind}-{n}").parse::<RunId>().unwrap();
    let kept = || fs::read_dir(agent.dir.path().join("state/snapshots")).unwrap().count();
    let refused = ask_prepare(&[("b", pause("b", Some("refused"), None))], HOLD);
    let look = Prepare { only_look: true, ..ask_prepare(&[("b", pause("b", None, None))], HOLD) };
    for n in 0..70 {
        agent.supervisor.prepare(&bob, &run(n, "empty"), &ask_prepare(&[], HOLD)).unwrap();
        agent.supervisor.prepare(&bob, &run(n, "refused"), &refused).unwrap();
        ready(agent.supervisor.prepare(&bob, &run(n, "look"), &look).unwrap());
    }
    assert_eq!(kept(), 1, "only the run in force has a snapshot");
    let unknown = agent.supervisor.renew(&bob, &run(0, "look"), &Renew { lease: LEASE }).unwrap_err();
    assert_eq!(unknown.code, "unknown-run", "a look is not remembered");
    assert_eq!(agent.supervisor.finish(&run(0, "look")).unwrap_err().code, "unknown-run");

    // With permission to all of it, too: what was prepared waits for its arm, what is in force for its proof.
    let waiting = run(0, "waiting");
    let answer =
        agent.supervisor.prepare(&alice(), &waiting, &ask_prepare(&[("w", pause("w", None, None))], HOLD));
    let waits = ask_arm(&ready(answer.unwrap()), 60_000, HOLD, LEASE);
    for n in 0..70 {
        let ask = ask_prepare(&[(&format!("b{n}"), pause("b", None, None))], HOLD);
        ready(agent.supervisor.prepare(&bob, &run(n, "ready"), &ask).unwrap());
    }
    agent.supervisor.arm(&alice(), &waiting, &waits).unwrap();
    agent.undo(UndoScope::All, false);
    for run in [run_id(), waiting] {
        assert_eq!(agent.supervisor.finish(&run).unwrap().state, HostState::Clean, "{run}");
    }
    assert!(kept() <= 100, "{} snapshots are kept", kept());
}

/// Somebody else's measurements would be read as those of the run's owner.
#[test]
fn a_run_that_measures_stays_its_owners_whatever_else_is_asked() {
    let agent = Agent::new();
    let (bob, measured) = (Caller { name: "bob".into(), ..alice() }, "measured".parse().unwrap());
    agent.supervisor.start_probes(&alice(), &measured, &probes()).unwrap();
    for n in 0..70 {
        let ask = ask_prepare(&[(&format!("b{n}"), pause("b", None, None))], HOLD);
        ready(agent.supervisor.prepare(&alice(), &format!("r-{n}").parse().unwrap(), &ask).unwrap());
    }
    let refused = agent.supervisor.start_probes(&bob, &measured, &probes()).unwrap_err();
    assert!(refused.title.contains("measured is alice's"), "{refused:?}");
}

#[test]
fn of_two_who_prepare_the_same_run_first_one_gets_it() {
    let agent = Agent::new();
    fs::write(agent.file("wait"), "").unwrap();
    let run: RunId = "both".parse().unwrap();
    let prepare = &|name: &str, fault: &str| {
        let caller = Caller { name: name.into(), ..alice() };
        let ask = ask_prepare(&[(fault, pause(fault, Some("told"), None))], HOLD);
        agent.supervisor.prepare(&caller, &run, &ask).map(drop)
    };
    let answers = std::thread::scope(|scope| {
        let asked =
            [("alice", "a"), ("bob", "b")].map(|(name, fault)| scope.spawn(move || prepare(name, fault)));
        for fault in ["a.asked", "b.asked"] {
            wait("both to be past the first question", || agent.file(fault).exists());
        }
        fs::remove_file(agent.file("wait")).unwrap();
        asked.map(|thread| thread.join().unwrap())
    });
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{answers:?}");
    assert!(refused[0].title.contains("run both is"), "{refused:?}");
}

#[test]
fn a_changed_policy_disarms_what_has_not_started_and_says_why() {
    for (policy, why) in [
        ("max_hold = \"1s\"", &["at most 1s", "policy.max_hold", "agent.toml"][..]),
        ("max_faults = 1", &["at most 1 ", "policy.max_faults", "agent.toml"]),
        ("max_hol = \"1s\"", &["max_hol", "agent.toml", "nothing is injected"]),
    ] {
        let agent = Agent::new();
        agent.in_force(&[("x", pause("x", None, None))]);
        agent.arm(&agent.prepared(&a(), 60_000)).unwrap();
        agent.renew().unwrap();
        assert_eq!(agent.history("a").0, [State::Armed], "the policy is as it was");
        let text = config_text(agent.dir.path(), &format!("[policy]\n{policy}\n"));
        fs::write(agent.dir.path().join("agent.toml"), text).unwrap();
        agent.renew().unwrap();
        agent.wait_for("a", State::Disarmed);
        let (_, reason, detail) = agent.history("a");
        assert_eq!(reason, Some(HealReason::NotAllowed));
        assert!(why.iter().all(|why| detail.contains(why)), "{detail}");
        assert_eq!(agent.history("x").0.last(), Some(&State::InForce), "it stays until its hold is over");
        agent.undo(UndoScope::All, false);
    }
}

#[test]
fn a_start_is_armed_an_hour_ahead_at_most() {
    let agent = Agent::new();
    let far = agent.prepared(&a(), 3_700_000);
    let refused = agent.supervisor.arm(&alice(), &run_id(), &far).unwrap_err();
    assert_eq!(refused.code, "too-early");
    assert!(refused.title.contains("at most 1h before its start"), "{refused:?}");
    agent.arm(&agent.prepared(&a(), 3_500_000)).unwrap();
    agent.undo(UndoScope::All, false);
    let agent = Agent::with("[policy]\nmax_hold = \"2h\"\n");
    agent.arm(&agent.prepared(&a(), 3_700_000)).unwrap();
    agent.undo(UndoScope::All, false);
}

#[test]
fn claims_are_exclusive_unless_both_share() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, Some("x,shared y")))]);
    for (name, claim, ok) in
        [("b", "x", false), ("c", "y", false), ("d", "shared x", false), ("e", "shared y", true)]
    {
        let arm = agent.prepared(&[(name, pause(name, None, Some(claim)))], 300);
        assert_eq!(agent.arm(&arm).is_ok(), ok, "{claim}");
    }
    let twice = [("f", pause("f", None, Some("z"))), ("g", pause("g", None, Some("z")))];
    assert_eq!(agent.arm(&agent.prepared(&twice, 300)), Err("claimed".into()));
    agent.undo(UndoScope::Injection(id("a")), false);
    agent.arm(&agent.prepared(&[("h", pause("h", None, Some("x")))], 300)).unwrap();
}

#[test]
fn a_halt_refuses_until_a_person_releases_it_also_after_a_restart() {
    let agent = Agent::new();
    agent.in_force(&a());
    let answer = agent.undo(UndoScope::All, true);
    assert_eq!(answer.injections.len(), 1);
    assert_eq!(answer.injections[0].state, State::Undone);
    assert!(!agent.file("a").exists());
    let other = "r2".parse().unwrap();
    let ask = ask_prepare(&[("b", pause("b", None, None))], HOLD);
    assert_eq!(agent.supervisor.prepare(&alice(), &other, &ask).unwrap_err().code, "halted");
    let agent = agent.restart();
    assert_eq!(agent.supervisor.status().halted_by.as_deref(), Some("alice"));
    assert_eq!(agent.supervisor.prepare(&alice(), &other, &ask).unwrap_err().code, "halted");
    agent.supervisor.release(&alice()).unwrap();
    assert!(agent.supervisor.prepare(&alice(), &other, &ask).is_ok());
}

#[test]
fn nobody_goes_on_with_somebody_elses_run_and_anybody_ends_it() {
    let agent = Agent::new();
    agent.in_force(&a());
    let bob = Caller { name: "bob".into(), ..alice() };
    let renew = Renew { lease: LEASE };
    let problem = agent.supervisor.renew(&bob, &run_id(), &renew).unwrap_err();
    assert_eq!(problem.code, "not-allowed");
    assert!(problem.title.contains("is alice's"), "{problem:?}");
    let ask = ask_prepare(&[("b", pause("b", None, None))], HOLD);
    assert_eq!(agent.supervisor.prepare(&bob, &run_id(), &ask).unwrap_err().code, "not-allowed");
    let (probes, none) = (probes(), StartProbes { probes: Vec::new(), ..probes() });
    assert_eq!(agent.supervisor.start_probes(&bob, &run_id(), &probes).unwrap_err().code, "not-allowed");
    assert_eq!(agent.supervisor.start_probes(&alice(), &run_id(), &probes), Ok(()));
    // Whom nothing was allowed owns nothing.
    let other = "r2".parse().unwrap();
    assert_eq!(agent.supervisor.start_probes(&bob, &other, &none).unwrap_err().code, "bad-probes");
    let refused = ask_prepare(&[("c", pause("c", Some("refused"), None))], HOLD);
    agent.supervisor.prepare(&bob, &other, &refused).unwrap();
    assert!(agent.supervisor.prepare(&alice(), &other, &ask).is_ok());
    let answer = agent.supervisor.undo(&bob, &Undo { scope: UndoScope::Run(run_id()), halt: false });
    assert_eq!(answer.injections[0].state, State::Undone);
}

#[test]
fn silence_heals_all_of_a_run_and_it_is_not_revived() {
    let agent = Agent::new();
    let faults = [("a", pause("a", None, None)), ("b", pause("b", None, None))];
    let mut arm = agent.prepared(&faults, 0);
    arm.lease = Span::secs(30);
    agent.arm(&arm).unwrap();
    agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: Span::millis(300) }).unwrap();
    for name in ["a", "b"] {
        agent.wait_for(name, State::Undone);
        assert_eq!(agent.history(name).1, Some(HealReason::LeaseExpired));
        assert!(!agent.file(name).exists());
    }
    let expired =
        agent.events().iter().filter(|event| matches!(event.what, What::LeaseExpired { .. })).count();
    assert_eq!(expired, 1);
    assert_eq!(agent.renew(), Err("lease-over".into()));
    let again = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), HOLD));
    assert_eq!(again.unwrap_err().code, "lease-over");
    assert_eq!(
        agent.supervisor.renew(&alice(), &"r9".parse().unwrap(), &Renew { lease: LEASE }).unwrap_err().code,
        "unknown-run"
    );
}

#[test]
fn renewals_reach_the_kernels_own_switch() {
    let agent = Agent::new();
    agent.in_force(&a());
    agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: Span::secs(7) }).unwrap();
    wait("the kind to hear of it", || agent.log().iter().any(|line| line == "renew a 7s"));
}

#[test]
fn what_was_not_renewed_after_arming_never_starts() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 50);
    agent.renew().unwrap();
    agent.arm(&arm).unwrap();
    agent.wait_for("a", State::Disarmed);
    let (states, _, why) = agent.history("a");
    assert_eq!(states, [State::Armed, State::Disarmed]);
    assert!(why.contains("not renewed"), "{why}");
    assert!(agent.log().is_empty());
}

#[test]
fn what_was_staged_is_put_back_when_the_start_never_comes() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("staged"), None))], 60_000)).unwrap();
    agent.renew().unwrap();
    // A minute ahead nothing is made; half a second ahead all that has no effect is.
    assert!(agent.log().is_empty());
    let arm = agent.prepared(&[("b", pause("b", Some("staged"), None))], 400);
    agent.arm(&arm).unwrap();
    agent.renew().unwrap();
    wait("staging", || agent.log().iter().any(|line| line == "stage b"));
    assert!(agent.undo(UndoScope::Injection(id("b")), false).stuck.is_empty());
    let (states, ..) = agent.history("b");
    match states.as_slice() {
        [State::Armed, State::Disarmed] => {
            assert!(!agent.log().iter().any(|line| line.starts_with("inject")));
        }
        // This machine was busy: the start overtook the undo.
        [State::Armed, State::Injecting, .., State::Undone] => {}
        other => panic!("{other:?}"),
    }
    assert!(!agent.file("b").exists(), "what was staged is gone");
    assert!(agent.undo(UndoScope::All, false).stuck.is_empty());
    assert_eq!(agent.history("a").0, [State::Armed, State::Disarmed]);
}

#[test]
fn a_start_that_is_past_or_of_another_boot_or_plan_is_refused() {
    let agent = Agent::with("start_tolerance = \"50ms\"\n");
    let mut arm = agent.prepared(&a(), 0);
    std::thread::sleep(Duration::from_millis(80));
    assert_eq!(agent.arm(&arm), Err("too-late".into()));
    arm = agent.prepared(&a(), 500);
    arm.boot_id = "another".into();
    assert_eq!(agent.arm(&arm), Err("rebooted".into()));
    arm = agent.prepared(&a(), 500);
    arm.plan_digest = "another".into();
    assert_eq!(agent.arm(&arm), Err("other-plan".into()));
    arm = agent.prepared(&a(), 500);
    arm.injections[0].id = id("unasked");
    assert_eq!(agent.arm(&arm), Err("not-prepared".into()));
    arm = agent.prepared(&a(), 500);
    agent.arm(&arm).unwrap();
    assert_eq!(agent.arm(&arm), Err("armed-already".into()));
}

#[test]
fn a_host_that_changed_since_prepare_is_refused() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 500);
    fs::write(agent.file("basis"), "another pid").unwrap();
    assert_eq!(agent.arm(&arm), Err("changed".into()));
    assert!(agent.history("a").0.is_empty());
    agent.arm(&agent.prepared(&a(), 500)).unwrap();
}

#[test]
fn an_effect_that_is_made_in_part_is_undone_and_not_tried_again() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("fails"), None))], 0)).unwrap();
    agent.renew().unwrap();
    agent.wait_for("a", State::Undone);
    let (states, reason, why) = agent.history("a");
    assert_eq!(states, [State::Armed, State::Injecting, State::Undoing, State::Undone]);
    assert_eq!(reason, Some(HealReason::InjectFailed));
    assert!(why.contains("half of it"), "{why}");
    assert!(!agent.file("a").exists());
    assert_eq!(agent.log().iter().filter(|line| line.starts_with("inject")).count(), 1);
}

#[test]
fn an_undo_waits_for_an_effect_that_is_being_made() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("slow"), None))], 0)).unwrap();
    agent.renew().unwrap();
    wait("the effect to begin", || agent.file("a.begun").exists());
    let answer = agent.undo(UndoScope::Run(run_id()), false);
    assert_eq!(answer.injections[0].state, State::Undone);
    assert!(!agent.file("a").exists(), "nothing comes after the undo");
}

#[test]
fn an_undo_calls_off_an_effect_that_is_being_made() {
    for (name, stop) in [("asked-patient", false), ("stopping-patient", true)] {
        let agent = Agent::new();
        agent.arm(&agent.prepared(&[(name, pause(name, Some("patient"), None))], 0)).unwrap();
        agent.renew().unwrap();
        wait("the effect to begin", || agent.file(&format!("{name}.begun")).exists());
        let reason = if stop {
            agent.supervisor.stop(&HealReason::AgentStopping);
            HealReason::AgentStopping
        } else {
            agent.undo(UndoScope::Run(run_id()), false);
            HealReason::Asked { by: "alice".into() }
        };
        wait("everything to settle", || agent.supervisor.is_settled());
        let (states, last, why) = agent.history(name);
        assert_eq!(states, [State::Armed, State::Injecting, State::Undoing, State::Undone]);
        assert_eq!(last, Some(reason), "whoever asked is why it was not made");
        assert!(why.contains("called off"), "{why}");
    }
}

#[test]
fn an_effect_that_is_called_off_has_seconds_until_the_guardian_acts() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("a", pause("a", Some("gated"), None))], 0)).unwrap();
    agent.renew().unwrap();
    wait("the effect to begin", || agent.file("a.begun").exists());
    let told = || agent.guard.0.load(Ordering::SeqCst);
    let before = told();
    let asked = boot_us();
    let supervisor = agent.supervisor.clone();
    let undo = Undo { scope: UndoScope::Injection(id("a")), halt: false };
    let asking = std::thread::spawn(move || supervisor.undo(&alice(), &undo));
    wait("the guardian to be told", || told() != before);
    assert!((asked + 5_000_000..=boot_us() + 5_000_000).contains(&told()), "{} {asked}", told());
    fs::write(agent.file("a.gate"), "").unwrap();
    assert_eq!(asking.join().expect("no panic").injections[0].state, State::Undone);
}

#[test]
fn a_passing_error_is_tried_again() {
    let agent = Agent::new();
    agent.in_force(&a());
    fs::write(agent.file("a.once"), "").unwrap();
    assert!(agent.undo(UndoScope::Run(run_id()), false).stuck.is_empty());
    assert!(!agent.file("a").exists());
    assert!(agent.events().iter().any(|event| matches!(event.what, What::UndoRetry { attempt: 1, .. })));
}

#[test]
fn what_stays_broken_is_stuck_loudly_and_can_be_undone_later() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
    fs::write(agent.file("a.broken"), "").unwrap();
    let answer = agent.undo(UndoScope::All, false);
    assert_eq!(answer.stuck.len(), 1);
    assert!(answer.stuck[0].contains("rm "), "says how to do it by hand: {:?}", answer.stuck);
    assert!(!agent.file("b").exists(), "the others are put back all the same");
    assert!(agent.supervisor.status().warnings.iter().any(|warning| warning.contains("stuck")));
    assert!(agent.supervisor.metrics().contains("firedrill_injections_stuck 1"));
    assert!(agent.dir.path().join("run/active").exists());
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap().state, HostState::Stuck);

    // A restart tries again, keeps it, and shows it.
    let agent = agent.restart();
    assert_eq!(agent.supervisor.status().open.len(), 1);
    fs::remove_file(agent.file("a.broken")).unwrap();
    assert!(agent.undo(UndoScope::All, false).stuck.is_empty());
    assert!(!agent.file("a").exists());
    assert!(agent.supervisor.status().open.is_empty());
    assert!(!agent.dir.path().join("run/active").exists());
}

#[test]
fn an_error_that_will_not_pass_is_not_tried_again() {
    let agent = Agent::new();
    agent.in_force(&a());
    fs::write(agent.file("a.hopeless"), "").unwrap();
    assert_eq!(agent.undo(UndoScope::All, false).stuck.len(), 1);
    assert_eq!(agent.log().iter().filter(|line| *line == "undo a").count(), 1);
}

#[test]
fn what_was_open_is_put_back_before_a_new_agent_serves() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
    let agent = agent.restart();
    for name in ["a", "b"] {
        assert!(!agent.file(name).exists());
        assert_eq!(agent.history(name).1, Some(HealReason::FoundAtStart));
    }
    let undos: Vec<String> = agent.log().into_iter().filter(|line| line.starts_with("undo")).collect();
    assert_eq!(undos, ["undo b", "undo a"], "the newest first");
    assert!(agent.events().iter().any(|event| matches!(event.what, What::AgentStarted { healed: 2, .. })));
    assert_eq!(
        agent.supervisor.finish(&run_id()).unwrap().state,
        HostState::Clean,
        "the snapshot outlives a restart"
    );
}

#[test]
fn a_lost_journal_heals_from_the_copy() {
    let agent = Agent::new();
    agent.in_force(&a());
    fs::remove_file(agent.dir.path().join("state/journal")).unwrap();
    let agent = agent.restart();
    assert!(!agent.file("a").exists());
    assert!(agent.supervisor.status().warnings.iter().any(|warning| warning.contains("open.json")));
    let replayed = read(&agent.config.paths()).unwrap();
    assert_eq!(replayed.open().count(), 0);
}

#[test]
fn a_journal_that_is_lost_under_a_live_agent_is_made_anew_with_what_is_open() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 7] = [
        ("deleted", |file| fs::remove_file(file).unwrap()),
        ("deleted", |file| fs::remove_dir_all(file.parent().unwrap()).unwrap()),
        ("replaced", |file| {
            fs::write(file.with_extension("x"), "garbage").unwrap();
            fs::rename(file.with_extension("x"), file).unwrap();
        }),
        ("cut", |file| drop(fs::File::create(file).unwrap())),
        ("deleted", |file| {
            drop(fs::File::create(file).unwrap());
            fs::remove_file(file).unwrap();
        }),
        ("replaced", |file| {
            drop(fs::File::create(file).unwrap());
            fs::write(file.with_extension("x"), "garbage").unwrap();
            fs::rename(file.with_extension("x"), file).unwrap();
        }),
        ("cut", |file| {
            let half = fs::metadata(file).unwrap().len() / 2;
            fs::File::options().write(true).open(file).unwrap().set_len(half).unwrap();
        }),
    ];
    for (word, harm) in harms {
        let agent = Agent::new();
        agent.in_force(&[("a", pause("a", None, None)), ("b", pause("b", None, None))]);
        agent.undo(UndoScope::Injection(id("b")), true);
        agent.undo(UndoScope::Run("gone".parse().unwrap()), false);
        harm(&agent.dir.path().join("state/journal"));
        agent.supervisor.tidy();
        let said = agent.supervisor.status().warnings.join("; ");
        assert!(said.contains(&format!("was {word} while the agent ran; it was made anew")), "{said}");
        // Without the copy in /run, so that the journal has to tell it all.
        fs::remove_file(agent.dir.path().join("run/open.json")).unwrap();
        let agent = agent.restart();
        assert!(!agent.file("a").exists(), "{word}: it was put back");
        let (states, reason, _) = agent.history("a");
        assert_eq!(reason, Some(HealReason::FoundAtStart), "{word}: {states:?}");
        assert!(states.ends_with(&[State::InForce, State::Undoing, State::Undone]), "{word}: {states:?}");
        let status = agent.supervisor.status();
        assert_eq!(status.halted_by.as_deref(), Some("alice"), "{word}");
        let damage = status.warnings.iter().find(|warning| warning.contains("journal"));
        assert_eq!(damage, None, "{word}");
        agent.supervisor.release(&alice()).unwrap();
        let asked = agent.supervisor.prepare(&alice(), &"gone".parse().unwrap(), &ask_prepare(&a(), HOLD));
        assert_eq!(asked.unwrap_err().code, "tombstone", "{word}");
    }
}

#[test]
fn nothing_is_armed_without_a_journal_that_is_there() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 0);
    let state = agent.dir.path().join("state");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "no directory").unwrap();
    assert_eq!(agent.arm(&arm).unwrap_err(), "journal");
    fs::remove_file(&state).unwrap();
    let arm = agent.prepared(&[("b", pause("b", None, None))], 0);
    agent.arm(&arm).unwrap();
    let (replayed, known) = (read(&agent.config.paths()).unwrap(), id("b"));
    assert!(replayed.open().any(|found| *found.intent.id() == known), "{:?}", replayed.damage);
}

#[test]
fn an_arm_that_finds_the_journal_cut_writes_its_intents_once() {
    let agent = Agent::new();
    let arm = agent.prepared(&a(), 0);
    let file = agent.dir.path().join("state/journal");
    drop(fs::File::create(&file).unwrap());
    agent.arm(&arm).unwrap();
    let intents = fs::read_to_string(&file).unwrap().matches("{\"intent\":").count();
    assert_eq!(intents, 1);
    // A cut that comes later loses none of it.
    drop(fs::File::create(&file).unwrap());
    agent.supervisor.tidy();
    let known = id("a");
    assert!(read(&agent.config.paths()).unwrap().open().any(|found| *found.intent.id() == known));
    agent.undo(UndoScope::All, false);
    let agent = agent.restart();
    let (states, _, _) = agent.history("a");
    assert_eq!(states.iter().filter(|state| !state.is_open()).count(), 1, "{states:?}");
}

#[test]
fn undos_of_unknown_runs_fill_no_disk_and_still_count() {
    let agent = Agent::new();
    agent.in_force(&a());
    let length = || fs::metadata(agent.dir.path().join("state/journal")).unwrap().len();
    let before = length();
    for number in 0..1000 {
        agent.undo(UndoScope::Run(format!("no-such-run-{number}").parse().unwrap()), false);
    }
    assert!(length() - before < 20_000, "{}", length() - before);
    let asked =
        agent.supervisor.prepare(&alice(), &"no-such-run-999".parse().unwrap(), &ask_prepare(&a(), HOLD));
    assert_eq!(asked.unwrap_err().code, "tombstone");
    // What is known is journaled all the same.
    agent.undo(UndoScope::Run(run_id()), false);
    let replayed = read(&agent.config.paths()).unwrap();
    assert!(replayed.tombstones.bar_run(&run_id()) && replayed.open().next().is_none());
}

#[test]
fn a_long_journal_is_made_shorter_while_something_is_in_force() {
    let agent = Agent::new();
    agent.in_force(&a());
    let journal = agent.dir.path().join("state/journal");
    for number in 0..100 {
        agent.undo(UndoScope::Run(format!("{number}").parse().unwrap()), false);
        let by = Caller { name: "x".repeat(100_000), ..alice() };
        agent.supervisor.release(&by).unwrap();
    }
    let long = fs::metadata(&journal).unwrap().len();
    assert!(long > 9_000_000, "{long}");
    agent.supervisor.tidy();
    assert!(fs::metadata(&journal).unwrap().len() < 5_000_000);
    let agent = agent.restart();
    assert!(!agent.file("a").exists());
    assert_eq!(agent.history("a").1, Some(HealReason::FoundAtStart));
}

#[test]
fn what_cannot_be_undone_is_done_and_only_watched() {
    let agent = Agent::new();
    agent.arm(&agent.prepared(&[("k", kill("k"))], 0)).unwrap();
    agent.renew().unwrap();
    agent.wait_for("k", State::Done);
    wait("looks", || agent.events().iter().any(|event| matches!(event.what, What::Looked { .. })));
    assert!(agent.supervisor.status().open.is_empty());
    assert!(agent.undo(UndoScope::All, false).injections.is_empty());
    assert!(agent.file("k").exists());
}

#[test]
fn differences_in_what_was_claimed_are_ours() {
    for (claim, state) in [("value", HostState::Dirty), ("else", HostState::Clean)] {
        let agent = Agent::new();
        agent.in_force(&[("a", pause("a", None, Some(claim)))]);
        agent.undo(UndoScope::Injection(id("a")), false);
        fs::write(agent.file("value"), "changed").unwrap();
        let agent = agent.restart();
        let end = agent.supervisor.finish(&run_id()).unwrap();
        assert_eq!(end.state, state, "{end:?}");
        assert_eq!(end.ours.len() + end.foreign.len(), 1);
    }
    let agent = Agent::new();
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap_err().code, "unknown-run");
}

/// Makes a fault that changes the host, as another run; gives the end of that run.
fn another_run(agent: &Agent) -> impl Fn(&Agent) + use<> {
    let run: RunId = "r2".parse().unwrap();
    let ask = ask_prepare(&[("z", pause("z", None, Some("value")))], HOLD);
    let prepared = ready(agent.supervisor.prepare(&alice(), &run, &ask).unwrap());
    agent.supervisor.arm(&alice(), &run, &ask_arm(&prepared, 0, HOLD, LEASE)).unwrap();
    agent.supervisor.renew(&alice(), &run, &Renew { lease: LEASE }).unwrap();
    agent.wait_for("z", State::InForce);
    fs::write(agent.file("value"), "changed").unwrap();
    move |agent: &Agent| {
        agent.undo(UndoScope::Run(run.clone()), false);
        fs::remove_file(agent.file("value")).unwrap();
    }
}

#[test]
fn what_another_run_does_is_not_this_runs() {
    let finish = |agent: &Agent, words: &str| {
        let end = agent.supervisor.finish(&run_id()).unwrap();
        assert_eq!((end.state, end.ours.len()), (HostState::Clean, 0), "{end:?}");
        assert!(end.foreign.len() == 1 && end.foreign[0].contains("run r2 (Friday, by alice)"), "{end:?}");
        assert!(end.foreign[0].contains(words), "{end:?}");
    };
    // It began after this run's snapshot, and is still in force.
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, None))]);
    let end = another_run(&agent);
    agent.undo(UndoScope::Injection(id("a")), false);
    finish(&agent, "open true");
    end(&agent);
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap().foreign, Vec::<String>::new());
    // It was in force before this run's snapshot, and has ended since; also by an agent that was not there.
    let agent = Agent::new();
    let end = another_run(&agent);
    agent.in_force(&[("a", pause("a", None, None))]);
    end(&agent);
    agent.undo(UndoScope::Injection(id("a")), false);
    finish(&agent, "open false");
    finish(&agent.restart(), "open false");
}

#[test]
fn an_undo_tells_all_that_it_put_back_though_some_of_it_is_past_by_then() {
    let agent = Agent::new();
    let faults: Vec<(String, Fault)> =
        (0..8).map(|number| (format!("f{number}"), pause(&format!("f{number}"), None, None))).collect();
    let faults: Vec<(&str, Fault)> = faults.iter().map(|(id, fault)| (id.as_str(), fault.clone())).collect();
    agent.in_force(&faults);
    // One takes a while, in which the run is compared and what is over is forgotten.
    fs::write(agent.file("f0.broken"), "").unwrap();
    let answer = std::thread::scope(|scope| {
        let undo = scope.spawn(|| agent.undo(UndoScope::All, false));
        for (id, _) in &faults[1..] {
            agent.wait_for(id, State::Undone);
        }
        agent.supervisor.finish(&run_id()).unwrap();
        undo.join().unwrap()
    });
    let states: Vec<State> = answer.injections.iter().map(|one| one.state).collect();
    assert_eq!(states.len(), 8, "{states:?}");
    assert!(
        states[0] == State::Stuck && states[1..].iter().all(|state| *state == State::Undone),
        "{states:?}"
    );
}

#[test]
fn what_is_left_over_is_not_given_to_a_run_that_waits_for_its_start() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, Some("value")))]);
    agent.undo(UndoScope::Injection(id("a")), false);
    fs::write(agent.file("value"), "left over").unwrap();
    let run: RunId = "r2".parse().unwrap();
    let ask = ask_prepare(&[("z", pause("z", None, Some("value")))], HOLD);
    let prepared = ready(agent.supervisor.prepare(&alice(), &run, &ask).unwrap());
    agent.supervisor.arm(&alice(), &run, &ask_arm(&prepared, 60_000, HOLD, LEASE)).unwrap();
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!((end.state, end.ours.len()), (HostState::Dirty, 1), "{end:?}");
    agent.undo(UndoScope::Run(run), false);
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!(end.state, HostState::Dirty, "it was never in force: {end:?}");
}

#[test]
fn what_two_runs_claimed_is_unproven_while_the_other_is_in_force() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, Some("value")))]);
    agent.undo(UndoScope::Injection(id("a")), false);
    let end_other = another_run(&agent);
    let end = agent.supervisor.finish(&run_id()).unwrap();
    assert_eq!((end.state, end.ours.len()), (HostState::Unproven, 1), "{end:?}");
    assert!(end.ours[0].contains("run r2 (Friday, by alice)"), "{end:?}");
    end_other(&agent);
    assert_eq!(agent.supervisor.finish(&run_id()).unwrap().state, HostState::Clean);
}

#[test]
fn what_is_left_to_an_administrator_is_not_called_ours() {
    for (file, text) in [("a.theirs", "file:value"), ("a.taken", "")] {
        let agent = Agent::new();
        fs::write(agent.file(file), text).unwrap();
        agent.in_force(&[("a", pause("a", None, Some("value")))]);
        fs::write(agent.file("value"), "as the administrator wants it").unwrap();
        agent.undo(UndoScope::Injection(id("a")), false);
        let end = agent.supervisor.finish(&run_id()).unwrap();
        assert_eq!((end.state, end.foreign.len()), (HostState::Clean, 1), "{file}: {end:?}");
        let end = agent.restart().supervisor.finish(&run_id()).unwrap();
        assert_eq!((end.state, end.foreign.len()), (HostState::Clean, 1), "{file}: {end:?}");
    }
}

#[test]
fn a_host_that_cannot_be_looked_at_is_refused() {
    let agent = Agent::new();
    fs::write(agent.file("blind"), "").unwrap();
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), HOLD));
    assert_eq!(asked.unwrap_err().code, "no-snapshot");
}

#[test]
fn policy_and_kind_refuse_one_by_one_and_the_count_is_kept() {
    let agent = Agent::with("[policy]\nmax_faults = 1\nmax_hold = \"2m\"\n");
    let asks = [("a", pause("a", None, None)), ("b", pause("b", Some("refused"), None))];
    let answer = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&asks, HOLD)).unwrap();
    assert!(matches!(answer.injections[0].answer, Prepared::Ready { .. }));
    assert!(matches!(&answer.injections[1].answer, Prepared::Refused(problem) if problem.code == "not-here"));
    let answer = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), Span::secs(121))).unwrap();
    assert!(
        matches!(&answer.injections[0].answer, Prepared::Refused(problem) if problem.hint.contains("max_hold"))
    );
    let two = [("c", pause("c", None, None)), ("d", pause("d", None, None))];
    assert_eq!(agent.arm(&agent.prepared(&two, 100)), Err("not-allowed".into()));
}

#[test]
fn a_stopping_agent_puts_back_and_refuses() {
    let agent = Agent::new();
    agent.in_force(&a());
    agent.supervisor.stop(&HealReason::AgentStopping);
    wait("everything to settle", || agent.supervisor.is_settled());
    assert!(!agent.file("a").exists() && !agent.supervisor.is_stuck());
    assert_eq!(agent.history("a").1, Some(HealReason::AgentStopping));
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), HOLD));
    assert_eq!(asked.unwrap_err().code, "stopping");
}

#[test]
fn readers_get_what_was_and_what_comes_in_order() {
    let agent = Agent::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let feed = agent.supervisor.events(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            agent.in_force(&a());
            agent.undo(UndoScope::Run(run_id()), false);
            done.store(true, Ordering::SeqCst);
        });
        let mut feed = feed;
        runtime.block_on(async {
            use futures_util::StreamExt;
            let mut next = 1;
            loop {
                let event =
                    tokio::time::timeout(Duration::from_secs(20), feed.next()).await.unwrap().unwrap();
                assert_eq!(event.seq, next);
                next += 1;
                if matches!(event.what, What::Changed { to: State::Undone, .. }) {
                    return;
                }
            }
        });
    });
    assert!(done.load(Ordering::SeqCst));
    runtime.block_on(async {
        use futures_util::StreamExt;
        let first = agent.supervisor.events(3).next().await.unwrap();
        assert_eq!(first.seq, 4);
    });
}
