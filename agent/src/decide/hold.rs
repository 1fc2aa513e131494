//! Decides what the thread of an injection in force does next: it keeps the fault up, or undoes it. The decision reads no
//! clock and undoes nothing. All times are microseconds of the clock that counts through suspend (CLOCK_BOOTTIME).

use firedrill_wire::journal::HealReason;

use super::Lease;

/// The facts about an injection in force on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The end of its hold. At that moment it is undone.
    pub ends: u64,
    /// The reason to undo it at once; `None` if nobody asked for that.
    pub wanted: Option<&'a HealReason>,
    /// Whether the lease was renewed and the kernel's own switch, which ends the fault if the agent cannot, was not renewed
    /// since.
    pub renewed: bool,
    /// The time of the next look whether the fault is there.
    pub look_at: u64,
}

/// The next step of the thread of an injection in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The thread undoes the injection for this reason.
    Undo(HealReason),
    /// The lease of the run is over: the thread ends the run and undoes the injection.
    Expired,
    /// The thread renews the kernel's own switch, then asks for the next step.
    Renew,
    /// The thread looks whether the fault is there, then asks for the next step.
    Look,
    /// The thread waits until that time, or until it is woken, then asks for the next step.
    Wait(u64),
}

/// Returns the next step of the thread of an injection that is in force. An undo comes before everything else, and nothing
/// outlives its hold or its lease. `lease` is `None` if the agent does not know the run; then the lease counts as over.
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
