//! Fault kinds. Each kind says what it would do (`prepare`), does it (`inject`) and looks at the result (`evidence`).
//! Each kind has a file of its own.
//!
//! This module does not put faults back. `prepare` describes the undo as data ([`Undo`]). The agent journals that data
//! before it touches anything, and carries it out without the code of the fault kind.

mod called_off;
mod host_isolate;
mod host_poweroff;
mod host_reboot;
mod made;
mod matching;
pub mod net;
mod net_block;
mod net_corrupt;
mod net_dns;
mod net_down;
mod net_duplicate;
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

pub use called_off::{call_off, is_called_off};

use firedrill_wire::{
    Fault, InjectionId, RefusalCode, Span,
    api::{Claim, Problem},
    evidence::Evidence,
};
use serde::{Deserialize, Serialize};

use crate::{host::Host, undo::Undo};

/// The request to a fault kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The injection; names of kernel objects derive from it.
    pub id: InjectionId,
    /// The fault, with its parameters for this one host.
    pub fault: Fault,
    /// The planned time in force.
    pub hold: Span,
}

/// A prepared injection: the objects that it will touch, its effects, and exactly how it is put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The objects that it touches.
    pub claims: Vec<Claim>,
    /// The effects, each as a sentence.
    pub effects: Vec<String>,
    /// The steps that put it back, carried out in reverse order. Empty if the fault cannot be undone.
    pub undo: Vec<Undo>,
    /// The parts that still end the fault if the agent dies: `kernel`, `guardian`, `service manager`.
    pub switches: Vec<String>,
    /// Notes that people should read before the run.
    pub notes: Vec<String>,
    /// The facts that the preparation rests on (pids, unit states, addresses that names resolved to), as text. It is
    /// hashed into the fingerprint, so it must not change while nothing relevant changes.
    pub basis: String,
}

/// An injection as it was journaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The request.
    pub ask: Ask,
    /// The result of `prepare`.
    pub prepared: Prepared,
    /// The time at which it ends by itself, by CLOCK_BOOTTIME in microseconds: the planned start plus the hold. Once it
    /// is in force: the moment at which it came into force plus the hold.
    pub ends_boot_us: u64,
    /// The lease at the time of injecting, for faults that the kernel ends by itself.
    pub lease: Span,
}

/// The result of making the effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Injected {
    /// A description, for people, of what was done.
    pub detail: String,
    /// A more exact undo than the prepared one, if more is known once the effect is made. It is journaled in place of
    /// the prepared one.
    pub undo: Option<Vec<Undo>>,
}

/// The effect could not be made, or only in part. The part that was made is undone, and the injection is never tried
/// again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InjectError(pub String);

/// One kind of fault.
pub trait Inject: Send + Sync {
    /// Reads only. Refuses the request, or returns what the injection claims, what it will do, and exactly how that is
    /// undone. The parameters are valid by themselves ([`Fault::invalid`]): the supervisor asks that first.
    ///
    /// # Errors
    /// The refusal.
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem>;

    /// Makes, shortly before the start, everything that the effect needs and that has no effect by itself. The start
    /// itself is then one small step, at the same moment on every host. Optional: [`Inject::inject`] must work without
    /// it. The same undo puts back what is made here, also if the start never comes.
    ///
    /// # Errors
    /// Something could not be made. `inject` will report whether that matters.
    fn stage(&self, _host: &Host, _live: &Live) -> Result<(), InjectError> {
        Ok(())
    }

    /// Makes the effect. Must be safe to call twice. Stops waiting as soon as [`is_called_off`] returns true.
    ///
    /// # Errors
    /// The effect was not made, or only in part. The part that was made stays until the undo.
    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError>;

    /// Looks whether the effect is there, and whether anything met it.
    fn evidence(&self, host: &Host, live: &Live) -> Evidence;

    /// Moves the kernel's own switch, because the lease was renewed. It is called often. Does nothing if the kernel has
    /// no switch for this fault.
    ///
    /// # Errors
    /// The kernel's switch could not be moved, for example because it has fired already.
    fn renew(&self, _host: &Host, _live: &Live, _lease: Span) -> Result<(), InjectError> {
        Ok(())
    }
}

/// Forgets an injection that is over. A later one with the same id begins anew.
pub(crate) fn forget(id: &InjectionId) {
    made::forget(id);
    called_off::forget(id);
}

/// Builds a refusal. Without a hint of its own it gets the next step that its code has for all such refusals.
#[must_use]
pub fn refuse(code: RefusalCode, title: impl Into<String>, hint: impl Into<String>) -> Problem {
    let hint: String = hint.into();
    let hint = if hint.is_empty() { code.remedy().to_owned() } else { hint };
    Problem { code, title: title.into(), hint }
}

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
        Fault::HostIsolate(kind) => kind,
        Fault::HostReboot(kind) => kind,
        Fault::HostPoweroff(kind) => kind,
        Fault::RegionKill(kind) => kind,
    }
}
