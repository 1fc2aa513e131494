//! The kinds of probes: one file a kind, one variant, one line in each match.

mod http;
mod tcp;

use firedrill_wire::probe::{ProbeKind, ProbeSpec};
use tokio::time::Instant;

use crate::{
    outcome::{Failure, Phases},
    reads::Reads,
    refusal::{Field, Refusal},
    resolve::Resolver,
};

/// A probe that can be asked.
pub(crate) enum Kind {
    Http(Box<http::Http>),
    Tcp(tcp::Tcp),
}

impl Kind {
    /// All that cannot be asked; reads no file.
    pub(crate) fn refusals(spec: &ProbeSpec) -> Vec<Refusal> {
        match &spec.kind {
            ProbeKind::Http(probe) => http::refusals(spec, probe),
            ProbeKind::Tcp(probe) => tcp::Tcp::new(spec, probe).err().unwrap_or_default(),
        }
    }

    /// All that cannot be read here: secrets and authorities.
    pub(crate) fn unreadable(spec: &ProbeSpec, reads: &dyn Reads) -> Vec<Refusal> {
        match &spec.kind {
            ProbeKind::Http(probe) => http::unreadable(spec, probe, reads),
            ProbeKind::Tcp(_) => Vec::new(),
        }
    }

    /// Refuses what cannot be asked here: reads secrets and authorities too.
    pub(crate) fn new(spec: &ProbeSpec, reads: &dyn Reads) -> Result<Self, Vec<Refusal>> {
        Ok(match &spec.kind {
            ProbeKind::Http(probe) => Self::Http(Box::new(http::Http::new(spec, probe, reads)?)),
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

/// The host, without brackets, and the port that a probe connects to.
pub(crate) fn destination(kind: &ProbeKind) -> Option<(String, u16)> {
    match kind {
        ProbeKind::Http(probe) => http::destination(probe),
        ProbeKind::Tcp(probe) => tcp::destination(probe),
    }
}

/// The destination of a probe; `field` is the value that names it.
fn resolver(spec: &ProbeSpec, field: Field, host: &str, port: u16) -> Result<Resolver, Refusal> {
    Resolver::new(host, port, &spec.names).ok_or_else(|| {
        let what = format!("the fleet names `{host}` and gives it no address");
        Refusal::new(field, what, "no address", "give it one, or take it from the fleet's names")
    })
}
