//! `host-reboot`: reboot the host at once, without stopping its services first. Cannot be undone.

use firedrill_wire::{api::Problem, evidence::Evidence, fault::HostReboot};
use nix::sys::reboot::RebootMode;

use super::power;
use crate::{
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared},
};

impl Inject for HostReboot {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let effect =
            format!("reboot {} at once; its agent must answer again within {}", host.name, self.back_within);
        power::prepare(host, effect, Vec::new())
    }

    fn inject(&self, _host: &Host, live: &Live) -> Result<Injected, InjectError> {
        power::call(live, RebootMode::RB_AUTOBOOT)
    }

    fn evidence(&self, _host: &Host, live: &Live) -> Evidence {
        power::evidence(live)
    }
}
