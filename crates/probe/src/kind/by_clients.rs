//! Kinds that the clients ask which the program handed in.

use firedrill_wire::probe::{PostgresProbe, ProbeSpec, RedisProbe, Refusal};

use super::stores::{NoStores, StoreProbe, Stores, Terms};
use crate::{
    ask::{Ask, Make},
    reads::Reads,
};

/// Implements [`Make`] by the clients that the program handed in.
macro_rules! by_clients {
    ($($kind:ident($params:ident);)*) => {
        $(impl Make for $params {
            fn unreadable(&self, spec: &ProbeSpec, reads: &dyn Reads) -> Vec<Refusal> {
                self.unreadable_with(spec, reads, &NoStores)
            }

            fn make(&self, spec: &ProbeSpec, reads: &dyn Reads) -> Result<Box<dyn Ask>, Vec<Refusal>> {
                self.make_with(spec, reads, &NoStores)
            }

            fn unreadable_with(&self, spec: &ProbeSpec, reads: &dyn Reads, stores: &dyn Stores) -> Vec<Refusal> {
                self.make_with(spec, reads, stores).err().unwrap_or_default()
            }

            fn make_with(
                &self,
                spec: &ProbeSpec,
                reads: &dyn Reads,
                stores: &dyn Stores,
            ) -> Result<Box<dyn Ask>, Vec<Refusal>> {
                stores.client(StoreProbe::$kind(self), &Terms::of(spec, reads))
            }
        })*
    };
}

by_clients! {
    Postgres(PostgresProbe);
    Redis(RedisProbe);
}
