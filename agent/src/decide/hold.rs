//! Decides when the hold of an injection ends.

use firedrill_wire::journal::HealReason;

use super::Lease;

/// The facts about an injection in force on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The end of its hold.
    pub ends: u64,
    /// The reason to undo it, if it is to be undone.
    pub wanted: Option<&'a HealReason>,
    /// Whether the lease was renewed since the kernel's own switch was.
    pub renewed: bool,
    /// The time of the next look at the fault.
    pub look_at: u64,
}

/// The next step of an injection in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It is undone now.
    Undo(HealReason),
    /// The lease of its run is over: the run is to be ended, and it is undone.
    Expired,
    /// It renews the kernel's own switch, then asks again.
    Renew,
    /// It looks whether the fault is there, then asks again.
    Look,
    /// It asks again at that time, or when it is woken.
    Wait(u64),
}

/// Decides about an injection that is in force. An undo comes before everything else, and nothing outlives its hold or its
/// lease. A run that is not known has no lease.
#[must_use]
pub fn hold(now: u64, held: &Held<'_>, lease: Option<&Lease>) -> Holding {
    if let Some(reason) = held.wanted {
        return Holding::Undo(reason.clone());
    }
    if now >= held.ends {
        return Holding::Undo(HealReason::HoldOver);
    }
    let Some(lease) = lease.filter(|lease| !lease.is_over(now)) else { return Holding::Expired };
    if held.renewed {
        return Holding::Renew;
    }
    if now >= held.look_at {
        return Holding::Look;
    }
    Holding::Wait(held.look_at.min(held.ends).min(lease.until))
}
