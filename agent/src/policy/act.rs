//! What may be asked of a policy: everything that harms, measures from here, or lets harm in again.

use firedrill_probe::{KINDS as PROBES, kind, touches};
use firedrill_wire::{Fault, Span, Touches, exchange::Exchange, probe::ProbeSpec};

/// What policies call the release of a halt.
const RELEASE: &str = "release";

/// One thing that somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// To inject a fault.
    Fault {
        /// The fault.
        fault: &'a Fault,
        /// How long it is to stay.
        hold: Span,
    },
    /// To measure from this host.
    Probe(&'a ProbeSpec),
    /// To try out a path with a few packets.
    Exchange(&'a Exchange),
    /// To end a halt.
    Release,
}

impl Act<'_> {
    /// The name that rules call it by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fault { fault, .. } => fault.kind(),
            Self::Probe(probe) => kind(&probe.kind),
            Self::Exchange(_) => Exchange::KIND,
            Self::Release => RELEASE,
        }
    }

    /// All names that rules may use.
    pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
        Fault::KINDS.into_iter().chain(PROBES).chain([Exchange::KIND, RELEASE])
    }

    /// The names by which a rule may mean it: whoever may do a fault on traffic may try its paths out.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let tried = |kind: &&str| kind.starts_with("net-") || ["host-isolate", "region-kill"].contains(kind);
        match self {
            Self::Exchange(_) => {
                [Exchange::KIND].into_iter().chain(Fault::KINDS.into_iter().filter(tried)).collect()
            }
            one => vec![one.kind()],
        }
    }

    /// What it reads, runs, changes and reaches.
    pub(super) fn touches(&self) -> Touches {
        match self {
            Self::Fault { fault, .. } => fault.touches(),
            Self::Probe(probe) => touches(probe),
            Self::Exchange(exchange) => exchange.touches(),
            // It lets in faults on anything, each of which is asked about again.
            Self::Release => Touches { everything: true, ..Touches::default() },
        }
    }
}
