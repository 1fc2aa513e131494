//! Clients of stores for the prober: PostgreSQL, MySQL and MariaDB, Redis, asked once for each request; PostgreSQL and Redis also as stores of
//! numbered records.
//!
//! A program hands [`Clients`] to the prober; one that does not is smaller. Connections are opened by the prober's own means, so that names are
//! looked up and times are counted as for all other kinds. No client connects anew, tries again or follows a redirection by itself: that
//! would hide what is measured. The clients never judge, and never show a server's text.

mod mysql;
mod postgres;
mod redis;
mod servers;

use std::sync::Arc;

use firedrill_probe::{RecordStore, StoreProbe, Stores, Terms, client::Ask, writes::store::MakeStore};
use firedrill_wire::probe::Refusal;

use crate::{mysql::Mysql, postgres::Postgres, redis::Redis};

/// The clients of this crate.
#[derive(Clone, Copy, Debug)]
pub struct Clients;

impl Stores for Clients {
    fn client(&self, probe: StoreProbe<'_>, terms: &Terms<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        Ok(match probe {
            StoreProbe::Postgres(probe) => Box::new(Postgres::new(probe, terms)?),
            StoreProbe::Mysql(probe) => Box::new(Mysql::new(probe, terms)?),
            StoreProbe::Redis(probe) => Box::new(Redis::new(probe, terms)?),
        })
    }

    fn writer(&self, store: RecordStore<'_>, terms: &Terms<'_>) -> Result<MakeStore, Vec<Refusal>> {
        Ok(match store {
            RecordStore::Postgres(probe) => {
                let one = Postgres::new(probe, terms)?;
                Arc::new(move || Box::new(one.for_writes()))
            }
            RecordStore::Redis(probe) => {
                let one = Redis::new(probe, terms)?;
                Arc::new(move || Box::new(one.for_writes()))
            }
        })
    }
}
