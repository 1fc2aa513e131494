//! Decides the next step of an armed injection: to stage, to start, to wait, or never to start.
//!
//! Pure functions: they read no clock and change nothing. A plain `u64` is a time in microseconds of CLOCK_BOOTTIME.

use firedrill_wire::{Span, journal::HealReason};

use super::Lease;

/// The time from staging to the start, in microseconds. If many agents on one machine stage at once, they take nearly that long.
const STAGE_US: u64 = 500_000;
/// Staging is skipped if no more than this time is left before the start, in microseconds, because it might delay the start itself.
const STAGE_LEAST_US: u64 = 5_000;

/// The facts about an armed injection on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub struct Armed<'a> {
    /// The planned time of its start.
    pub start: u64,
    /// Maximum delay of the start. A start that is later is refused.
    pub tolerance: Span,
    /// The number of renewals of its run's lease when it was armed. It starts only after one more.
    pub renewals_before: u64,
    /// Whether staging was tried. It is tried only once, because the start can do without.
    pub staged: bool,
    /// The reason to undo it, if somebody or something wants it undone.
    pub wanted: Option<&'a HealReason>,
    /// The refusal by a policy that changed after it was armed; empty if there is none.
    pub refusal: &'a str,
}

/// The next step of an armed injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It stages what its start needs, then asks again with `staged` set.
    Stage,
    /// It starts now.
    Start,
    /// It never starts, for this reason; the text says more.
    Never(HealReason, String),
    /// The lease of its run is over. The caller ends the run, then asks again.
    Expired,
    /// It asks again at that time, or earlier if a renewal or an undo wakes it.
    Wait(u64),
}

/// Whether `now` is too late for a start: later than `start` by more than `tolerance`.
#[must_use]
pub fn is_late(now: u64, start: u64, tolerance: Span) -> bool {
    now > start.saturating_add(tolerance.as_micros())
}

/// Decides the next step of an armed injection. It starts only if nobody wants it undone, the lease of its run is not over and
/// was renewed since it was armed, and the start is not too late. `None` for `armed` or `lease` means that the agent does not
/// know the injection or its run any more; then it never starts.
#[must_use]
pub fn may_start(now: u64, armed: Option<&Armed<'_>>, lease: Option<&Lease>) -> Next {
    let unknown_run = || Next::Never(HealReason::LeaseExpired, "its run is not known any more".to_owned());
    let Some(armed) = armed else { return unknown_run() };
    if let Some(reason) = armed.wanted {
        let why = if armed.refusal.is_empty() { "it had not started" } else { armed.refusal };
        return Next::Never(reason.clone(), why.to_owned());
    }
    let Some(lease) = lease else { return unknown_run() };
    if lease.is_over(now) {
        return Next::Expired;
    }
    let Armed { start, tolerance, .. } = *armed;
    let renewed = lease.renewals > armed.renewals_before;
    if is_late(now, start, tolerance) {
        let why = if renewed {
            // Rounded up, so that the text never says that a start was late by exactly the allowed time.
            let late = Span::millis((now - start).div_ceil(1000));
            format!("{late} late, {tolerance} is allowed: the host was paused or overloaded at the start")
        } else {
            "the lease was not renewed between arming and the start: the coordinator cannot be reached"
                .to_owned()
        };
        return Next::Never(HealReason::LeaseExpired, why);
    }
    match (now >= start, renewed) {
        (true, true) => Next::Start,
        (true, false) => {
            // A renewal may still come in time, until the first moment at which the start is late.
            let too_late_from = start.saturating_add(tolerance.as_micros()).saturating_add(1);
            Next::Wait(lease.until.min(too_late_from))
        }
        (false, true) if !armed.staged && start - now > STAGE_LEAST_US => {
            let stage_from = start.saturating_sub(STAGE_US);
            if now >= stage_from { Next::Stage } else { Next::Wait(lease.until.min(stage_from)) }
        }
        (false, _) => Next::Wait(lease.until.min(start)),
    }
}
