//! What judging gives: the scorecard and its parts, as they stand in `report.json`.
//!
//! All times are microseconds on the run's clock; all shares are between 0 and 1.

use firedrill_wire::{InjectionId, api::HostState, evidence::Seen, exchange::Exchanged};
use serde::{Deserialize, Serialize};

use crate::{plan::model::Phase, verdict::Verdict};

/// How a run went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// The version of this format.
    pub schema: u32,
    /// The run; `None` if the log does not even say that.
    pub run: Option<String>,
    /// The scenario's name.
    pub name: String,
    /// What the drill was to show.
    pub hypothesis: String,
    /// The worst attack's.
    pub verdict: Verdict,
    /// What the program ends with.
    pub exit: u8,
    /// Why the run as a whole is not better than it is, each a sentence.
    pub why: Vec<String>,
    /// The lowest of the attacks' scores, 0 to 100; `None` where any of them is not known. For trends only.
    pub score: Option<u8>,
    /// How many attacks ran.
    pub ran: usize,
    /// How many attacks the plan has.
    pub planned: usize,
    /// One sentence for people.
    pub story: String,
    /// How the run ended, for people.
    pub ended: String,
    /// When the log ends.
    pub end_us: i64,
    /// The attacks, in the plan's order.
    pub attacks: Vec<AttackCard>,
    /// The hosts that were touched, or may have been.
    pub hosts: Vec<HostCard>,
}

/// How far an attack came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// Through all its phases.
    Ran,
    /// Begun, and healed before its end.
    Aborted(String),
    /// Begun; the log ends before it does.
    Cut,
    /// Not begun.
    NotRun(String),
}

/// How an attack went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackCard {
    /// Its place in the plan, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// How far it came.
    pub course: Course,
    /// Its verdict; `None` if it was not run.
    pub verdict: Option<Verdict>,
    /// Why it is not better than it is, each a sentence.
    pub why: Vec<String>,
    /// 0 to 100, for trends; `None` if unknown or not run.
    pub score: Option<u8>,
    /// Its phases as they were.
    pub phases: Vec<PhaseCard>,
    /// When the first fault began to be made.
    pub fault_from_us: Option<i64>,
    /// When the last fault was put back.
    pub healed_us: Option<i64>,
    /// What was judged.
    pub objectives: Vec<ObjectiveCard>,
    /// What people quote, for each probe and vantage.
    pub figures: Vec<FigureCard>,
    /// Pairs of vantages, or of probes that ask for the same, which saw a phase differently by more than chance.
    #[serde(default)]
    pub disagreements: Vec<DisagreementCard>,
    /// Why requests failed, for each phase, probe and vantage; also of an attack that its baseline kept from running.
    #[serde(default)]
    pub causes: Vec<CauseCard>,
    /// What was done to whom, and whether it landed.
    pub injections: Vec<InjectionCard>,
}

/// A phase as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseCard {
    /// Which.
    pub phase: Phase,
    /// Its start.
    pub from_us: i64,
    /// Its end.
    pub until_us: i64,
}

/// How an objective was judged in one attack: the worst of the vantages that count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveCard {
    /// Its name.
    pub name: String,
    /// Its probe.
    pub probe: String,
    /// What had to hold, for people.
    pub goal: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason, a sentence.
    pub why: String,
    /// The worst vantage's figure.
    pub measured: Measured,
    /// Each vantage by itself.
    pub vantages: Vec<VantageCard>,
}

/// How an objective was judged at one vantage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VantageCard {
    /// The vantage.
    pub vantage: String,
    /// Whether it counts; one on a targeted host is shown only.
    pub counts: bool,
    /// What it saw.
    pub verdict: Verdict,
    /// The reason, a sentence.
    pub why: String,
    /// The figure.
    pub measured: Measured,
}

/// A figure, with its interval where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What it is.
    pub unit: Unit,
    /// The value; `None` where it was not measured, or where there is no end to it (`endless`).
    pub value: Option<f64>,
    /// The value is beyond everything: no answer came, or it was not good again.
    #[serde(default)]
    pub endless: bool,
    /// The interval's lower end.
    pub low: Option<f64>,
    /// The interval's upper end; `None` with a `low` means that it is open.
    pub high: Option<f64>,
    /// How many requests this rests on.
    pub samples: u64,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share between 0 and 1.
    #[default]
    Share,
    /// A latency in microseconds; endless where no answer came.
    Latency,
    /// A length of time in microseconds; endless where it did not end while it was measured, longer than `low`.
    Time,
}

/// What one vantage saw of one probe in one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureCard {
    /// The probe.
    pub probe: String,
    /// The vantage.
    pub vantage: String,
    /// Whether it counts.
    pub counts: bool,
    /// Each phase by itself.
    pub phases: Vec<PhaseFigure>,
    /// Bad requests from the fault's start to the attack's end.
    pub bad: u64,
    /// The same by cause.
    #[serde(default)]
    pub causes: std::collections::BTreeMap<String, u64>,
    /// From the first to the last bad request after the fault's start.
    pub bad_for_us: Option<i64>,
    /// From the fault's start until it was good again while the fault held; `None` if it was not, or not measured.
    pub mitigated_us: Option<i64>,
    /// From the heal until it was good again; `None` if it was not, or not measured.
    pub recovered_us: Option<i64>,
    /// The longest outage from the fault's start to the end of the recovery; `None` where a part of that was not
    /// measured.
    #[serde(default)]
    pub outage: Option<OutageCard>,
    /// The 99th percentile of how late the vantage sent its requests; `None` where none was more than a millisecond
    /// late. It is no part of the latencies.
    #[serde(default)]
    pub late_p99_us: Option<u64>,
    /// Share of the error budget (what the objective allows over the attack's requests) that was used; above 1 is
    /// overspent. `None` without an objective on the good share, or with one that allows nothing.
    pub budget_spent: Option<f64>,
}

/// Two sights of one phase that differ by more than chance: each saw another part of the system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisagreementCard {
    /// The phase.
    pub phase: Phase,
    /// One of them.
    pub one: Sight,
    /// The other.
    pub other: Sight,
    /// The chance that two samples of one system differ by as much (Fisher's exact test).
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
    /// Good and bad ones.
    pub all: u64,
}

impl DisagreementCard {
    /// A sentence about it.
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
    /// When its first bad request was due, in microseconds after the fault's start; `None`: there was no outage.
    pub after_us: Option<i64>,
    /// From its first to its last bad request, in microseconds.
    pub low_us: i64,
    /// From the last good request before to the first after it, in microseconds.
    pub high_us: i64,
}

/// Why requests of one probe failed in one phase at one vantage. A second counts in the phase in which its last bad
/// request was due.
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
    /// The same by cause.
    pub causes: std::collections::BTreeMap<String, u64>,
    /// Requests that are neither good nor bad: the vantage itself did not send or time them.
    pub slipped: u64,
}

/// What one vantage saw in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseFigure {
    /// Which.
    pub phase: Phase,
    /// Requests that were good or bad.
    pub samples: u64,
    /// Share of good ones.
    pub good: Option<f64>,
    /// Median latency, bad requests counted as endless; `None` if it is endless or was not measured.
    pub p50_us: Option<u64>,
    /// The 99th percentile, in the same way.
    pub p99_us: Option<u64>,
}

/// One injection: what was done, and whether it landed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectionCard {
    /// Its id; `None` if it was never armed.
    pub id: Option<InjectionId>,
    /// The host.
    pub host: String,
    /// The fault's kind.
    pub kind: String,
    /// What it would do, as the agent said beforehand.
    pub effects: Vec<String>,
    /// How it would be put back, as the agent said beforehand.
    pub undo: Vec<String>,
    /// When it was in force.
    pub in_force_us: Option<i64>,
    /// When putting back began.
    pub undoing_us: Option<i64>,
    /// When it was put back (or, where it cannot be, was done).
    pub ended_us: Option<i64>,
    /// How long it was to stay.
    pub hold_us: i64,
    /// Whether it was there whenever the agent looked.
    pub in_force: Seen,
    /// Whether anything met it.
    pub exercised: Seen,
    /// How often something met it, where that is counted.
    pub count: Option<u64>,
    /// How often the agent looked.
    pub looks: usize,
    /// The last look that tells most, for people.
    pub detail: String,
    /// What hosts exchanged over the path that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<ExchangeCard>,
    /// Why they exchanged nothing, where the fault is on traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_exchanged: Option<String>,
}

/// What two hosts exchanged over the path that a fault is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeCard {
    /// The host that asked.
    pub from: String,
    /// The host that was asked.
    pub to: String,
    /// By which address.
    pub address: String,
    /// How: `ICMP echo`, `TCP port 5432`.
    pub way: String,
    /// Before the fault; `None` where it was not measured.
    pub before: Option<Exchanged>,
    /// While it was in force.
    pub during: Option<Exchanged>,
    /// After it was put back.
    pub after: Option<Exchanged>,
    /// Why something could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What contradicts the fault, a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<String>,
}

/// How a host ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCard {
    /// The host.
    pub host: String,
    /// The state.
    pub state: HostState,
    /// What of ours remains.
    pub ours: Vec<String>,
    /// What others changed meanwhile.
    pub foreign: Vec<String>,
    /// How many things were compared.
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
