//! Systems that teams already have, which the coordinator asks by HTTP or listens to. A kind is described beside its parameters ([`Kind`]);
//! one list ([`source_kinds!`]) makes everything that goes over all kinds.
//!
//! Makes questions and reads answers. Never judges, and knows no runs: times are those of the source's own clock.

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
/// An entry is the kind's doc comment, its variant, which is also the type of its parameters, and its key in a scenario: as a name of
/// Rust and as it stands in files. Everything else is in the kind's descriptor ([`Kind`], [`Form`]).
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
            /// All kinds' names, as they stand in files.
            pub const KINDS: [&'static str; [$($name),*].len()] = [$($name),*];

            /// A short table of each kind, in the order of the names.
            pub const EXAMPLES: [&'static str; Self::KINDS.len()] = [$(<$params as Form>::EXAMPLE),*];

            /// The kind's name as it stands in files, such as `prometheus`.
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

            /// Returns its parameters as a [`Kind`].
            #[must_use]
            pub const fn as_kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$kind(kind) => kind,)*
                }
            }

            /// The same without what may be a secret.
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
    /// Returns the way that its answers come.
    #[must_use]
    pub fn way(&self) -> Way<'_> {
        self.as_kind().way()
    }

    /// Returns its request, in which a question is filled in; `None` if it is listened for.
    #[must_use]
    pub fn request(&self) -> Option<HttpProbe> {
        match self.way() {
            Way::Asked(request) => Some(*request),
            Way::Listens(_) => None,
        }
    }

    /// Returns what is listened for; `None` if it is asked.
    #[must_use]
    pub fn listens(&self) -> Option<&dyn Listens> {
        match self.way() {
            Way::Asked(_) => None,
            Way::Listens(listens) => Some(listens),
        }
    }

    /// Returns its address, in words.
    #[must_use]
    pub fn place(&self) -> String {
        match self.way() {
            Way::Asked(request) => ProbeKind::Http(*request).about().asks,
            Way::Listens(listens) => listens.words(),
        }
    }

    /// Returns its functions for metrics; `None` if it has no metrics.
    #[must_use]
    pub fn metrics(&self) -> Option<&dyn Metrics> {
        self.as_kind().metrics()
    }

    /// Returns its functions for alerts; `None` if it has no alerts.
    #[must_use]
    pub fn alerts(&self) -> Option<&dyn Alerts> {
        self.as_kind().alerts()
    }

    /// Returns its request as that of a probe, for what is told of all requests: what is hidden, what is read, whom it reaches. `None` if it
    /// is listened for.
    #[must_use]
    pub fn probe(&self) -> Option<ProbeKind> {
        self.request().map(ProbeKind::Http)
    }

    /// Returns all errors in its parameters that need no file to be found.
    #[must_use]
    pub fn invalid(&self) -> Vec<Refusal> {
        self.as_kind().invalid()
    }

    /// Returns what is valid and seldom intended.
    #[must_use]
    pub fn doubts(&self) -> Vec<Refusal> {
        self.as_kind().doubts()
    }

    /// Returns the keys of a kind whose values may be secrets; none for a name that no kind has. They are those of a request.
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

    /// Sources whose keys are read by the kind itself, each with the environment variables that hold them.
    const OWN_KEYS: [&str; 3] = [
        r#"{"pagerduty":{"token":{"secret_env":"PD"}}}"#,
        r#"{"opsgenie":{"token":{"secret_env":"OG"}}}"#,
        r#"{"datadog":{"api_key":{"secret_env":"A"},"app_key":{"secret_env":"B"}}}"#,
    ];

    #[test]
    fn a_key_that_is_named_is_nothing_in_clear() {
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
        // Packets of StatsD have no address to ask.
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
