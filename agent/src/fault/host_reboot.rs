//! `host-reboot`: reboot the host at once, without stopping its services first. Cannot be undone.

use firedrill_wire::{Fault, api::Problem, evidence::Evidence};
use nix::sys::reboot::RebootMode;

use super::{Ask, Inject, InjectError, Injected, Live, Prepared, power, service_stop::other_kind};
use crate::host::Host;

/// The kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostReboot;

impl Inject for HostReboot {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let Fault::HostReboot(reboot) = &ask.fault else { return Err(other_kind(ask)) };
        let effect = format!(
            "reboot {} at once; its agent must answer again within {}",
            host.name, reboot.back_within
        );
        power::prepare(host, effect, Vec::new())
    }

    fn inject(&self, _host: &Host, live: &Live) -> Result<Injected, InjectError> {
        power::call(live, RebootMode::RB_AUTOBOOT)
    }

    fn evidence(&self, _host: &Host, live: &Live) -> Evidence {
        power::evidence(live)
    }
}
