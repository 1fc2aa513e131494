//! Objectives of alerts.

use firedrill_sources::AlertQuery;
use firedrill_wire::Span;
use serde::{Deserialize, Serialize};

use super::Plan;

/// An objective of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name; no other objective has it.
    pub name: String,
    /// Its source.
    pub source: String,
    /// The alert.
    pub query: AlertQuery,
    /// Its goal.
    pub goal: AlertGoal,
    /// The interval at which the source is asked.
    pub every: Span,
}

/// The goal of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertGoal {
    /// It fires within this time from the fault's start.
    DetectWithin(Span),
    /// It is over within this time from the heal.
    ResolveWithin(Span),
}

impl AlertGoal {
    /// Describes the goal.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::DetectWithin(within) => format!("fires within {within} from the fault's start"),
            Self::ResolveWithin(within) => format!("is over within {within} from the heal"),
        }
    }
}

impl Plan {
    /// Returns the alerts that are watched, each once: the first objective about the alert, and the shortest interval of all
    /// objectives about it.
    #[must_use]
    pub fn watched(&self) -> Vec<(&Alert, Span)> {
        let first = |(index, alert): &(usize, &Alert)| {
            !self.alerts.iter().take(*index).any(|other| other.same(alert))
        };
        let every = |alert: &Alert| {
            let same = self.alerts.iter().filter(|other| other.same(alert)).map(|other| other.every);
            same.min().unwrap_or(alert.every)
        };
        self.alerts.iter().enumerate().filter(first).map(|(_, alert)| (alert, every(alert))).collect()
    }
}

impl Alert {
    /// Whether two objectives are about the same alert, so that the same polls serve both.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        (&self.source, &self.query) == (&other.source, &other.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_about_one_alert_share_its_polls() {
        let alert = |name: &str, labels: &[(&str, &str)], every| Alert {
            name: name.to_owned(),
            source: "am".to_owned(),
            query: AlertQuery {
                name: "ZoneDown".to_owned(),
                labels: labels
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            },
            goal: AlertGoal::DetectWithin(Span::secs(60)),
            every: Span::secs(every),
        };
        let empty = r#"{"schema":1,"name":"","hypothesis":"","file":"","seed":1,"hosts":[],"probes":[],"objectives":[],"attacks":[],"lease":"15s"}"#;
        let mut plan: Plan = serde_json::from_str(empty).expect("a plan");
        plan.alerts = vec![alert("told", &[], 5), alert("zone", &[("zone", "a")], 5), alert("over", &[], 2)];
        let all: Vec<(&str, Span)> =
            plan.watched().into_iter().map(|(alert, every)| (alert.name.as_str(), every)).collect();
        assert_eq!(all, [("told", Span::secs(2)), ("zone", Span::secs(5))]);
    }
}
