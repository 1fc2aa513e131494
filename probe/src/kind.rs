//! The kinds of probes: one file a kind, one variant, one line in each match.

mod http;
mod tcp;

use firedrill_wire::probe::{ProbeKind, ProbeSpec};
use tokio::time::Instant;

use crate::{
    ProbeError,
    outcome::{Failure, Phases},
};

/// A probe that can be asked.
pub(crate) enum Kind {
    Http(Box<http::Http>),
    Tcp(tcp::Tcp),
}

impl Kind {
    /// Refuses what cannot be asked, without reading any file.
    pub(crate) fn check(spec: &ProbeSpec) -> Result<(), ProbeError> {
        match &spec.kind {
            ProbeKind::Http(probe) => http::check(spec, probe),
            ProbeKind::Tcp(probe) => tcp::Tcp::new(spec, probe).map(drop),
        }
    }

    /// Refuses what cannot be asked here: reads secrets and authorities too.
    pub(crate) fn new(spec: &ProbeSpec) -> Result<Self, ProbeError> {
        Ok(match &spec.kind {
            ProbeKind::Http(probe) => Self::Http(Box::new(http::Http::new(spec, probe)?)),
            ProbeKind::Tcp(probe) => Self::Tcp(tcp::Tcp::new(spec, probe)?),
        })
    }

    /// Asks once. Whoever calls drops it when the time is up.
    pub(crate) async fn ask(&self, until: Instant) -> Result<Phases, Failure> {
        match self {
            Self::Http(http) => http.ask(until).await,
            Self::Tcp(tcp) => tcp.ask(until).await,
        }
    }
}

/// A refusal of one of a probe's texts.
fn refuse(spec: &ProbeSpec, what: &'static str, text: &str, why: impl Into<String>) -> ProbeError {
    ProbeError::Text { probe: spec.name.clone(), what, text: text.to_owned(), why: why.into() }
}
