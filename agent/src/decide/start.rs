//! Decides whether an armed injection starts.

use firedrill_wire::{Span, journal::HealReason};

use super::Lease;

/// Staging begins this long before the start, in microseconds. Many agents on one machine need that much together.
const STAGE_US: u64 = 500_000;
/// Staging is skipped if less time than this is left, because it might delay the start itself.
const STAGE_LEAST_US: u64 = 5_000;

/// The facts about an armed injection on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub struct Armed<'a> {
    /// The time of its start.
    pub start: u64,
    /// Maximum delay of the start.
    pub tolerance: Span,
    /// The number of the run's renewals when it was armed.
    pub renewals_before: u64,
    /// Whether what the start needs is staged already.
    pub staged: bool,
    /// The reason to undo it, if it is to be undone.
    pub wanted: Option<&'a HealReason>,
    /// The refusal by rules that came after it was armed; empty if there is none.
    pub refusal: &'a str,
}

/// The next step of an armed injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It stages what its start needs, then asks again.
    Stage,
    /// It starts now.
    Start,
    /// It never starts.
    Never(HealReason, String),
    /// The lease of its run is over: the run is to be ended, then it asks again.
    Expired,
    /// It asks again at that time, or when it is woken.
    Wait(u64),
}

/// Whether a start is later than is allowed.
#[must_use]
pub fn is_late(now: u64, start: u64, tolerance: Span) -> bool {
    now > start.saturating_add(tolerance.as_micros())
}

/// Decides about an armed injection. It starts only if it is not to be undone, if the lease of its run is not over and was
/// renewed since it was armed, and not late. If the run or the injection is not known any more, it never starts.
#[must_use]
pub fn may_start(now: u64, armed: Option<&Armed<'_>>, lease: Option<&Lease>) -> Next {
    let gone = || Next::Never(HealReason::LeaseExpired, "its run is not known any more".to_owned());
    let Some(armed) = armed else { return gone() };
    if let Some(reason) = armed.wanted {
        let why = if armed.refusal.is_empty() { "it had not started" } else { armed.refusal };
        return Next::Never(reason.clone(), why.to_owned());
    }
    let Some(lease) = lease else { return gone() };
    if lease.is_over(now) {
        return Next::Expired;
    }
    let Armed { start, tolerance, .. } = *armed;
    let renewed = lease.renewals > armed.renewals_before;
    if is_late(now, start, tolerance) {
        let why = if renewed {
            let late = (now - start) / 1000;
            format!("{late} ms late, {tolerance} is allowed: the host was paused or overloaded at the start")
        } else {
            "the lease was not renewed between arming and the start: the coordinator cannot be reached"
                .to_owned()
        };
        return Next::Never(HealReason::LeaseExpired, why);
    }
    match (now >= start, renewed) {
        (true, true) => Next::Start,
        (true, false) => {
            let too_late = start.saturating_add(tolerance.as_micros()).saturating_add(1);
            Next::Wait(lease.until.min(too_late))
        }
        (false, true) if !armed.staged && start - now > STAGE_LEAST_US => {
            let stage = start.saturating_sub(STAGE_US);
            if now >= stage { Next::Stage } else { Next::Wait(lease.until.min(stage)) }
        }
        (false, _) => Next::Wait(lease.until.min(start)),
    }
}
