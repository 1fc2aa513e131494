//! Kinds that are asked by clients which the program handed in.

use firedrill_wire::probe::{MysqlProbe, PostgresProbe, ProbeSpec, RedisProbe, Refusal};

use super::stores::{StoreProbe, Terms};
use crate::ask::{Ask, Make, Means};

/// Implements [`Make`] by the clients that the program handed in.
macro_rules! by_clients {
    ($($kind:ident($params:ident);)*) => {
        $(impl Make for $params {
            fn make(&self, spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
                means.stores.client(StoreProbe::$kind(self), &Terms { spec, reads: means.reads })
            }
        })*
    };
}

by_clients! {
    Postgres(PostgresProbe);
    Mysql(MysqlProbe);
    Redis(RedisProbe);
}
