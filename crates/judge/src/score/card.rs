//! The scorecard, its attacks and objectives, as serialized in `report.json`.
//!
//! All times are microseconds on the run's clock; all shares are between 0 and 1.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::api::HostState;
use serde::{Deserialize, Serialize};

use super::{
    alert_card::AlertCard,
    budget_card::{BudgetCard, BurntCard},
    metric_card::MetricCard,
};
pub use super::{
    figure_card::{CauseCard, DisagreementCard, FigureCard, OutageCard, PartialCard, PhaseFigure, Sight},
    injection_card::{ExchangeCard, InjectionCard},
    log_card::{LogCard, LogPhase, LogPoint},
    step_card::{BackCard, StepCard},
    words::{phase_word, state_word, verdict_word},
};
use crate::{log::WritesRead, verdict::Verdict};

/// The result of judging a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// The version of this format.
    pub schema: u32,
    /// The run's id; `None` if the log does not have it.
    pub run: Option<String>,
    /// The scenario's name.
    pub name: String,
    /// The scenario's hypothesis.
    pub hypothesis: String,
    /// The worst verdict of the attacks.
    pub verdict: Verdict,
    /// The program's exit code.
    pub exit: u8,
    /// Reasons why the run's verdict is not better, each a sentence.
    pub why: Vec<String>,
    /// The lowest score of the attacks, 0 to 100; `None` if the score of any of them is not known. For trends only.
    pub score: Option<u8>,
    /// Number of attacks that ran.
    pub ran: usize,
    /// Number of attacks in the plan; of the attacks on a moving target one counts.
    pub planned: usize,
    /// A summary for people.
    pub story: String,
    /// The end of the run, in words.
    pub ended: String,
    /// The time of the log's last record.
    pub end_us: i64,
    /// The attacks, in the plan's order.
    pub attacks: Vec<AttackCard>,
    /// The steps between attacks, in the plan's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepCard>,
    /// The hosts that were touched, or may have been.
    pub hosts: Vec<HostCard>,
    /// The shares of the objectives' error budgets that the whole run burnt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BurntCard>,
}

impl Scorecard {
    /// Returns the attacks that count: not those that were spared because another host was the leader.
    pub fn counted(&self) -> impl Iterator<Item = &AttackCard> {
        self.attacks.iter().filter(|attack| !matches!(attack.course, Course::Spared(_)))
    }
}

/// The course of an attack: which of its phases it went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// The attack went through all its phases.
    Ran,
    /// The attack began and was healed before its end.
    Aborted(String),
    /// The attack began; the log ends before it does.
    Cut,
    /// The attack did not begin.
    NotRun(String),
    /// The attack was on another host of a moving target than the leader. It does not count; the attack on the leader tells the result.
    Spared(String),
}

impl Course {
    /// Returns the reason why the attack did not begin; `None` if it began.
    #[must_use]
    pub fn not_begun(&self) -> Option<&str> {
        match self {
            Self::NotRun(why) | Self::Spared(why) => Some(why),
            Self::Ran | Self::Aborted(_) | Self::Cut => None,
        }
    }
}

/// The result of one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackCard {
    /// Its index in the plan, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The attack's course.
    pub course: Course,
    /// Its verdict; `None` if it was not run.
    pub verdict: Option<Verdict>,
    /// Reasons why its verdict is not better, each a sentence.
    pub why: Vec<String>,
    /// Reasons to doubt the attack as a whole, each a sentence: nothing in it can be shown to have held. They are in `why`, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// 0 to 100, for trends; `None` if unknown or not run.
    pub score: Option<u8>,
    /// Its phases, at the times when they took place.
    pub phases: Vec<PhaseCard>,
    /// Time at which agents began to inject the first fault.
    pub fault_from_us: Option<i64>,
    /// Time at which the last fault was undone.
    pub healed_us: Option<i64>,
    /// The objectives that were judged.
    pub objectives: Vec<ObjectiveCard>,
    /// The key figures, for each probe and vantage.
    pub figures: Vec<FigureCard>,
    /// Pairs of vantages, or of probes that ask for the same, which saw a phase differently by more than chance.
    #[serde(default)]
    pub disagreements: Vec<DisagreementCard>,
    /// Causes of failed requests, for each phase, probe and vantage; also of an attack that did not run because its
    /// baseline did not hold.
    #[serde(default)]
    pub causes: Vec<CauseCard>,
    /// The injections, and whether they were in force and took effect.
    pub injections: Vec<InjectionCard>,
    /// The logs that agents read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogCard>,
    /// The records that vantages read back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<WritesRead>,
}

impl AttackCard {
    /// Returns its result in a word: its verdict, `spared`, or `not run`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if matches!(self.course, Course::Spared(_)) { "spared" } else { verdict_word(self.verdict) }
    }
}

/// A phase at the time when it took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseCard {
    /// The phase.
    pub phase: Phase,
    /// Its start.
    pub from_us: i64,
    /// Its end.
    pub until_us: i64,
}

/// The result of an objective in one attack: that of the worst vantage that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveCard {
    /// Its name.
    pub name: String,
    /// Its probe; empty where a source measures it.
    pub probe: String,
    /// The goal, in words.
    pub goal: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason, a sentence.
    pub why: String,
    /// The worst vantage's figure.
    pub measured: Measured,
    /// The result at each vantage; none where a source measures it.
    pub vantages: Vec<VantageCard>,
    /// The measurements of its source, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Box<MetricCard>>,
    /// The answers of its source about its alert, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Box<AlertCard>>,
    /// The share of its error budget that the attack burnt, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<BudgetCard>>,
}

/// The result of an objective at one vantage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VantageCard {
    /// The vantage.
    pub vantage: String,
    /// Whether it counts; one on a targeted host is shown only.
    pub counts: bool,
    /// The verdict on this vantage's measurements.
    pub verdict: Verdict,
    /// The reason, a sentence.
    pub why: String,
    /// The figure.
    pub measured: Measured,
}

/// A figure, with its interval where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The figure's unit.
    pub unit: Unit,
    /// The value; `None` where it was not measured, or where there is no end to it (`endless`).
    pub value: Option<f64>,
    /// Whether the value has no upper bound: no answer came, or the system was not good again.
    #[serde(default)]
    pub endless: bool,
    /// The interval's lower end.
    pub low: Option<f64>,
    /// The interval's upper end; `None` with a `low` means that it is open.
    pub high: Option<f64>,
    /// Number of requests that the figure is based on.
    pub samples: u64,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share between 0 and 1.
    #[default]
    Share,
    /// A latency in microseconds; endless where no answer came.
    Latency,
    /// A number of a source, in the unit of its query.
    Number,
    /// A length of time in microseconds; endless where it did not end while it was measured, longer than `low`.
    Time,
}

/// The state of a host at the end of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCard {
    /// The host.
    pub host: String,
    /// The state.
    pub state: HostState,
    /// Remains of our own changes.
    pub ours: Vec<String>,
    /// Changes by others during the run.
    pub foreign: Vec<String>,
    /// Number of compared items.
    pub compared: u64,
}
