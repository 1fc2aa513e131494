//! The acts that a policy decides about: faults, measurements from this host, logs that are read, and the release of a halt.

use firedrill_wire::{
    Fault, Span, Touches,
    exchange::Exchange,
    logs::LogSpec,
    probe::{ProbeKind, ProbeSpec},
};

/// The name in policies for the release of a halt.
const RELEASE: &str = "release";

/// One act.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// To inject a fault.
    Fault {
        /// The fault.
        fault: &'a Fault,
        /// The length of its hold.
        hold: Span,
    },
    /// To measure from this host.
    Probe(&'a ProbeSpec),
    /// To try out a path with a few packets.
    Exchange(&'a Exchange),
    /// To read a log.
    Log(&'a LogSpec),
    /// To end a halt.
    Release,
}

impl Act<'_> {
    /// Returns the name of its kind in rules.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fault { fault, .. } => fault.kind(),
            Self::Probe(probe) => probe.kind.policy_name(),
            Self::Exchange(_) => Exchange::KIND,
            Self::Log(_) => LogSpec::KIND,
            Self::Release => RELEASE,
        }
    }

    /// Returns all names of kinds that rules may use.
    pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
        Fault::KINDS.into_iter().chain(ProbeKind::POLICY_NAMES).chain([
            Exchange::KIND,
            LogSpec::KIND,
            RELEASE,
        ])
    }

    /// Returns the names by which a rule may allow it. An exchange has several: a rule that allows a fault on traffic also allows to try
    /// out its paths.
    pub(super) fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Exchange(_) => [Exchange::KIND].into_iter().chain(Fault::on_paths()).collect(),
            act => vec![act.kind()],
        }
    }

    /// Returns the things that it reads, runs, changes and reaches.
    pub(super) fn touches(&self) -> Touches {
        match self {
            Self::Fault { fault, .. } => fault.touches(),
            Self::Probe(probe) => probe.touches(),
            Self::Exchange(exchange) => exchange.touches(),
            Self::Log(log) => log.touches(),
            // The release makes faults on anything possible again. The policy still decides about each of them.
            Self::Release => Touches { everything: true, ..Touches::default() },
        }
    }
}
