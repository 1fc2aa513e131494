//! Monitoring systems that teams already have, which the coordinator asks by HTTP or listens to. A kind is described beside its
//! parameters ([`Kind`]). Code for all kinds is generated from one list ([`source_kinds!`]).
//!
//! This crate makes questions and reads answers. It does not judge values, and knows no runs: times are those of the source's clock.

pub mod alert;
mod ask;
pub mod clock;
mod excerpt;
mod kind;
mod points;
mod statsd;

use firedrill_wire::probe::{Form as _, Hides, HttpProbe, ProbeKind, Refusal};
use serde::{Deserialize, Serialize};

pub use alert::{AlertQuery, AlertSeen, Alerts};
pub use ask::{Asked, Asker, NoAnswer};
pub use kind::{
    Form, Kind, Listens, Metrics, Missing, Question, Questions, Way, Written,
    alertmanager::Alertmanager,
    datadog::Datadog,
    grafana::Grafana,
    json::{Json, Stamp, Unit},
    opsgenie::Opsgenie,
    pagerduty::PagerDuty,
    prometheus::{Prometheus, selectors},
    statsd::{SignedGauges, Statsd},
};
pub use points::{Behind, Lacks, Point, merged};
pub use statsd::{Counts, Listener};

/// The list of the kinds of sources, given to a macro.
///
/// An entry is the kind's doc comment, its variant with the type of its parameters, and its key in a scenario: as an identifier of
/// Rust and as files have it. Everything else is in the kind's descriptor ([`Kind`], [`Form`]).
#[macro_export]
macro_rules! source_kinds {
    ($then:ident) => {
        $then! {
            /// Prometheus, or anything that answers its HTTP API (Thanos, Mimir, VictoriaMetrics).
            Prometheus(Prometheus): prometheus, "prometheus";
            /// Anything else that answers HTTP with JSON.
            Json(Json): json, "json";
            /// Prometheus' Alertmanager.
            Alertmanager(Alertmanager): alertmanager, "alertmanager";
            /// Alerts that Grafana evaluates.
            Grafana(Grafana): grafana, "grafana";
            /// Incidents of PagerDuty.
            PagerDuty(PagerDuty): pagerduty, "pagerduty";
            /// Alerts of Opsgenie.
            Opsgenie(Opsgenie): opsgenie, "opsgenie";
            /// Monitors of Datadog.
            Datadog(Datadog): datadog, "datadog";
            /// Packets of StatsD and DogStatsD, which the coordinator listens for.
            Statsd(Statsd): statsd, "statsd";
        }
    };
}

/// Generates the enum, the names, and every match over all kinds from the list.
macro_rules! enumerate {
    ($($(#[$about:meta])* $kind:ident($params:ident): $key:ident, $name:literal;)*) => {
        /// A source, by its kind.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum SourceKind {
            $($(#[$about])* #[serde(rename = $name)] $kind($params),)*
        }

        impl SourceKind {
            /// The names of all kinds, as files have them.
            pub const KINDS: [&'static str; [$($name),*].len()] = [$($name),*];

            /// An example of each kind's table of parameters, in the order of the names.
            pub const EXAMPLES: [&'static str; Self::KINDS.len()] = [$(<$params as Form>::EXAMPLE),*];

            /// Returns the kind's name as files have it, such as `prometheus`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            /// Whether a kind has that name.
            #[must_use]
            pub fn is_kind(name: &str) -> bool {
                Self::KINDS.contains(&name)
            }

            /// Returns the source's parameters as a [`Kind`].
            #[must_use]
            pub const fn as_kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$kind(kind) => kind,)*
                }
            }

            /// Returns the source without texts that may be secrets.
            #[must_use]
            pub fn without_secrets(&self) -> Self {
                match self {
                    $(Self::$kind(kind) => Self::$kind(kind.without_secrets()),)*
                }
            }
        }
    };
}

source_kinds!(enumerate);

impl SourceKind {
    /// Returns how the source's answers come.
    #[must_use]
    pub fn way(&self) -> Way<'_> {
        self.as_kind().way()
    }

    /// Returns the source's request without a question; `None` if the coordinator listens to the source.
    #[must_use]
    pub fn request(&self) -> Option<HttpProbe> {
        match self.way() {
            Way::Asked(request) => Some(*request),
            Way::Listens(_) => None,
        }
    }

    /// Returns the listening side of the source; `None` if the coordinator asks the source.
    #[must_use]
    pub fn listens(&self) -> Option<&dyn Listens> {
        match self.way() {
            Way::Asked(_) => None,
            Way::Listens(listens) => Some(listens),
        }
    }

    /// Returns the source's address, as people are shown it.
    #[must_use]
    pub fn place(&self) -> String {
        match self.way() {
            Way::Asked(request) => ProbeKind::Http(*request).about().asks,
            Way::Listens(listens) => listens.words(),
        }
    }

    /// Returns the source's functions for metrics; `None` if it has no metrics.
    #[must_use]
    pub fn metrics(&self) -> Option<&dyn Metrics> {
        self.as_kind().metrics()
    }

    /// Returns the source's functions for alerts; `None` if it has no alerts.
    #[must_use]
    pub fn alerts(&self) -> Option<&dyn Alerts> {
        self.as_kind().alerts()
    }

    /// Returns the source's request as a probe, which says of any request what it hides, which files it reads and whom it reaches. `None`
    /// if the coordinator listens to the source.
    #[must_use]
    pub fn probe(&self) -> Option<ProbeKind> {
        self.request().map(ProbeKind::Http)
    }

    /// Returns the errors in the source's parameters, as far as they show without reading any file.
    #[must_use]
    pub fn invalid(&self) -> Vec<Refusal> {
        self.as_kind().invalid()
    }

    /// Returns warnings about parameters that are valid, but seldom intended.
    #[must_use]
    pub fn doubts(&self) -> Vec<Refusal> {
        self.as_kind().doubts()
    }

    /// Returns the keys of a kind whose values may be secrets, which are those of a request; none for a name that no kind has.
    #[must_use]
    pub fn hides(name: &str) -> &'static [(&'static str, Hides)] {
        if Self::is_kind(name) { HttpProbe::HIDES } else { &[] }
    }

    /// Returns the keys of a kind whose texts are sent byte by byte; none for a name that no kind has.
    #[must_use]
    pub fn as_it_is(name: &str) -> &'static [&'static str] {
        if Self::is_kind(name) { HttpProbe::AS_IT_IS } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources with keys of their own for secrets, which are given by names of environment variables.
    const OWN_KEYS: [&str; 3] = [
        r#"{"pagerduty":{"token":{"secret_env":"PD"}}}"#,
        r#"{"opsgenie":{"token":{"secret_env":"OG"}}}"#,
        r#"{"datadog":{"api_key":{"secret_env":"A"},"app_key":{"secret_env":"B"}}}"#,
    ];

    #[test]
    fn a_secret_that_is_given_by_name_is_not_in_clear() {
        for text in OWN_KEYS {
            let kind: SourceKind = serde_json::from_str(text).expect("a source");
            assert_eq!(kind.probe().expect("it is asked").about().clear, [], "{text}");
            assert!(
                kind.invalid().is_empty() && kind.alerts().is_some() && kind.metrics().is_none(),
                "{text}"
            );
            assert_eq!(
                serde_json::from_str::<SourceKind>(&serde_json::to_string(&kind).expect("JSON"))
                    .expect("again"),
                kind
            );
        }
    }

    #[test]
    fn a_url_with_a_password_is_shown_without_it() {
        // A StatsD source has no URL.
        for name in SourceKind::KINDS.into_iter().filter(|name| *name != "statsd") {
            let mut params = serde_json::json!({ "url": "https://u:s3cret-pass@host/x" });
            for (key, value) in [("token", "T"), ("api_key", "A"), ("app_key", "B")] {
                let wanted = matches!(
                    (name, key),
                    ("pagerduty" | "opsgenie", "token") | ("datadog", "api_key" | "app_key")
                );
                if wanted {
                    params[key] = serde_json::json!({ "secret_env": value });
                }
            }
            if name == "json" {
                for key in ["points", "time", "value"] {
                    params[key] = "/x".into();
                }
            }
            let kind: SourceKind =
                serde_json::from_value(serde_json::json!({ name: params })).expect("a source");
            let shown = format!("{kind:?} {}", serde_json::to_string(&kind.without_secrets()).expect("JSON"));
            assert!(!shown.contains("s3cret-pass"), "{shown}");
        }
    }
}
