//! `host-reboot`: reboots the host at once, without stopping its services first. Cannot be undone.

use firedrill_wire::{api::Problem, evidence::Evidence, fault::HostReboot};

use super::power;
use crate::{
    host::{Host, power::Down},
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared},
};

impl Inject for HostReboot {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let effect =
            format!("reboot {} at once; its agent must answer again within {}", host.name, self.back_within);
        let notes = Vec::new();
        power::prepare(&*host.power, &host.name, effect, notes)
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        power::call(&*host.power, live, Down::Reboot)
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        power::evidence(&*host.power, live)
    }
}
