//! A probe is made of the parameters of its kind, then asked again and again.

use firedrill_wire::probe::{ProbeSpec, Refusal};

pub(crate) use crate::answer::{Ask, Due};
use crate::{kind::stores::Stores, reads::Reads, resolve::Resolver};

/// The means that the program gives to the kinds of probes.
#[derive(Clone, Copy)]
pub(crate) struct Means<'m> {
    /// Reads secrets and authorities.
    pub(crate) reads: &'m dyn Reads,
    /// Has the clients of stores.
    pub(crate) stores: &'m dyn Stores,
}

/// The parameters of a kind, as the prober uses them. They have been checked: [`firedrill_wire::probe::Kind::invalid`] found nothing.
pub(crate) trait Make {
    /// Makes the probe. Reads secrets and authorities, and sends nothing.
    ///
    /// # Errors
    /// All that cannot be had on this machine or in this program, or only the first of it.
    fn make(&self, spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>>;

    /// Returns all that cannot be had on this machine or in this program. A kind that may lack more than one thing implements this itself.
    fn unreadable(&self, spec: &ProbeSpec, means: Means<'_>) -> Vec<Refusal> {
        self.make(spec, means).err().unwrap_or_default()
    }
}

/// Returns the destination of a probe. `host` and `port` are those that its kind names.
///
/// # Errors
/// The fleet names the host and gives it no address.
pub fn resolver(spec: &ProbeSpec, host: &str, port: u16) -> Result<Resolver, Vec<Refusal>> {
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
