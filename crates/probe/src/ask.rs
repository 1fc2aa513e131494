//! A probe is made of the parameters of its kind, then asked again and again.

use firedrill_wire::probe::{ProbeSpec, Refusal};

pub(crate) use crate::answer::Ask;
use crate::{kind::stores::Stores, reads::Reads, resolve::Resolver};

/// The parameters of a kind, as the prober uses them. They have been checked: [`firedrill_wire::probe::Kind::invalid`] found nothing.
pub(crate) trait Make {
    /// Returns all that cannot be read on this machine: secrets and authorities. Sends nothing.
    fn unreadable(&self, spec: &ProbeSpec, reads: &dyn Reads) -> Vec<Refusal>;

    /// Makes the probe. Reads secrets and authorities, and sends nothing.
    ///
    /// # Errors
    /// All that cannot be had on this machine.
    fn make(&self, spec: &ProbeSpec, reads: &dyn Reads) -> Result<Box<dyn Ask>, Vec<Refusal>>;

    /// As [`Self::unreadable`], in a program with these clients of stores. Kinds that the prober speaks itself leave it as it is.
    fn unreadable_with(&self, spec: &ProbeSpec, reads: &dyn Reads, _stores: &dyn Stores) -> Vec<Refusal> {
        self.unreadable(spec, reads)
    }

    /// As [`Self::make`], in a program with these clients of stores. Kinds that the prober speaks itself leave it as it is.
    ///
    /// # Errors
    /// As [`Self::make`]; also if the program lacks the client.
    fn make_with(
        &self,
        spec: &ProbeSpec,
        reads: &dyn Reads,
        _stores: &dyn Stores,
    ) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        self.make(spec, reads)
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
