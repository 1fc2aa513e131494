//! Sources and the objectives that they measure.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use firedrill_sources::{Metrics, SourceKind};
use firedrill_wire::{Share, Span, is_default};
use serde::{Deserialize, Serialize};

use super::Phase;

/// A source that the coordinator asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its kind. It is serialized and parsed without secrets: a plan that was read is shown, and never run.
    #[serde(serialize_with = "hidden::write", deserialize_with = "hidden::read")]
    pub kind: SourceKind,
    /// A question that takes longer has no answer.
    pub timeout: Span,
    /// Addresses of names that the fleet knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// Serializes and parses a kind without secrets.
mod hidden {
    use firedrill_sources::SourceKind;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn write<S: Serializer>(kind: &SourceKind, serializer: S) -> Result<S::Ok, S::Error> {
        kind.without_secrets().serialize(serializer)
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SourceKind, D::Error> {
        SourceKind::deserialize(deserializer).map(|kind| kind.without_secrets())
    }
}

/// An objective that a source measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name; no other objective has it.
    pub name: String,
    /// Its source.
    pub source: String,
    /// The queries.
    pub asks: Asks,
    /// Its goal.
    pub goal: MetricGoal,
    /// The time between two samples.
    pub every: Span,
    /// The time after which the source has the value of a moment.
    pub lag: Span,
    /// The age from which data are stale.
    pub stale_after: Span,
    /// The length of time that each value in the source describes by itself, as values of a recording rule do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window: Span,
    /// The unit of its values, for people; empty where the scenario names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The phases in which it is judged.
    pub during: Vec<Phase>,
}

/// The queries of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// One value.
    One {
        /// The query; empty if the source has only one value.
        query: String,
    },
    /// Good events and all events, each as a rate per second.
    Ratio {
        /// The query of good events.
        good: String,
        /// The query of all events.
        total: String,
    },
}

/// The goal of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricGoal {
    /// Every sample is below this.
    Below(f64),
    /// Every sample is above this.
    Above(f64),
    /// Minimum share of good events.
    Good(Share),
    /// A counter increases by less than this.
    IncreaseBelow(f64),
}

impl Asks {
    /// Returns the queries.
    #[must_use]
    pub fn queries(&self) -> Vec<&str> {
        match self {
            Self::One { query } => vec![query],
            Self::Ratio { good, total } => vec![good, total],
        }
    }

    /// Returns the queries in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::One { query } if query.is_empty() => "its one value".to_owned(),
            Self::One { query } => query.clone(),
            Self::Ratio { good, total } => format!("({good}) of ({total})"),
        }
    }
}

impl MetricGoal {
    /// Describes the goal.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Below(bound) => format!("every sample below {bound}"),
            Self::Above(bound) => format!("every sample above {bound}"),
            Self::Good(share) => format!("at least {share} good"),
            Self::IncreaseBelow(bound) => format!("increases by less than {bound}"),
        }
    }
}

/// Returns the length of time that a value describes: `own`, which each value in the source describes by itself, and the longest
/// window of a query.
#[must_use]
pub fn window(asks: &Asks, own: Span, metrics: &dyn Metrics) -> Span {
    let longest = asks.queries().into_iter().map(|query| metrics.window_us(query)).max().unwrap_or(0);
    own + Span(Duration::from_micros(u64::try_from(longest).unwrap_or(0)))
}

impl Metric {
    /// Describes the goal, with the unit if there is one.
    #[must_use]
    pub fn wanted(&self) -> String {
        let words = self.goal.words();
        if self.unit.is_empty() { words } else { format!("{words} {}", self.unit) }
    }

    /// Returns the length of time that a value describes, by [`window`].
    #[must_use]
    pub fn window(&self, metrics: &dyn Metrics) -> Span {
        window(&self.asks, self.window, metrics)
    }

    /// Returns the age of the newest sample from which on the next one is overdue. A sample is taken each `every` and known after
    /// `lag`, its answer takes up to the source's time-out, and one `every` is left for delays.
    #[must_use]
    pub fn overdue_after(&self, timeout: Span) -> Span {
        self.lag + self.every + self.every + timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_plan_has_a_secret_of_a_source() {
        let kinds = [
            r#"{"prometheus":{"url":"http://p/?k=SECRET1","headers":{"X-Api-Key":"SECRET2"},"bearer":{"secret_env":"TOKEN"}}}"#,
            r#"{"json":{"url":"http://m/?key=SECRET1","headers":{"DD-API-KEY":"SECRET2"},"body":"password=SECRET3","points":"",
                "time":"/0","value":"/1"}}"#,
        ];
        for kind in kinds {
            let kind: SourceKind = serde_json::from_str(kind).expect("a kind");
            let source =
                Source { name: "s".to_owned(), kind, timeout: Span::secs(5), names: BTreeMap::new() };
            let written = serde_json::to_string(&source).expect("it prints");
            let shown = format!("{source:?} {:?}", source.kind.place());
            for text in [&written, &shown] {
                assert!(!text.contains("SECRET") && text.contains("***"), "{text}");
            }
            // A plan that was read is the same as one that was written.
            let read: Source = serde_json::from_str(&written).expect("it is read");
            assert_eq!(read.kind, source.kind.without_secrets());
        }
    }

    #[test]
    fn a_plan_of_an_earlier_version_has_no_metrics() {
        let guard: super::super::Guard = serde_json::from_str(r#"{"abort":[]}"#).expect("an old guard");
        assert_eq!(guard.abort_on, []);
        assert_eq!(
            serde_json::to_string(&guard).expect("it prints"),
            r#"{"abort":[]}"#,
            "digests stay as they were"
        );
    }
}
