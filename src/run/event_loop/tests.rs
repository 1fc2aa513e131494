//! Runs without hosts that answer: what each input does to the parts, to the log, and to whoever waits.

mod steps;

use std::sync::{Arc, Mutex};

use firedrill_judge::testing::{Drill, S, bin};
use firedrill_wire::{
    Span,
    identity::Role,
    journal::{AgentEvent, HealReason, State, What},
};
use tokio::sync::oneshot;

use super::*;
use crate::{
    link::{Agent, Identity},
    log::{Outcome, Record, RunOutcome},
    pki::{PersonAsk, Pki},
    plan::{Plan, model::Phase},
    run::{
        approvals::{ApprovalDesk, Approvals},
        clock::RunClock,
        facts::Facts,
        phases::{
            attack::attacks,
            turn::{Turn, turn},
        },
        recorder::Recorder,
        screen::Observer,
        tracked::Tracked,
        wish::{Reply, Wants, Wish},
    },
};

/// Texts that people must read.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Observer for Said {
    fn record(&mut self, _: &Record) {}
    fn say(&mut self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

struct Trial {
    run: Run,
    said: Said,
    /// The run's certificate and its log.
    _dir: tempfile::TempDir,
}

const RUN: &str = "friday-7f3a";
/// Time after which a test has failed; none waits for it.
const PATIENCE_US: i64 = 30 * S;

impl Trial {
    /// A run of one attack, on app1, which was met and never answers.
    fn new() -> Self {
        Self::of(Drill::one().plan())
    }

    fn of(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::init(&dir.path().join("pki")).unwrap();
        pki.issue_person(&PersonAsk::new("olga", Role::Operator, 9)).unwrap();
        let identity = Arc::new(Identity::load_as(pki.dir(), "olga").unwrap());
        let (clock, said) = (RunClock::start(), Said::default());
        let plan = Arc::new(plan);
        let folder = dir.path().join("run");
        let recorder = Recorder::create(&folder, clock, Box::new(said.clone())).unwrap();
        let facts = Facts::new(
            RUN.parse().unwrap(),
            Arc::clone(&plan),
            clock,
            "olga".to_owned(),
            Arc::clone(&identity),
        );
        let mut run = Run::new(facts, recorder, ApprovalDesk::new(Approvals::default(), folder));
        let agent = Agent::new(plan.by_name()["app1"], identity);
        run.peers.meet((&run.facts, &run.tasks), "app1", agent, 4, None);
        Self { run, said, _dir: dir }
    }

    fn send(&self, input: Input) {
        assert!(self.run.tasks.send(input));
    }

    /// Processes what is there. Returns the reason to stop.
    async fn stop(&mut self) -> Option<String> {
        let until = self.run.facts.now_us() + PATIENCE_US;
        let waited = self.run.pump(until, |run| run.inbox.is_empty()).await.unwrap();
        waited.err().map(|stop| stop.reason())
    }

    /// The records so far.
    fn log(&mut self) -> Vec<Event> {
        self.run.recorder.take_log().records.into_iter().map(|record| record.event).collect()
    }

    fn said(&self) -> Vec<String> {
        self.said.0.lock().unwrap().clone()
    }
}

fn boot(id: &str) -> Input {
    let offset = Offset { boot_minus_local_us: 0, uncertainty_us: 1, boot_id: id.to_owned() };
    Input::LinkBack { host: "app1".to_owned(), offset }
}

fn event(seq: u64, what: What) -> Input {
    let event = AgentEvent { seq, boot_us: 1, boot_id: "first".to_owned(), wall_us: 0, what };
    Input::Agent { host: "app1".to_owned(), event }
}

fn changed(to: State, reason: Option<HealReason>) -> What {
    let (injection, run) = (format!("{RUN}-1-1").parse().unwrap(), RUN.parse().unwrap());
    What::Changed { injection, run, to, reason, detail: String::new(), foreign: Vec::new() }
}

#[tokio::test]
async fn a_halt_does_not_wait_behind_measurements() {
    let mut trial = Trial::new();
    for _ in 0..2 * INPUTS_MOST {
        trial.send(Input::Restarted { vantage: "app1".to_owned() });
    }
    trial.send(Input::Halt { by: "olga".to_owned() });
    assert!(trial.stop().await.is_some_and(|why| why.contains("olga")));
    assert!(!trial.run.inbox.is_empty(), "the halt was read after everything else");
}

#[tokio::test]
async fn a_signal_ends_a_wait_once_and_no_healing() {
    let mut trial = Trial::new();
    trial.send(Input::Halt { by: "Ctrl-C".to_owned() });
    trial.send(Input::Restarted { vantage: "canary".to_owned() });
    assert_eq!(trial.stop().await.as_deref(), Some("stopped by Ctrl-C"));
    assert_eq!(trial.run.recorder.len(), 1, "what had arrived with the signal is in the log");
    assert_eq!(trial.stop().await.as_deref(), Some("stopped by Ctrl-C"), "no later phase goes on");
    trial.send(Input::Halt { by: "Ctrl-C".to_owned() });
    let until = trial.run.facts.now_us() + PATIENCE_US;
    let healed = trial.run.pump_anyway(until, |run| run.inbox.is_empty()).await.unwrap();
    assert!(healed, "it ends by what it waits for");
    let said = trial.said();
    assert!(said[0].starts_with("Ctrl-C: putting everything back"), "{said:?}");
    assert!(said[1].starts_with("nothing is in force"), "{said:?}");
}

#[tokio::test]
async fn a_wait_ends_as_soon_as_what_it_waits_for_is_there() {
    let mut trial = Trial::new();
    trial.send(boot("first"));
    let until = trial.run.facts.now_us() + PATIENCE_US;
    let done = trial.run.pump(until, |run| run.peers.is_reachable("app1")).await.unwrap();
    assert!(done.unwrap());
}

#[tokio::test]
async fn an_event_that_arrives_twice_is_in_the_log_once() {
    let mut trial = Trial::new();
    for seq in [4, 5, 5, 6] {
        trial.send(event(seq, What::Released { by: "bob".to_owned() }));
    }
    assert_eq!(trial.stop().await, None);
    let log = trial.log();
    let seqs = log.iter().map(|event| match event {
        Event::Agent { what, .. } => what.seq,
        other => panic!("{other:?}"),
    });
    assert_eq!(seqs.collect::<Vec<_>>(), [5, 6], "4 was in the log when the host was met");
}

#[tokio::test]
async fn an_undo_and_a_stuck_fault_end_the_run_and_are_in_the_log() {
    for (what, why) in [
        (
            changed(State::Undoing, Some(HealReason::Asked { by: "bob".to_owned() })),
            "bob undid \"stop checkout\" on app1",
        ),
        (changed(State::Stuck, None), "friday-7f3a-1-1 on app1 is stuck: it could not be put back"),
    ] {
        let mut trial = Trial::new();
        let tracked = Tracked::new("app1".to_owned(), 0, 0, Span::secs(60));
        trial.run.injections.arm(format!("{RUN}-1-1").parse().unwrap(), tracked);
        trial.send(event(5, what));
        assert_eq!(trial.stop().await.as_deref(), Some(why));
        assert!(matches!(&trial.log()[..], [Event::Agent { .. }]));
    }
}

#[tokio::test]
async fn bins_wait_for_the_clock_of_their_boot() {
    let mut trial = Trial::new();
    let vantage = "app1".to_owned();
    let bin = |seq: u64| {
        let second = i64::try_from(seq).unwrap();
        Input::Bin {
            vantage: vantage.clone(),
            bin: firedrill_wire::probe::Bin { boot_id: "first".to_owned(), ..bin("buy", second, 100, 0) },
        }
    };
    trial.send(bin(1));
    assert_eq!(trial.stop().await, None);
    trial.run.recorder.write(Event::Phase { attack: 0, phase: Phase::Baseline, until_us: 0 }).unwrap();
    trial.send(boot("first"));
    trial.send(bin(2));
    assert_eq!(trial.stop().await, None);
    assert_eq!(trial.run.recorder.bins(0).count(), 2, "the early one has its place now");
    assert_eq!(trial.run.peers.drop_early(), []);
    let log = trial.log();
    let back = log.iter().position(|event| matches!(event, Event::LinkBack { .. })).unwrap();
    assert!(matches!(&log[back - 1], Event::Clock { host, .. } if host == "app1"), "{log:?}");
}

fn wish(wants: Wants) -> (Input, oneshot::Receiver<Reply>) {
    let (tell, told) = oneshot::channel();
    (Input::Wish { wish: Wish { by: "bob".to_owned(), wants }, tell }, told)
}

fn pause(seconds: u64) -> Input {
    wish(Wants::Pause { longest: Span::secs(seconds) }).0
}

impl Trial {
    /// Goes through the attacks. Once the run pauses, it gets these inputs. Returns its outcome, and the log.
    async fn attacks(&mut self, once_paused: Vec<Input>) -> (RunOutcome, Vec<Event>) {
        self.attacks_once("\"event\":\"paused\"", once_paused).await
    }

    /// As [`Self::attacks`], once the log has a text.
    async fn attacks_once(&mut self, text: &str, inputs: Vec<Input>) -> (RunOutcome, Vec<Event>) {
        let sends = self.sends_once(text, inputs);
        let (outcome, ()) = tokio::join!(attacks(&mut self.run), sends);
        (outcome.unwrap(), self.log())
    }

    /// Sends inputs once the log has a text.
    fn sends_once(&self, text: &str, inputs: Vec<Input>) -> impl Future<Output = ()> + use<> {
        let (mail, log) = (self.run.tasks.clone(), self.run.approvals.folder.join("events.jsonl"));
        let text = text.to_owned();
        async move {
            if inputs.is_empty() {
                return;
            }
            while !std::fs::read_to_string(&log).unwrap().contains(&text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for input in inputs {
                assert!(mail.send(input));
            }
        }
    }
}

/// The names of records.
fn names(log: &[Event]) -> Vec<String> {
    let name = |event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
    log.iter().map(name).collect()
}

#[tokio::test]
async fn an_attack_that_is_skipped_was_not_run() {
    let mut trial = Trial::new();
    let (skip, told) = wish(Wants::Skip { attack: None });
    trial.send(skip);
    assert_eq!(trial.stop().await, None);
    assert_eq!(told.await.unwrap(), Reply::Taken("it skips attack 1, \"stop checkout\"".to_owned()));
    let (outcome, log) = trial.attacks(vec![]).await;
    assert_eq!(outcome, RunOutcome::Completed);
    assert_eq!(names(&log), ["skip-asked", "attack-ended"]);
    let why = Outcome::NotRun("skipped by bob".to_owned());
    assert!(
        matches!(&log[1], Event::AttackEnded { outcome, verdict: None, .. } if *outcome == why),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_pause_ends_by_a_skip_a_halt_or_its_time() {
    for (longest, inputs, ended, records) in [
        (600, vec![wish(Wants::Skip { attack: Some(0) }).0], RunOutcome::Completed, &["skip-asked"][..]),
        (
            600,
            vec![Input::Halt { by: "Ctrl-C".to_owned() }],
            RunOutcome::Stopped("stopped by Ctrl-C".to_owned()),
            &[],
        ),
        (
            600,
            vec![Input::UndoneHere { by: "ann".to_owned() }],
            RunOutcome::Stopped("ann undid the run on this machine".to_owned()),
            &[],
        ),
        // A later pause has another end, and the first one's is gone.
        (
            600,
            vec![pause(1)],
            RunOutcome::Stopped("nobody ended the pause of bob within 1s".to_owned()),
            &["paused"],
        ),
        (1, vec![], RunOutcome::Stopped("nobody ended the pause of bob within 1s".to_owned()), &[]),
    ] {
        let mut trial = Trial::new();
        trial.send(pause(longest));
        assert_eq!(trial.stop().await, None);
        let (outcome, log) = trial.attacks(inputs).await;
        assert_eq!(outcome, ended);
        assert_eq!(names(&log), [&["pause-asked", "paused"], records, &["attack-ended"]].concat());
    }
}

#[tokio::test]
async fn nothing_pauses_while_a_fault_may_be_in_force() {
    let mut trial = Trial::new();
    let tracked = Tracked::new("app1".to_owned(), 0, 0, Span::secs(60));
    trial.run.injections.arm(format!("{RUN}-1-1").parse().unwrap(), tracked);
    trial.send(pause(1));
    assert_eq!(trial.stop().await, None);
    assert!(
        matches!(turn(&mut trial.run, 0).await.unwrap(), Turn::Stops(Stop::Failed(why)) if why.contains("not confirmed"))
    );
    assert_eq!(names(&trial.log()), ["pause-asked"]);
}

#[tokio::test]
async fn a_run_that_ends_takes_no_wish() {
    let mut trial = Trial::new();
    trial.send(Input::Halt { by: "Ctrl-C".to_owned() });
    let (ask, told) = wish(Wants::Pause { longest: Span::secs(60) });
    trial.send(ask);
    assert!(trial.stop().await.is_some());
    assert_eq!(told.await.unwrap(), Reply::Refused("it is already ending".to_owned()));
    assert_eq!(trial.log(), []);
    // Nor does one that heals because a step of it failed.
    let mut trial = Trial::new();
    trial.run.injections.ask_undo_of_run();
    let (ask, told) = wish(Wants::Pause { longest: Span::secs(60) });
    trial.send(ask);
    assert_eq!(trial.stop().await, None);
    assert_eq!(told.await.unwrap(), Reply::Refused("it is already ending".to_owned()));
}

#[tokio::test]
async fn a_baseline_that_does_not_hold_ends_no_run_whose_attack_is_skipped() {
    let mut plan = Drill::one().plan();
    // Nothing is measured, and that is not final before the slowest answers would have come.
    plan.attacks[0].baseline = Span::micros(1);
    let mut trial = Trial::of(plan);
    let skip = wish(Wants::Skip { attack: Some(0) }).0;
    let (outcome, log) = trial.attacks_once("\"phase\":\"baseline\"", vec![skip]).await;
    assert_eq!(outcome, RunOutcome::Completed);
    assert_eq!(names(&log), ["phase", "skip-asked", "attack-ended"]);
}
