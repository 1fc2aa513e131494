//! `[probes.X]`: a probe as a scenario has it: the request, the rate and the vantages. Reads the keys and checks no value; the
//! prober decides which values it can run.

use firedrill_wire::{
    Span,
    probe::{Arrivals, Connection, ProbeKind, ProbeSpec},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::Spot;
use crate::plan::model::COORDINATOR;

/// Default time-out of a request.
const TIMEOUT: Span = Span::secs(1);

/// Returns a request that a file gives, with its place in the file.
pub(super) fn request<P: Clone>(
    given: Option<&Spot<P>>,
    kind: impl Fn(P) -> ProbeKind,
) -> Option<Spot<ProbeKind>> {
    given.map(|given| Spot { value: kind(given.value.clone()), at: given.at.clone() })
}

/// Generates the table of a probe, with one key for each kind of request.
macro_rules! table {
    ($($(#[$about:meta])* $kind:ident($params:ident): $key:ident, $name:literal;)*) => {
        /// An open-loop measurement at a fixed rate: each request is sent when it is due, without waiting for earlier ones,
        /// so that a stalled system cannot hide its stall. Exactly one request is needed, by the key of its kind.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Probe {
            $(
                $(#[$about])*
                #[serde(default, rename = $name)]
                pub $key: Option<Spot<firedrill_wire::probe::$params>>,
            )*
            /// Requests a second at each vantage.
            #[schemars(range(min = 0.1, max = 20_000.0))]
            pub rate: Spot<f64>,
            /// `poisson`: at random moments, like real users. `even`: at equal intervals. Such requests can keep in step with a
            /// balancer or another probe; then they measure only one part of the system.
            #[serde(default)]
            pub arrivals: Arrivals,
            /// A request that takes longer than this, counted from when it was sent, is bad.
            #[serde(default = "Probe::default_timeout")]
            #[schemars(extend("default" = TIMEOUT))]
            pub timeout: Spot<Span>,
            /// `new` opens a connection for every request; `reuse` keeps them, which can hide an outage.
            #[serde(default)]
            pub connection: Connection,
            /// The vantages: `coordinator`, names of targets, names of hosts.
            #[serde(default = "Probe::default_vantages")]
            #[schemars(extend("default" = [COORDINATOR]))]
            pub from: Vec<Spot<String>>,
        }

        impl Probe {
            /// Returns all requests that the file gives, each with its place in the file. A valid probe has exactly one.
            #[must_use]
            pub fn requests(&self) -> Vec<Spot<ProbeKind>> {
                [$(request(self.$key.as_ref(), ProbeKind::$kind),)*].into_iter().flatten().collect()
            }
        }
    };
}

firedrill_wire::probe_kinds!(table);

impl Probe {
    fn default_timeout() -> Spot<Span> {
        Spot { value: TIMEOUT, at: 0..0 }
    }

    fn default_vantages() -> Vec<Spot<String>> {
        vec![Spot { value: COORDINATOR.to_owned(), at: 0..0 }]
    }

    /// Returns the request; `None` if the file gives none or several.
    #[must_use]
    pub fn kind(&self) -> Option<ProbeKind> {
        let mut all = self.requests().into_iter();
        all.next().filter(|_| all.next().is_none()).map(|request| request.value)
    }

    /// Returns the probe as a vantage gets it, with this name and this request, for checks. It has no key of random moments and
    /// no addresses of names, which a run adds for each vantage.
    #[must_use]
    pub fn spec(&self, name: &str, kind: ProbeKind) -> ProbeSpec {
        ProbeSpec {
            name: name.to_owned(),
            kind,
            rate: self.rate.value,
            arrivals: self.arrivals,
            key: 0,
            timeout: self.timeout.value,
            connection: self.connection,
            names: std::collections::BTreeMap::new(),
        }
    }
}
