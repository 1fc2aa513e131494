//! The records of a drill, in the order in which a coordinator would write them.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::{
    InjectionId, RunId, Span,
    api::{EndState, Prepared, PreparedOne},
    evidence::Evidence,
    journal::{AgentEvent, HealReason, State, What},
};

use super::{Act, BASELINE, Drill, HOLD, LENGTH, RATE, RECOVERY, RUN, S, SETTLE, WALL, bin};
use crate::log::{Event, Outcome, Record};

impl Drill {
    /// Returns the records of the log.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let plan = self.plan();
        let run: RunId = RUN.parse().unwrap();
        // Each event with its time; equal times keep their order.
        let mut events: Vec<(i64, Event)> = vec![(
            0,
            Event::RunStarted {
                run: run.clone(),
                plan: Box::new(plan.clone()),
                wall: WALL.to_owned(),
                operator: "alice".to_owned(),
                version: "0.1.0".to_owned(),
                attempt: 1,
            },
        )];
        for host in plan.hosts.iter().map(|host| host.name.clone()) {
            events.push((
                1_000,
                Event::Clock {
                    host,
                    boot_at_zero_us: 100 * S,
                    uncertainty_us: 400,
                    boot_id: "boot".to_owned(),
                },
            ));
        }
        for (index, act) in self.acts.iter().enumerate() {
            self.act(&mut events, &run, index, act);
        }
        let end = 1 + LENGTH * i64::try_from(self.acts.len()).unwrap() + 3;
        for second in 1..end - 2 {
            for vantage in &self.vantages {
                let bad = self.bad_at(second).min(RATE);
                if let Some(bin) = (self.bins)(vantage, second, bin("buy", second, RATE - bad, bad)) {
                    let event = Event::Bin { vantage: (*vantage).to_owned(), start_us: second * S, bin };
                    events.push((second * S + 1_600_000, event));
                }
            }
        }
        events.extend(self.extra.iter().map(|(second, event)| (second * S, event.clone())));
        for (host, state) in &self.ends {
            let end_state = EndState { state: *state, ours: vec![], foreign: vec![], compared: 41 };
            events.push((end * S, Event::HostEnded { host: (*host).to_owned(), end: end_state }));
        }
        events.sort_by_key(|(at, _)| *at);
        events.extend(self.outcome.clone().map(|outcome| (end * S, Event::RunEnded { outcome })));
        let number = |(place, (at_us, event)): (usize, (i64, Event))| Record {
            v: Record::VERSION,
            seq: u64::try_from(place).unwrap() + 1,
            at_us,
            event,
        };
        events.into_iter().enumerate().map(number).collect()
    }

    /// Returns the second in which an attack's fault starts.
    #[must_use]
    pub fn start(index: usize) -> i64 {
        1 + LENGTH * i64::try_from(index).unwrap() + BASELINE
    }

    /// Returns the number of bad requests in a second of the run.
    fn bad_at(&self, second: i64) -> u64 {
        let mut bad = 0;
        for (index, act) in self.acts.iter().enumerate() {
            let after = second - Self::start(index);
            bad += act.bad.iter().filter(|(when, _)| when.contains(&after)).map(|(_, bad)| *bad).sum::<u64>();
        }
        bad
    }

    /// Adds the events of an attack.
    fn act(&self, events: &mut Vec<(i64, Event)>, run: &RunId, index: usize, act: &Act) {
        let start = Self::start(index);
        // Events are 20 ms before full seconds of the run's clock, so that edges of phases are not those of bins.
        let near = |second: i64| second * S - 20_000;
        let end = near(start + HOLD + RECOVERY + SETTLE);
        let ended = Event::AttackEnded { attack: index, outcome: act.outcome.clone(), verdict: None };
        if matches!(act.outcome, Outcome::NotRun(_) | Outcome::Spared(_)) {
            events.push((near(start), ended));
            return;
        }
        for (place, host) in act.hosts.iter().enumerate() {
            let id: InjectionId = format!("{run}-{index}-{place}").parse().unwrap();
            let host = (*host).to_owned();
            let prepared = PreparedOne {
                id: id.clone(),
                answer: Prepared::Ready {
                    claims: vec![],
                    effects: vec![format!("{} on {host}", act.fault.kind())],
                    undo: vec!["put it back".to_owned()],
                    switches: vec!["guardian".to_owned()],
                    notes: vec![],
                    wants: 0,
                    lacks: None,
                    fingerprint: "f".to_owned(),
                },
            };
            events.push((2_000, Event::Prepared { host: host.clone(), attack: index, prepared }));
            let armed = Event::Armed {
                attack: index,
                injection: id.clone(),
                host: host.clone(),
                kind: act.fault.kind().to_owned(),
                start_us: near(start),
                hold: Span::secs(u64::try_from(HOLD).unwrap()),
            };
            events.push((near(start) - S, armed));
            let mut seq = 0;
            let mut say = |at: i64, what: What| {
                seq += 1;
                let event = AgentEvent {
                    seq: seq + u64::try_from(index).unwrap() * 100,
                    boot_us: u64::try_from(at + 100 * S).unwrap(),
                    boot_id: "boot".to_owned(),
                    wall_us: 0,
                    what,
                };
                // Events of agents are read a moment after they happen.
                events.push((at + 5_000, Event::Agent { host: host.clone(), happened_us: at, what: event }));
            };
            let changed = |to: State, reason: Option<HealReason>| What::changed(&id, run, to, reason);
            say(near(start) - S, changed(State::Armed, None));
            say(near(start), changed(State::Injecting, None));
            say(near(start) + 3_000, changed(State::InForce, None));
            if act.looks {
                for second in (1..act.lifted).step_by(5) {
                    let evidence = Evidence {
                        in_force: act.in_force,
                        exercised: act.exercised,
                        count: Some(u64::try_from(second).unwrap() * act.packets),
                        detail: "the rule is there; packets met it".to_owned(),
                    };
                    say(
                        near(start + second),
                        What::Looked { injection: id.clone(), run: run.clone(), evidence },
                    );
                }
            }
            let lifted = near(start + act.lifted) + 3_000;
            say(lifted, changed(State::Undoing, Some(act.reason.clone())));
            say(lifted + 4_000, changed(act.end, None));
        }
        let phase = |phase: Phase, second: i64| Event::Phase { attack: index, phase, until_us: near(second) };
        events.push((near(start - BASELINE), phase(Phase::Baseline, start)));
        events.push((near(start), phase(Phase::Fault, start + HOLD)));
        events.push((near(start + HOLD) + 15_000, phase(Phase::Recovery, start + HOLD + RECOVERY)));
        events.push((near(start + HOLD + RECOVERY), phase(Phase::Settle, start + HOLD + RECOVERY + SETTLE)));
        events.push((end, ended));
    }
}
