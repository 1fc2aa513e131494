//! `region-kill`, for one host of the region. Only the plan knows regions; on each host another kind carries the fault
//! out.

use firedrill_wire::{Span, api::Problem, evidence::Evidence, fault::RegionKill};

use super::{Ask, Inject, InjectError, Injected, Live, Prepared, of};
use crate::host::Host;

impl Inject for RegionKill {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        of(&self.each()).prepare(host, ask)
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        of(&self.each()).stage(host, live)
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        of(&self.each()).inject(host, live)
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        of(&self.each()).evidence(host, live)
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        of(&self.each()).renew(host, live, lease)
    }
}
