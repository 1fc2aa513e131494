//! `host-poweroff`: power the host off at once. Cannot be undone: somebody has to switch it on again.

use firedrill_wire::{api::Problem, evidence::Evidence, fault::HostPoweroff};
use nix::sys::reboot::RebootMode;

use super::power;
use crate::{
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared},
};

impl Inject for HostPoweroff {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let effect = format!("power {} off at once", host.name);
        power::prepare(host, effect, vec!["it stays off until somebody switches it on".into()])
    }

    fn inject(&self, _host: &Host, live: &Live) -> Result<Injected, InjectError> {
        power::call(live, RebootMode::RB_POWER_OFF)
    }

    fn evidence(&self, _host: &Host, live: &Live) -> Evidence {
        power::evidence(live)
    }
}
