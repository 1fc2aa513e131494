//! Fault kinds. Each kind says what it would do (`prepare`), does it (`inject`) and looks at the result (`evidence`).
//! Each kind has a file of its own.
//!
//! This module does not put faults back. `prepare` describes the undo as data ([`Undo`]). The agent journals that data
//! before it touches anything, and carries it out without the code of the fault kind.

mod host_isolate;
mod host_poweroff;
mod host_reboot;
mod matching;
pub mod net;
mod net_block;
mod net_corrupt;
mod net_dns;
mod net_down;
mod net_duplicate;
mod net_flap;
mod net_lose;
mod net_partition;
mod net_reorder;
mod net_reset;
mod net_slow;
mod net_throttle;
mod power;
mod process_kill;
mod process_pause;
mod region_kill;
mod service_kill;
mod service_restart;
mod service_stop;
mod signal;
mod user;

use firedrill_wire::Fault;

use crate::injection::Inject;

/// Returns the code that carries out a fault: the `impl Inject` of its parameters. A new kind adds its line here.
#[must_use]
pub const fn of(fault: &Fault) -> &dyn Inject {
    match fault {
        Fault::ServiceStop(kind) => kind,
        Fault::ServiceKill(kind) => kind,
        Fault::ServiceRestart(kind) => kind,
        Fault::ProcessKill(kind) => kind,
        Fault::ProcessPause(kind) => kind,
        Fault::NetBlock(kind) => kind,
        Fault::NetPartition(kind) => kind,
        Fault::NetSlow(kind) => kind,
        Fault::NetLose(kind) => kind,
        Fault::NetDuplicate(kind) => kind,
        Fault::NetCorrupt(kind) => kind,
        Fault::NetReorder(kind) => kind,
        Fault::NetThrottle(kind) => kind,
        Fault::NetReset(kind) => kind,
        Fault::NetDns(kind) => kind,
        Fault::NetDown(kind) => kind,
        Fault::NetFlap(kind) => kind,
        Fault::HostIsolate(kind) => kind,
        Fault::HostReboot(kind) => kind,
        Fault::HostPoweroff(kind) => kind,
        Fault::RegionKill(kind) => kind,
    }
}
