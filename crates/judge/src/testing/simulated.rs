//! A drill: a log of one attack whose bins come from the shipped prober with a simulated clock, and its verdict.

use firedrill_plan::plan::{
    Plan,
    model::{COORDINATOR, GOOD_AT, Goal, Objective, Phase},
    select::arrivals_key,
};
use firedrill_probe::simulate::{Answer, simulate};
use firedrill_wire::{
    InjectionId, RunId, Share, Span,
    api::{EndState, HostState},
    evidence::{Evidence, Seen},
    journal::{AgentEvent, HealReason, State, What},
    probe::{Arrivals, ProbeSpec},
};

use crate::{
    log::{Event, Outcome, Record, RunOutcome},
    score::{card::AttackCard, fold},
    testing::Drill,
};

/// The start of the fault on the run's clock, in microseconds. It is not on a full second.
pub const FAULT_US: i64 = 12_370_000;
/// Duration of the baseline, in microseconds.
const BASELINE_US: i64 = 12_000_000;
/// Time for which probes continue after the recovery, until the last answers, in microseconds.
const TAIL_US: i64 = 3_500_000;

/// The parameters of one drill.
pub struct Setup {
    /// Requests a second.
    pub rate: f64,
    /// The times at which they are sent.
    pub arrivals: Arrivals,
    /// Duration of the fault.
    pub hold_us: i64,
    /// Duration of the recovery.
    pub recovery_us: i64,
    /// The objectives, `goal 0` and so on.
    pub goals: Vec<(Goal, Phase)>,
    /// The seed of the moments at which requests are sent.
    pub seed: u64,
}

impl Setup {
    /// Returns the end of the fault on the run's clock, in microseconds.
    #[must_use]
    pub fn heal_us(&self) -> i64 {
        FAULT_US + self.hold_us
    }

    fn plan(&self) -> Plan {
        let mut plan = Drill::one().plan();
        let span = |us: i64| Span::micros(us.unsigned_abs());
        plan.seed = self.seed;
        let probe = &mut plan.probes[0];
        (probe.rate, probe.arrivals, probe.timeout) = (self.rate, self.arrivals, Span::secs(2));
        probe.from = vec![COORDINATOR.to_owned()];
        let named = |(place, (goal, phase)): (usize, &(Goal, Phase))| Objective {
            name: format!("goal {place}"),
            probe: "buy".to_owned(),
            goal: *goal,
            good_at: GOOD_AT,
            during: vec![*phase],
        };
        plan.objectives = self.goals.iter().enumerate().map(named).collect();
        let attack = &mut plan.attacks[0];
        attack.judge = plan.objectives.iter().map(|one| one.name.clone()).collect();
        (attack.baseline, attack.hold) = (span(BASELINE_US), span(self.hold_us));
        (attack.recovery, attack.settle) = (span(self.recovery_us), Span::ZERO);
        attack.injections[0].hold = span(self.hold_us);
        plan
    }

    /// Runs the drill; `answer` gets the time of each request on the run's clock, in microseconds.
    pub fn judged(&self, mut answer: impl FnMut(i64) -> Answer) -> AttackCard {
        let plan = self.plan();
        let run: RunId = "20261120-1402-truth-7f3a".parse().expect("an id");
        let id: InjectionId = format!("{run}-0-0").parse().expect("an id");
        let end = self.heal_us() + self.recovery_us;
        let probe = &plan.probes[0];
        let spec = ProbeSpec {
            name: probe.name.clone(),
            kind: probe.kind.clone(),
            rate: probe.rate,
            arrivals: probe.arrivals,
            key: arrivals_key(plan.seed, run.as_str(), &probe.name, COORDINATOR),
            timeout: probe.timeout,
            connection: probe.connection,
            names: std::collections::BTreeMap::new(),
        };
        let until = (end + TAIL_US).unsigned_abs();
        let bins = simulate(&spec, 1, until, |due| answer(due.cast_signed())).expect("a probe");
        let host = "app1".to_owned();
        let changed =
            |at: i64, to: State, reason: Option<HealReason>| agent(at, What::changed(&id, &run, to, reason));
        let phase = |phase: Phase, until_us: i64| Event::Phase { attack: 0, phase, until_us };
        let evidence =
            Evidence { in_force: Seen::Yes, exercised: Seen::Yes, count: None, detail: String::new() };
        let looked = What::Looked { injection: id.clone(), run: run.clone(), evidence };
        let mut events = vec![
            (
                0,
                Event::Clock {
                    host: host.clone(),
                    boot_at_zero_us: 0,
                    uncertainty_us: 200,
                    boot_id: "b".to_owned(),
                },
            ),
            (FAULT_US - BASELINE_US, phase(Phase::Baseline, FAULT_US)),
            (FAULT_US, phase(Phase::Fault, self.heal_us())),
            (
                FAULT_US,
                Event::Armed {
                    attack: 0,
                    injection: id.clone(),
                    host,
                    kind: plan.attacks[0].injections[0].fault.kind().to_owned(),
                    start_us: FAULT_US,
                    hold: plan.attacks[0].hold,
                },
            ),
            (FAULT_US, changed(FAULT_US, State::Injecting, None)),
            (FAULT_US, changed(FAULT_US, State::InForce, None)),
            (FAULT_US + 1000, agent(FAULT_US + 1000, looked)),
            (self.heal_us(), changed(self.heal_us(), State::Undoing, Some(HealReason::HoldOver))),
            (self.heal_us(), changed(self.heal_us(), State::Undone, None)),
            (self.heal_us(), phase(Phase::Recovery, end)),
        ];
        events.extend(bins.into_iter().map(|bin| {
            let start_us = bin.start_boot_us.cast_signed();
            (start_us, Event::Bin { vantage: COORDINATOR.to_owned(), start_us, bin })
        }));
        let state = EndState { state: HostState::Clean, ours: vec![], foreign: vec![], compared: 1 };
        events.extend([
            (end + TAIL_US, Event::AttackEnded { attack: 0, outcome: Outcome::Ran, verdict: None }),
            (end + TAIL_US, Event::HostEnded { host: "app1".to_owned(), end: state }),
            (end + TAIL_US, Event::RunEnded { outcome: RunOutcome::Completed }),
        ]);
        let started = Event::RunStarted {
            run,
            plan: Box::new(plan),
            wall: "2026-11-20T14:02:11Z".to_owned(),
            operator: "bench".to_owned(),
            version: String::new(),
            attempt: 1,
        };
        let all = std::iter::once((0, started)).chain(events);
        let record = |(seq, (at_us, event))| Record { v: Record::VERSION, seq, at_us, event };
        let records: Vec<Record> = (1..).zip(all).map(record).collect();
        let card = fold(&records);
        #[cfg(test)]
        if self.seed.is_multiple_of(4) {
            as_written(&records);
        }
        let attack = card.attacks.into_iter().next().expect("one attack");
        for ((goal, phase), one) in self.goals.iter().zip(&attack.objectives) {
            let figure = attack.figures[0].phases.iter().find(|figure| figure.phase == *phase);
            if let (Goal::Good(_), Some(figure)) = (goal, figure) {
                assert_eq!(
                    one.measured.value, figure.good,
                    "an objective and the figures show the same share"
                );
            }
        }
        // Only a lack of requests may cause an undecided verdict here.
        assert!(card.why.is_empty(), "{:?}", card.why);
        attack
    }
}

/// Checks that the log in blocks gives the same result as one with a record for each bin.
#[cfg(test)]
fn as_written(records: &[Record]) {
    use crate::{
        log::{self, Writer},
        score::judge,
    };

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.jsonl");
    let mut writer = Writer::create(&path).expect("a log");
    let mut plain = Vec::new();
    for record in records {
        writer.append(record.at_us, record.event.clone()).expect("appends");
        serde_json::to_writer(&mut plain, record).expect("memory");
        plain.push(b'\n');
    }
    drop(writer);
    let plain = judge(&log::parse(&plain, &path).expect("reads"));
    assert_eq!(judge(&log::read(&path).expect("reads")), plain);
}

fn agent(at: i64, what: What) -> Event {
    let happened = AgentEvent {
        seq: at.unsigned_abs(),
        boot_us: at.unsigned_abs(),
        boot_id: "b".to_owned(),
        wall_us: 0,
        what,
    };
    Event::Agent { host: "app1".to_owned(), happened_us: at, what: happened }
}

/// Returns a share for a goal; the fraction is limited to 0 to 1.
pub fn share(fraction: f64) -> Share {
    Share::from_fraction(fraction.clamp(0.0, 1.0)).unwrap_or(Share::ALL)
}
