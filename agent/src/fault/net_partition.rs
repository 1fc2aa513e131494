//! `net-partition`: always refused by agents. Only the fleet says which hosts are on the other side of a partition, and an
//! agent does not know the fleet. So the coordinator sends each host a `net-block` instead.

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

/// The reason why an agent does not carry out a partition.
const WHY: &str = "a partition names hosts of the fleet, which an agent does not know";

impl Inject for NetPartition {
    fn prepare(&self, _host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        Err(refuse(
            RefusalCode::NotResolved,
            format!("net-partition: {WHY}"),
            "send it through `firedrill run`, which makes a net-block for each of its hosts",
        ))
    }

    fn inject(&self, _host: &Host, _live: &Live) -> Result<Injected, InjectError> {
        Err(InjectError(WHY.to_owned()))
    }

    fn evidence(&self, _host: &Host, _live: &Live) -> Evidence {
        Evidence { in_force: Seen::No, exercised: Seen::No, count: None, detail: WHY.to_owned() }
    }
}
