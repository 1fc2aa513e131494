//! Probes of stores. Their clients are in a crate of their own, which the program hands in, because a small agent is built without it.

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_wire::probe::{Connection, PostgresProbe, ProbeSpec, RedisProbe, Refusal};

use crate::{answer::Ask, reads::Reads, writes::store::Store};

/// The parameters of a probe of a store.
#[derive(Clone, Copy, Debug)]
pub enum StoreProbe<'p> {
    /// Of PostgreSQL.
    Postgres(&'p PostgresProbe),
    /// Of Redis.
    Redis(&'p RedisProbe),
}

/// The conditions under which a store is asked.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it reads secrets")]
pub struct Terms<'w> {
    /// Addresses of names that the fleet knows; other names are looked up.
    pub names: &'w BTreeMap<String, Vec<IpAddr>>,
    /// Requests a second.
    pub rate: f64,
    /// Whether connections are used again.
    pub connection: Connection,
    /// Reads secrets and authorities.
    pub reads: &'w dyn Reads,
}

impl<'w> Terms<'w> {
    pub(super) fn of(spec: &'w ProbeSpec, reads: &'w dyn Reads) -> Self {
        let ProbeSpec { names, rate, connection, .. } = spec;
        Self { names, rate: *rate, connection: *connection, reads }
    }
}

/// Clients of stores. Making one reads secrets and authorities, and sends nothing.
pub trait Stores: Send + Sync {
    /// Makes the client of a probe.
    ///
    /// # Errors
    /// All that cannot be had in this program or on this machine.
    fn client(&self, probe: StoreProbe<'_>, terms: &Terms<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>>;

    /// Makes the client of a store that takes numbered records. The probe's statement or command is not used.
    ///
    /// # Errors
    /// All that cannot be had in this program or on this machine.
    fn writer(&self, probe: StoreProbe<'_>, terms: &Terms<'_>) -> Result<Box<dyn Store>, Vec<Refusal>>;
}

/// A program that was built without clients of stores.
#[derive(Clone, Copy, Debug)]
pub struct NoStores;

impl NoStores {
    fn refusal(probe: StoreProbe<'_>) -> Vec<Refusal> {
        let (kind, field) = match probe {
            StoreProbe::Postgres(_) => ("postgres", "address"),
            StoreProbe::Redis(_) => ("redis", "address"),
        };
        let what = format!(
            "this program was built without clients of stores, so it cannot run a probe of the kind {kind}"
        );
        let help = "run the probe on the coordinator, or build the host's agent with them: cargo build --package firedrill-agent --features stores";
        vec![Refusal::new(firedrill_wire::probe::Field::request(&[field]), what, "not in this program", help)]
    }
}

impl Stores for NoStores {
    fn client(&self, probe: StoreProbe<'_>, _terms: &Terms<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        Err(Self::refusal(probe))
    }

    fn writer(&self, probe: StoreProbe<'_>, _terms: &Terms<'_>) -> Result<Box<dyn Store>, Vec<Refusal>> {
        Err(Self::refusal(probe))
    }
}
