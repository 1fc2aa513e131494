//! Probes of stores. Their clients are in a crate of their own, which the program hands in, because a small agent is built without it.

use firedrill_wire::probe::{Field, MysqlProbe, PostgresProbe, ProbeSpec, RedisProbe, Refusal};

use crate::{answer::Ask, reads::Reads, writes::store::MakeStore};

/// The parameters of a probe of a store.
#[derive(Clone, Copy, Debug)]
pub enum StoreProbe<'p> {
    /// Of PostgreSQL.
    Postgres(&'p PostgresProbe),
    /// Of MySQL or MariaDB.
    Mysql(&'p MysqlProbe),
    /// Of Redis.
    Redis(&'p RedisProbe),
}

/// The parameters of a store that takes numbered records.
#[derive(Clone, Copy, Debug)]
pub enum RecordStore<'p> {
    /// PostgreSQL.
    Postgres(&'p PostgresProbe),
    /// Redis.
    Redis(&'p RedisProbe),
}

/// The conditions under which a store is asked.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it reads secrets")]
pub struct Terms<'w> {
    /// The probe as a whole: its rate, its connections, and the names that the fleet knows.
    pub spec: &'w ProbeSpec,
    /// Reads secrets and authorities.
    pub reads: &'w dyn Reads,
}

/// Clients of stores. Making one reads secrets and authorities, and sends nothing.
pub trait Stores: Send + Sync {
    /// Makes the client of a probe.
    ///
    /// # Errors
    /// All that cannot be had in this program or on this machine.
    fn client(&self, probe: StoreProbe<'_>, terms: &Terms<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>>;

    /// Makes the maker of a store that takes numbered records. The probe's statement or command is not sent.
    ///
    /// # Errors
    /// The same as those of [`Self::client`].
    fn writer(&self, store: RecordStore<'_>, terms: &Terms<'_>) -> Result<MakeStore, Vec<Refusal>>;
}

/// A program that was built without clients of stores.
#[derive(Clone, Copy, Debug)]
pub struct NoStores;

impl NoStores {
    fn refusal(probe: StoreProbe<'_>) -> Vec<Refusal> {
        let store = match probe {
            StoreProbe::Postgres(_) => "postgres",
            StoreProbe::Mysql(_) => "mysql",
            StoreProbe::Redis(_) => "redis",
        };
        let what =
            format!("this program was built without clients of stores, so it cannot run a probe of {store}");
        let help = "run the probe on the coordinator, or build the host's agent with them: cargo build --package firedrill-agent --features stores";
        vec![Refusal::new(Field::request(&["address"]), what, "not in this program", help)]
    }
}

impl Stores for NoStores {
    fn client(&self, probe: StoreProbe<'_>, _terms: &Terms<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        Err(Self::refusal(probe))
    }

    fn writer(&self, store: RecordStore<'_>, _terms: &Terms<'_>) -> Result<MakeStore, Vec<Refusal>> {
        Err(Self::refusal(match store {
            RecordStore::Postgres(probe) => StoreProbe::Postgres(probe),
            RecordStore::Redis(probe) => StoreProbe::Redis(probe),
        }))
    }
}
