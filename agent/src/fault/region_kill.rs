//! `region-kill`: always refused by agents. The coordinator sends each host a `host-isolate` or a `host-poweroff` instead, and
//! the host's policy decides about that kind. If an agent carried out `region-kill` itself, it would bypass the policy.

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

/// The reason why an agent does not carry out a `region-kill`.
const WHY: &str = "only the plan knows regions; an agent carries out host-isolate or host-poweroff";

impl Inject for RegionKill {
    fn prepare(&self, _host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        Err(refuse(
            RefusalCode::NotResolved,
            format!("region-kill: {WHY}"),
            "send it through `firedrill run`, which makes one of the two for each host of the region",
        ))
    }

    fn inject(&self, _host: &Host, _live: &Live) -> Result<Injected, InjectError> {
        Err(InjectError(WHY.to_owned()))
    }

    fn evidence(&self, _host: &Host, _live: &Live) -> Evidence {
        Evidence { in_force: Seen::No, exercised: Seen::No, count: None, detail: WHY.to_owned() }
    }
}
