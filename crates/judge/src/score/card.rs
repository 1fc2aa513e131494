//! The scorecard and its parts, as serialized in `report.json`.
//!
//! All times are microseconds on the run's clock; all shares are between 0 and 1.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::{InjectionId, api::HostState, evidence::Seen, exchange::Exchanged};
use serde::{Deserialize, Serialize};

use super::{
    alert_card::AlertCard,
    budget_card::{BudgetCard, BurntCard},
    metric_card::MetricCard,
};
use crate::{log::KeptLine, verdict::Verdict};

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
    /// Number of attacks in the plan.
    pub planned: usize,
    /// A summary for people.
    pub story: String,
    /// The end of the run, in words.
    pub ended: String,
    /// The time of the log's last record.
    pub end_us: i64,
    /// The attacks, in the plan's order.
    pub attacks: Vec<AttackCard>,
    /// The hosts that were touched, or may have been.
    pub hosts: Vec<HostCard>,
    /// What the whole run burnt of the error budgets of its objectives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BurntCard>,
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
}

/// The result of one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackCard {
    /// Its place in the plan, from 0.
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
    /// What agents read of logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogCard>,
}

/// What an agent read of one log of a host during one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogCard {
    /// The log.
    pub log: String,
    /// The host.
    pub host: String,
    /// The file.
    pub file: String,
    /// The objectives that are judged by it.
    pub objectives: Vec<String>,
    /// What was counted in each phase.
    pub phases: Vec<LogPhase>,
    /// Number of matching lines in each stretch of time that was read, for charts.
    pub points: Vec<LogPoint>,
}

/// What was counted of a log in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogPhase {
    /// The phase.
    pub phase: Phase,
    /// Minimum number of matching lines.
    pub least: u64,
    /// Maximum number of matching lines; `None` if lines may have been missed.
    pub most: Option<u64>,
    /// The reason why lines may have been missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Number of lines that were too long to be searched completely.
    #[serde(default)]
    pub cut: u64,
    /// The first matching lines.
    #[serde(default)]
    pub lines: Vec<KeptLine>,
}

/// Matching lines in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// Its start.
    pub from_us: i64,
    /// Its end.
    pub until_us: i64,
    /// Number of matching lines.
    pub matched: u64,
    /// Whether lines may have been missed.
    #[serde(default)]
    pub more: bool,
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
    /// What its source measured, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Box<MetricCard>>,
    /// What its source said of its alert, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Box<AlertCard>>,
    /// What the attack burnt of its error budget, where it has one.
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

/// The measurements of one probe at one vantage during one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureCard {
    /// The probe.
    pub probe: String,
    /// The vantage.
    pub vantage: String,
    /// Whether it counts.
    pub counts: bool,
    /// The figures of each phase.
    pub phases: Vec<PhaseFigure>,
    /// Bad requests from the fault's start to the attack's end.
    pub bad: u64,
    /// Bad requests by cause.
    #[serde(default)]
    pub causes: std::collections::BTreeMap<String, u64>,
    /// Time from the first to the last bad request after the fault's start.
    pub bad_for_us: Option<i64>,
    /// Time to mitigate: from the fault's start until requests were good again while the fault held; `None` if they
    /// were not, or if that was not measured.
    pub mitigated_us: Option<i64>,
    /// Time to recover: from the heal until requests were good again; `None` if they were not, or if that was not
    /// measured.
    pub recovered_us: Option<i64>,
    /// The longest outage from the fault's start to the end of the recovery; `None` where a part of that was not
    /// measured.
    #[serde(default)]
    pub outage: Option<OutageCard>,
    /// The seconds in which some requests failed and others did not, over the same time; `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<PartialCard>,
    /// The 99th percentile of how late the vantage sent its requests; `None` where none was more than a millisecond
    /// late. It is no part of the latencies.
    #[serde(default)]
    pub late_p99_us: Option<u64>,
    /// Share of the error budget that was used; above 1 it is overspent. The budget is the number of bad requests
    /// that the objective allows over the attack. `None` without an objective on the good share, or with one that
    /// allows no bad requests.
    pub budget_spent: Option<f64>,
}

/// Two vantages or probes whose results in one phase differ by more than chance: they reached different parts of the
/// system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisagreementCard {
    /// The phase.
    pub phase: Phase,
    /// One of the two.
    pub one: Sight,
    /// The other.
    pub other: Sight,
    /// The probability that two samples of one system differ by at least as much (Fisher's exact test).
    pub chance: f64,
}

/// The counts of one vantage and probe in one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The probe.
    pub probe: String,
    /// The vantage.
    pub vantage: String,
    /// Bad requests.
    pub bad: u64,
    /// Good and bad requests.
    pub all: u64,
}

impl DisagreementCard {
    /// Describes the difference in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sight = |sight: &Sight| {
            format!("{} from {} ({} of {} bad)", sight.probe, sight.vantage, sight.bad, sight.all)
        };
        format!(
            "In the {} {} and {} differ by more than chance: they saw different parts of the system, and no share over both means \
             anything.",
            phase_word(self.phase),
            sight(&self.one),
            sight(&self.other)
        )
    }
}

/// A stretch in which bad requests outweigh good ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageCard {
    /// Time from the fault's start to the due time of the first bad request, in microseconds; `None` if there was no
    /// outage.
    pub after_us: Option<i64>,
    /// Time from its first to its last bad request, in microseconds.
    pub low_us: i64,
    /// Time from the last good request before it to the first after it, in microseconds.
    pub high_us: i64,
}

/// Partial failure: the seconds in which some requests failed and others did not, whether they follow on each other or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialCard {
    /// Their total length, in microseconds.
    pub for_us: i64,
    /// Bad requests in them.
    pub bad: u64,
    /// Good and bad requests in them.
    pub all: u64,
}

/// Causes of failed requests of one probe in one phase at one vantage. A second counts in the phase in which its last
/// bad request was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseCard {
    /// The phase.
    pub phase: Phase,
    /// The probe.
    pub probe: String,
    /// The vantage.
    pub vantage: String,
    /// Whether the vantage counts.
    pub counts: bool,
    /// Bad requests.
    pub bad: u64,
    /// Bad requests by cause.
    pub causes: std::collections::BTreeMap<String, u64>,
    /// Requests that are neither good nor bad: the vantage itself did not send or time them.
    pub slipped: u64,
}

/// The measurements of one vantage in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseFigure {
    /// The phase.
    pub phase: Phase,
    /// Requests that were good or bad.
    pub samples: u64,
    /// Share of good requests.
    pub good: Option<f64>,
    /// Median latency; a bad request counts as infinitely slow. `None` if the median is infinite or was not measured.
    pub p50_us: Option<u64>,
    /// The 99th percentile of latency, in the same way.
    pub p99_us: Option<u64>,
}

/// One injection, and the evidence that it took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectionCard {
    /// Its id; `None` if it was never armed.
    pub id: Option<InjectionId>,
    /// The host.
    pub host: String,
    /// The fault's kind.
    pub kind: String,
    /// The effects that the agent announced when the plan was prepared.
    pub effects: Vec<String>,
    /// The undo actions that the agent announced when the plan was prepared.
    pub undo: Vec<String>,
    /// Time at which it was in force.
    pub in_force_us: Option<i64>,
    /// Time at which its undo began.
    pub undoing_us: Option<i64>,
    /// Time at which it was undone; for an irreversible fault, the time at which it was done.
    pub ended_us: Option<i64>,
    /// The planned hold, in microseconds.
    pub hold_us: i64,
    /// Whether it was in force at each check by the agent.
    pub in_force: Seen,
    /// Whether any traffic or process was affected by it.
    pub exercised: Seen,
    /// Number of times that it took effect, where that is counted.
    pub count: Option<u64>,
    /// Number of checks by the agent.
    pub looks: usize,
    /// The most informative of the latest checks, for people.
    pub detail: String,
    /// The exchanges of packets over the fault's path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<ExchangeCard>,
    /// The reason why no packets were exchanged, where the fault is on traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_exchanged: Option<String>,
}

/// An exchange of packets between two hosts over a fault's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeCard {
    /// The host that sent requests.
    pub from: String,
    /// The host that was to answer.
    pub to: String,
    /// The address of the host that was to answer.
    pub address: String,
    /// The kind of packets: `ICMP echo`, `TCP port 5432`.
    pub way: String,
    /// Before the fault; `None` where it was not measured.
    pub before: Option<Exchanged>,
    /// While it was in force.
    pub during: Option<Exchanged>,
    /// After it was put back.
    pub after: Option<Exchanged>,
    /// The reason why something could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The contradiction to the fault, a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<String>,
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

/// The word for how a host ended.
#[must_use]
pub const fn state_word(state: HostState) -> &'static str {
    match state {
        HostState::Clean => "clean",
        HostState::Dirty => "dirty",
        HostState::Stuck => "stuck",
        HostState::Gone => "gone",
        HostState::Unproven => "unproven",
    }
}

/// The word for a phase.
#[must_use]
pub const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "baseline",
        Phase::Fault => "fault",
        Phase::Recovery => "recovery",
        Phase::Settle => "settle",
    }
}

/// `held`, `violated`, `unknown`, or `not run`.
#[must_use]
pub const fn verdict_word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(verdict) => verdict.word(),
        None => "not run",
    }
}
