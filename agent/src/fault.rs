//! Fault kinds: what each would do, doing it, and looking at it. One file a kind.
//!
//! Putting back is not here: `prepare` says it as data ([`Undo`]), which is journaled before anything is touched and
//! which needs no fault kind to be carried out.

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
    Fault, InjectionId, Span,
    api::{Claim, Problem},
    evidence::Evidence,
};
use serde::{Deserialize, Serialize};

use crate::{host::Host, undo::Undo};

/// What is asked of a fault kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The injection; names of kernel objects derive from it.
    pub id: InjectionId,
    /// The fault, as for one host.
    pub fault: Fault,
    /// How long it is to stay.
    pub hold: Span,
}

/// What an injection will touch and do, and exactly how it is put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// What it touches.
    pub claims: Vec<Claim>,
    /// What will happen, each a sentence.
    pub effects: Vec<String>,
    /// How to put it back; carried out in reverse order. Empty: it cannot be.
    pub undo: Vec<Undo>,
    /// What holds the fault if the agent dies: `kernel`, `guardian`, `service manager`.
    pub switches: Vec<String>,
    /// What people should know beforehand.
    pub notes: Vec<String>,
    /// What this is based on (pids, unit states, addresses that names gave), as text; hashed into the fingerprint.
    /// Must not change while nothing relevant changes.
    pub basis: String,
}

/// An injection as it was journaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// What was asked.
    pub ask: Ask,
    /// What was prepared.
    pub prepared: Prepared,
    /// When it ends by itself, by CLOCK_BOOTTIME in microseconds: planned start and hold, and once it is in force the moment
    /// of that and the hold.
    pub ends_boot_us: u64,
    /// The lease at the time of injecting, for what the kernel itself is to end.
    pub lease: Span,
}

/// What making the effect gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Injected {
    /// What was done, for people.
    pub detail: String,
    /// A better undo than the one prepared, where making the effect taught something; journaled in its place.
    pub undo: Option<Vec<Undo>>,
}

/// The effect could not be made, or not wholly. What was made of it is undone; it is never tried again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InjectError(pub String);

/// One kind of fault.
pub trait Inject: Send + Sync {
    /// Reads only. Refuses, or says what it claims, what it will do, and exactly how that is undone.
    ///
    /// # Errors
    /// The refusal.
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem>;

    /// Shortly before the start: makes all that the effect needs and that has no effect by itself, so that the start
    /// itself is one small step, at the same moment on every host. Optional: [`Inject::inject`] must do without. What
    /// is made here is put back by the same undo, also when the start never comes.
    ///
    /// # Errors
    /// Something could not be made; `inject` will say whether that matters.
    fn stage(&self, _host: &Host, _live: &Live) -> Result<(), InjectError> {
        Ok(())
    }

    /// Makes the effect. Must be safe to call twice. Gives up waiting once [`is_called_off`].
    ///
    /// # Errors
    /// The effect was not made, or not wholly; what was made stays for undo.
    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError>;

    /// Looks: is it there, and did anything meet it?
    fn evidence(&self, host: &Host, live: &Live) -> Evidence;

    /// The lease was renewed: move the kernel's own switch. Called often; does nothing where there is none.
    ///
    /// # Errors
    /// The kernel's switch could not be moved (it has fired already, for one).
    fn renew(&self, _host: &Host, _live: &Live, _lease: Span) -> Result<(), InjectError> {
        Ok(())
    }
}

/// The injection is over: another that has the same id later begins anew.
pub(crate) fn forget(id: &InjectionId) {
    made::forget(id);
    called_off::forget(id);
}

/// A refusal, short to write.
#[must_use]
pub fn refuse(code: &str, title: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { code: code.to_owned(), title: title.into(), hint: hint.into() }
}

/// The code that carries a fault out: the `impl Inject` of its parameters. A new kind adds its line here.
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
