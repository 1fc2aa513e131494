//! The course of a run: its present phase, the injections in force, and its end. The course is folded from the records of the log. This module judges
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_judge::{
    log::{Event, Log, Outcome, Record, RunOutcome},
    score::card::phase_word,
    verdict::Verdict,
};
use firedrill_plan::plan::{Plan, model::Phase};
use firedrill_wire::{
    InjectionId, RunId, Span,
    api::EndState,
    journal::{State, What},
};
use serde::Serialize;

/// For [`Course::step_now`]: the step is to be done.
const TO_DO: bool = false;
/// For [`Course::step_now`]: the step is to be put back.
const TO_PUT_BACK: bool = true;

/// The state of a run after the records that were applied so far.
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
    /// The phase that goes on: the attack's index in the plan, the phase, and its planned end on the run's clock, in microseconds.
    pub(crate) phase: Option<(usize, Phase, i64)>,
    /// The attack that waits for approvals.
    pub(crate) asked: Option<Waits>,
    /// For each attack (by its index in the plan) the people who have approved it since the last request, with their means.
    approved: BTreeMap<usize, Vec<String>>,
    /// The pause that goes on.
    pub(crate) paused: Option<Paused>,
    /// The pause that a person has asked for and that has not begun: the person, and its maximum length.
    wanted: Option<(String, Span)>,
    /// The step between attacks that goes on, or that a person is asked to put back.
    pub(crate) step: Option<StepNow>,
    /// The attack that a person has asked to skip, by its index in the plan, and the person.
    skip: Option<(usize, String)>,
    /// The outcomes and verdicts of the attacks that have ended, by their indexes in the plan.
    pub(crate) ended: BTreeMap<usize, (Outcome, Option<Verdict>)>,
    /// The injections that may have left something to undo.
    pub(crate) open: BTreeMap<InjectionId, Open>,
    /// The hosts whose link is broken.
    pub(crate) lost: BTreeSet<String>,
    /// The final states of hosts.
    pub(crate) hosts: BTreeMap<String, EndState>,
    /// The end of the run. A log that was completed later has several ends; the last one counts.
    pub(crate) outcome: Option<RunOutcome>,
    /// The number of the last record.
    pub(crate) seq: u64,
    /// The latest time of a record, on the run's clock, in microseconds.
    pub(crate) at_us: i64,
    /// All injections that were ever armed: the attack's index in the plan, the host, and the fault's kind.
    armed: BTreeMap<InjectionId, (usize, String, String)>,
}

/// An attack that waits for approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// The attack, by its index in the plan.
    pub(crate) attack: usize,
    /// Number of people who have to approve.
    people: u32,
    /// The time at which it is given up, on the run's clock, in microseconds; `None` if the plan names no time.
    pub(crate) until_us: Option<i64>,
}

/// A pause that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paused {
    /// The attack before which the run pauses, by its index in the plan.
    pub(crate) attack: usize,
    /// The person who asked for it.
    by: String,
    /// The time at which it ends by itself, on the run's clock, in microseconds.
    pub(crate) until_us: i64,
    /// The same time by the coordinator's wall clock, RFC 3339 UTC.
    until: String,
}

/// A step between attacks that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepNow {
    /// The time at which it ends by itself, on the run's clock, in microseconds.
    pub(crate) until_us: i64,
    /// The question to a person; `None` while a program runs.
    asks: Option<Asks>,
    /// Its description for people.
    words: String,
}

/// A step by hand that a person is asked to do or to put back: its number from 1, its name, and what is to be done for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Asks {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) text: String,
    /// True if the person is asked to put the step back, false if to do it.
    pub(crate) back: bool,
}

/// The next attack: its number from 1, and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    pub(crate) number: usize,
    pub(crate) name: String,
}

/// An injection that is armed or may be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// The attack, by its index in the plan.
    pub(crate) attack: usize,
    /// The host.
    pub(crate) host: String,
    /// The fault's kind.
    pub(crate) kind: String,
    /// Its state.
    pub(crate) state: State,
    /// The time at which it came into this state, on the run's clock, in microseconds.
    pub(crate) since_us: i64,
}

impl Open {
    /// Returns its state in words.
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
    /// Folds a whole log.
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
            Event::PauseAsked { by, longest, .. } => self.wanted = Some((by.clone(), *longest)),
            Event::Paused { attack, by, until_us, until } => {
                // A pause ends the phase that went on, which can only be a baseline.
                (self.phase, self.wanted) = (None, None);
                let (by, until) = (by.clone(), until.clone());
                self.paused = Some(Paused { attack: *attack, by, until_us: *until_us, until });
            }
            Event::Resumed { .. } => (self.paused, self.wanted) = (None, None),
            Event::SkipAsked { attack, by } => self.skip = Some((*attack, by.clone())),
            Event::StepBegan { step, until_us, .. } => {
                (self.phase, self.step) = (None, self.step_now(*step, *until_us, TO_DO));
            }
            Event::PutBackAsked { step, until_us, .. } => {
                self.step = self.step_now(*step, *until_us, TO_PUT_BACK);
            }
            Event::StepEnded { .. } | Event::PutBackEnded { .. } => self.step = None,
            Event::Armed { attack, injection, host, kind, .. } => {
                self.armed.insert(injection.clone(), (*attack, host.clone(), kind.clone()));
                self.change(injection, State::Armed, record.at_us);
            }
            Event::Agent { happened_us, what, .. } => {
                if let What::Changed { injection, to, .. } = &what.what {
                    self.change(injection, *to, *happened_us);
                }
            }
            Event::ApprovalAsked { attack, people } => {
                let planned = self.plan.as_ref().and_then(|plan| plan.attacks.get(*attack));
                let expires =
                    planned.and_then(|planned| planned.approve.as_ref()).map(|approve| approve.expires);
                let until_us = expires.map(|longest| {
                    record.at_us.saturating_add(i64::try_from(longest.as_micros()).unwrap_or(i64::MAX))
                });
                self.asked = Some(Waits { attack: *attack, people: *people, until_us });
                self.approved.remove(attack);
            }
            Event::ApprovalGiven { attack, by, yes: true, means, .. } => {
                let given = match means {
                    Some(means) => format!("{by} by {means}"),
                    None => by.clone(),
                };
                self.approved.entry(*attack).or_default().push(given);
            }
            Event::AttackEnded { attack, outcome, verdict } => {
                self.ended.insert(*attack, (outcome.clone(), *verdict));
                (self.asked, self.paused) = (None, None);
                self.skip.take_if(|(skipped, _)| skipped == attack);
                if self.phase.is_some_and(|(current, ..)| current == *attack) {
                    self.phase = None;
                }
            }
            Event::LinkLost { host, .. } => _ = self.lost.insert(host.clone()),
            Event::LinkBack { host, .. } => _ = self.lost.remove(host),
            Event::HostEnded { host, end } => _ = self.hosts.insert(host.clone(), end.clone()),
            Event::RunEnded { outcome } => {
                (self.phase, self.asked, self.paused) = (None, None, None);
                (self.wanted, self.skip, self.step) = (None, None, None);
                self.outcome = Some(outcome.clone());
            }
            _ => {}
        }
    }

    /// Notes that an injection has changed its state. An injection that was never armed in this log is ignored.
    fn change(&mut self, injection: &InjectionId, to: State, at_us: i64) {
        if !to.is_open() {
            self.open.remove(injection);
        } else if let Some((attack, host, kind)) = self.armed.get(injection) {
            let (host, kind) = (host.clone(), kind.clone());
            let open = Open { attack: *attack, host, kind, state: to, since_us: at_us };
            self.open.insert(injection.clone(), open);
        }
    }

    /// Describes the step at an index of the plan; `None` if the plan has no such step. `back` is [`TO_DO`] or [`TO_PUT_BACK`].
    fn step_now(&self, index: usize, until_us: i64, back: bool) -> Option<StepNow> {
        let step = self.plan.as_ref()?.steps.get(index)?;
        let (number, name) = (index + 1, step.name.clone());
        let said = step.does.said();
        if step.does.argv().is_some() {
            return Some(StepNow { until_us, asks: None, words: format!("step \"{name}\" runs {said}") });
        }
        let text = if back { step.does.undo().unwrap_or_default().to_owned() } else { said };
        let words = if back {
            format!("a person is to put back \"{name}\": {text}")
        } else {
            format!("a person is to do \"{name}\": {text}")
        };
        Some(StepNow { until_us, asks: Some(Asks { number, name, text, back }), words })
    }

    /// Returns the step by hand that a person is asked for.
    pub(crate) fn asks(&self) -> Option<&Asks> {
        self.step.as_ref()?.asks.as_ref()
    }

    /// Returns the next attack: the one after the last attack that was armed or has ended. `None` if there is none, or the run has ended.
    pub(crate) fn next(&self) -> Option<Next> {
        let armed = self.armed.values().map(|(attack, ..)| attack);
        let index = armed.chain(self.ended.keys()).max().map_or(0, |last| last + 1);
        let attack = self.plan.as_ref().filter(|_| self.outcome.is_none())?.attacks.get(index)?;
        Some(Next { number: index + 1, name: attack.name.clone() })
    }

    /// Returns the wishes of people that the run has not fulfilled yet, each as a sentence.
    pub(crate) fn wishes(&self) -> Vec<String> {
        let pause = self.wanted.as_ref().zip(self.next()).map(|((by, longest), next)| {
            format!("{by} asked for a pause before \"{}\", for at most {longest}.", next.name)
        });
        let wanted = self.skip.as_ref();
        let skip = wanted.map(|(attack, by)| format!("{by} asked to skip \"{}\".", self.attack(*attack)));
        pause.into_iter().chain(skip).collect()
    }

    /// Returns a clause that names the people who have approved the attack at an index of the plan, with their means; `None` if nobody has.
    pub(crate) fn approvals(&self, index: usize) -> Option<String> {
        Some(format!("approved by {}", self.approved.get(&index)?.join(", ")))
    }

    /// Returns the scenario's name.
    pub(crate) fn scenario(&self) -> &str {
        self.plan.as_ref().map_or("", |plan| &plan.name)
    }

    /// Returns the name of the attack at an index of the plan; empty if there is none.
    pub(crate) fn attack(&self, index: usize) -> &str {
        self.plan.as_ref().and_then(|plan| plan.attacks.get(index)).map_or("", |attack| &attack.name)
    }

    /// Returns in words what the run does at present, or how it ended.
    pub(crate) fn stage(&self) -> String {
        if let Some(outcome) = &self.outcome {
            return format!("ended: {}", outcome.reason());
        }
        if let Some(step) = &self.step {
            return step.words.clone();
        }
        if let Some(Paused { attack, by, until, .. }) = &self.paused {
            // The time of day in RFC 3339, without fractions of seconds.
            let until = until.get(11..19).unwrap_or(until);
            return format!("paused by {by} until {until} UTC, before \"{}\"", self.attack(*attack));
        }
        if let Some(Waits { attack, people, .. }) = self.asked {
            let who = if people == 1 { "a person".to_owned() } else { format!("{people} people") };
            return format!("\"{}\" waits for the approval of {who}", self.attack(attack));
        }
        match self.phase {
            Some((attack, phase, ..)) => format!("{} of \"{}\"", phase_word(phase), self.attack(attack)),
            None if self.ended.is_empty() => "before the first attack".to_owned(),
            None => "between attacks, or at its end".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
