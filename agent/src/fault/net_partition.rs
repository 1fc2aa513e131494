//! `net-partition` as no coordinator of ours sends it: a partition is a matter of the plan, and what one host has to do
//! for it is a `net-block`. Refused, because who is on the other side stands in the fleet, which an agent does not know.

use firedrill_wire::{
    api::Problem,
    evidence::{Evidence, Seen},
    fault::NetPartition,
};

use super::{Ask, Inject, InjectError, Injected, Live, Prepared, refuse};
use crate::host::Host;

const WHOM: &str = "a partition names hosts of the fleet, which an agent does not know";

impl Inject for NetPartition {
    fn prepare(&self, _host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        Err(refuse(
            "not-resolved",
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
