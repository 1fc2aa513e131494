//! `host-poweroff`: powers the host off at once. Cannot be undone: a person has to switch it on again.

use firedrill_wire::{api::Problem, evidence::Evidence, fault::HostPoweroff};

use super::power;
use crate::{
    host::{Host, power::Down},
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared},
};

impl Inject for HostPoweroff {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let effect = format!("power {} off at once", host.name);
        let notes = vec!["it stays off until somebody switches it on".into()];
        power::prepare(&*host.power, &host.name, effect, notes)
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        power::call(&*host.power, live, Down::Off)
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        power::evidence(&*host.power, live)
    }
}
