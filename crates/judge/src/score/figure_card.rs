//! The key figures of probes at vantages, as serialized in `report.json`.

use firedrill_plan::plan::model::Phase;
use serde::{Deserialize, Serialize};

use super::words::phase_word;

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
    /// The first vantage or probe.
    pub one: Sight,
    /// The second vantage or probe.
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
