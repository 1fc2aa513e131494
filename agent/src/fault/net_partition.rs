//! `net-partition` is refused by agents. Only the plan knows partitions, and our coordinators send each host a
//! `net-block` instead. An agent cannot carry out a partition, because only the fleet says which hosts are on the other
//! side, and an agent does not know the fleet.

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::NetPartition,
};

use crate::{
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared, refuse},
};

const WHOM: &str = "a partition names hosts of the fleet, which an agent does not know";

impl Inject for NetPartition {
    fn prepare(&self, _host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        Err(refuse(
            RefusalCode::NotResolved,
            format!("net-partition: {WHOM}"),
            "send it through `firedrill run`, which makes a net-block for each host of it",
        ))
    }

    fn inject(&self, _host: &Host, _live: &Live) -> Result<Injected, InjectError> {
        Err(InjectError(WHOM.to_owned()))
    }

    fn evidence(&self, _host: &Host, _live: &Live) -> Evidence {
        Evidence { in_force: Seen::No, exercised: Seen::No, count: None, detail: WHOM.to_owned() }
    }
}
