//! `region-kill` is never carried out by an agent. The coordinator resolves it to `host-isolate` or `host-poweroff` for each
//! host, and the host's policy is asked for that kind. Carried out under this name, it would bypass the policy.

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::RegionKill,
};

use crate::{
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared, refuse},
};

const WHY: &str = "only the plan knows regions; an agent carries out host-isolate or host-poweroff";

impl Inject for RegionKill {
    fn prepare(&self, _host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        Err(refuse(
            RefusalCode::NotResolved,
            format!("region-kill: {WHY}"),
            "send it through `firedrill run`, which makes one of them for each host of the region",
        ))
    }

    fn inject(&self, _host: &Host, _live: &Live) -> Result<Injected, InjectError> {
        Err(InjectError(WHY.to_owned()))
    }

    fn evidence(&self, _host: &Host, _live: &Live) -> Evidence {
        Evidence { in_force: Seen::No, exercised: Seen::No, count: None, detail: WHY.to_owned() }
    }
}
