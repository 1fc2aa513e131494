//! The course of a run, folded from the records of its log: where it is, what is in force, how it ended. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_judge::{
    log::{Event, Log, Outcome, Record, RunOutcome},
    score::card::phase_word,
    verdict::Verdict,
};
use firedrill_plan::plan::{Plan, model::Phase};
use firedrill_wire::{
    InjectionId, RunId,
    api::EndState,
    journal::{State, What},
};

/// A run, as far as the records that were applied tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    /// The run.
    pub(crate) run: Option<RunId>,
    /// The plan.
    pub(crate) plan: Option<Box<Plan>>,
    /// The person who runs it.
    pub(crate) operator: String,
    /// Wall clock of time 0, RFC 3339 UTC.
    pub(crate) wall: String,
    /// The phase: attack, phase, and its planned end on the run's clock, in microseconds.
    pub(crate) phase: Option<(usize, Phase, i64)>,
    /// The attack that waits for people, and how many it needs.
    pub(crate) asked: Option<(usize, u32)>,
    /// The ends of attacks, by their places in the plan.
    pub(crate) ended: BTreeMap<usize, (Outcome, Option<Verdict>)>,
    /// The injections that may have left something to undo.
    pub(crate) open: BTreeMap<InjectionId, Open>,
    /// The hosts whose link is broken.
    pub(crate) lost: BTreeSet<String>,
    /// The final states of hosts.
    pub(crate) hosts: BTreeMap<String, EndState>,
    /// The end of the run. A log that was completed later has several ends; the last counts.
    pub(crate) outcome: Option<RunOutcome>,
    /// The number and time of the last record.
    pub(crate) seq: u64,
    /// See [`Self::seq`].
    pub(crate) at_us: i64,
    /// All that was armed: attack, host, kind.
    armed: BTreeMap<InjectionId, (usize, String, String)>,
}

/// An injection that may have an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// The attack, by its place in the plan.
    pub(crate) attack: usize,
    /// The host.
    pub(crate) host: String,
    /// The fault's kind.
    pub(crate) kind: String,
    /// Its state.
    pub(crate) state: State,
    /// Since when, on the run's clock, in microseconds.
    pub(crate) since_us: i64,
}

impl Open {
    /// Returns its state for people.
    pub(crate) const fn word(&self) -> &'static str {
        match self.state {
            State::Armed => "armed",
            State::Injecting => "starting",
            State::InForce => "in force",
            State::Undoing => "being put back",
            State::Stuck => "stuck",
            State::Undone | State::Done | State::Disarmed => "over",
        }
    }
}

impl Course {
    /// The course by a log that was read.
    pub(crate) fn of(log: &Log) -> Self {
        let mut course = Self::default();
        log.records.iter().for_each(|record| course.apply(record));
        course
    }

    /// Returns the injections that are in force, or may be.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &Open> {
        self.open.values().filter(|open| open.state != State::Armed)
    }

    /// Applies the next record.
    pub(crate) fn apply(&mut self, record: &Record) {
        (self.seq, self.at_us) = (record.seq, self.at_us.max(record.at_us));
        match &record.event {
            Event::RunStarted { run, plan, wall, operator, .. } => {
                (self.run, self.plan) = (Some(run.clone()), Some(plan.clone()));
                self.wall.clone_from(wall);
                self.operator.clone_from(operator);
            }
            Event::Phase { attack, phase, until_us } => {
                self.phase = Some((*attack, *phase, *until_us));
                self.asked = None;
            }
            Event::Armed { attack, injection, host, kind, .. } => {
                self.armed.insert(injection.clone(), (*attack, host.clone(), kind.clone()));
                self.change(injection, State::Armed, record.at_us);
            }
            Event::Agent { happened_us, what, .. } => {
                if let What::Changed { injection, to, .. } = &what.what {
                    self.change(injection, *to, *happened_us);
                }
            }
            Event::ApprovalAsked { attack, people } => self.asked = Some((*attack, *people)),
            Event::AttackEnded { attack, outcome, verdict } => {
                self.ended.insert(*attack, (outcome.clone(), *verdict));
                self.asked = None;
                if self.phase.is_some_and(|(of, ..)| of == *attack) {
                    self.phase = None;
                }
            }
            Event::LinkLost { host, .. } => _ = self.lost.insert(host.clone()),
            Event::LinkBack { host, .. } => _ = self.lost.remove(host),
            Event::HostEnded { host, end } => _ = self.hosts.insert(host.clone(), end.clone()),
            Event::RunEnded { outcome } => {
                (self.phase, self.asked) = (None, None);
                self.outcome = Some(outcome.clone());
            }
            _ => {}
        }
    }

    fn change(&mut self, injection: &InjectionId, to: State, at_us: i64) {
        if !to.is_open() {
            self.open.remove(injection);
        } else if let Some((attack, host, kind)) = self.armed.get(injection) {
            let (host, kind) = (host.clone(), kind.clone());
            let open = Open { attack: *attack, host, kind, state: to, since_us: at_us };
            self.open.insert(injection.clone(), open);
        }
    }

    /// Returns the scenario's name.
    pub(crate) fn scenario(&self) -> &str {
        self.plan.as_ref().map_or("", |plan| &plan.name)
    }

    /// Returns an attack's name.
    pub(crate) fn attack(&self, place: usize) -> &str {
        self.plan.as_ref().and_then(|plan| plan.attacks.get(place)).map_or("", |attack| &attack.name)
    }

    /// Says where the run is, for people.
    pub(crate) fn stage(&self) -> String {
        if let Some(outcome) = &self.outcome {
            return format!("ended: {}", outcome.reason());
        }
        if let Some((attack, people)) = self.asked {
            return format!("\"{}\" waits for the approval of {people}", self.attack(attack));
        }
        match self.phase {
            Some((attack, phase, ..)) => format!("{} of \"{}\"", phase_word(phase), self.attack(attack)),
            None if self.ended.is_empty() => "before the first attack".to_owned(),
            None => "between attacks, or at its end".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::Drill;

    use super::*;

    #[test]
    fn a_run_is_followed_from_its_beginning_to_its_end() {
        let records = Drill::good().records();
        let mut course = Course::default();
        let (mut most, mut stages) = (0, Vec::new());
        for record in &records {
            course.apply(record);
            most = most.max(course.open.values().filter(|open| open.state == State::InForce).count());
            if stages.last() != Some(&course.stage()) {
                stages.push(course.stage());
            }
        }
        assert!(most > 0, "something was in force");
        assert!(course.open.is_empty() && course.outcome.is_some(), "{:?}", course.open);
        assert!(stages.iter().any(|stage| stage.starts_with("fault of \"")), "{stages:?}");
        assert_eq!(stages.last().map(String::as_str), Some("ended: it is complete"));
        assert_eq!(course.seq, records.last().unwrap().seq);
    }
}
