//! An injection as data: the request, the result of `prepare`, and both as they are journaled.

use firedrill_wire::{Fault, InjectionId, Span, api::Claim};
use serde::{Deserialize, Serialize};

use super::basis::Basis;
use crate::undo::Undo;

/// The request to a fault kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The injection's id. Names of kernel objects derive from it.
    pub id: InjectionId,
    /// The fault, with its parameters for this one host.
    pub fault: Fault,
    /// The planned time for which the fault is in force.
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
    /// The facts that the preparation rests on.
    pub basis: Basis,
}

/// An injection as it was journaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The request.
    pub ask: Ask,
    /// The result of `prepare`.
    pub prepared: Prepared,
    /// The time at which it ends by itself, in microseconds of CLOCK_BOOTTIME: the hold after the planned start, or, once it
    /// is in force, the hold after the moment at which it came into force.
    pub ends_boot_us: u64,
    /// The lease at the time of injecting, for faults that the kernel ends by itself.
    pub lease: Span,
}
