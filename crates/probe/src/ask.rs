//! A probe is made of the parameters of its kind, then asked again and again.

use firedrill_wire::probe::{ProbeSpec, Refusal};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::{
    outcome::{Failure, Phases},
    reads::Reads,
    resolve::Resolver,
    writes::Reader,
};

/// The parameters of a kind, as the prober uses them. They have been checked: [`firedrill_wire::probe::Kind::invalid`] found nothing.
pub(crate) trait Make {
    /// Returns all that cannot be read on this machine: secrets and authorities. Sends nothing.
    fn unreadable(&self, spec: &ProbeSpec, reads: &dyn Reads) -> Vec<Refusal>;

    /// Makes the probe. Reads secrets and authorities, and sends nothing.
    ///
    /// # Errors
    /// All that cannot be had on this machine.
    fn make(&self, spec: &ProbeSpec, reads: &dyn Reads) -> Result<Box<dyn Ask>, Vec<Refusal>>;
}

/// One request that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// The time at which it is due, by [`boot_us`](crate::clock::boot_us).
    pub(crate) us: u64,
}

/// A probe that can be asked.
pub(crate) trait Ask: Send + Sync {
    /// Asks once. Whoever calls drops it when the time is up.
    fn ask(&self, due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>>;

    /// Returns the comparison of what it wrote with what is there; `None` for a probe that writes no records.
    fn reader(&self) -> Option<Reader> {
        None
    }
}

/// Returns the destination of a probe, which its kind names by this host and port.
///
/// # Errors
/// The fleet names the host and gives it no address.
pub(crate) fn resolver(spec: &ProbeSpec, host: &str, port: u16) -> Result<Resolver, Vec<Refusal>> {
    Resolver::new(host, port, &spec.names).ok_or_else(|| vec![no_address(spec, host)])
}

/// Returns the refusal of a name that comes without an address.
fn no_address(spec: &ProbeSpec, host: &str) -> Refusal {
    let what = format!("the fleet names `{host}` and gives it no address");
    Refusal::new(
        spec.kind.about().reach.field,
        what,
        "no address",
        "give it one, or take it from the fleet's names",
    )
}
