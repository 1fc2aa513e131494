//! The moment by which an injection's thread has to act or report. After that the guardian takes over.

use firedrill_wire::journal::State;

/// The time that a thread has to report, in microseconds, after the longest time that making an effect may take, or
/// after the effect was called off.
const LATE_US: u64 = 5_000_000;

/// Returns the deadline for making an effect that begins now and takes at most `at_most_us` microseconds.
#[must_use]
pub const fn made_by(now: u64, at_most_us: u64) -> u64 {
    now.saturating_add(at_most_us).saturating_add(LATE_US)
}

/// Returns the new deadline for making an effect that is called off now. It is never later than the old one, `made_by`.
#[must_use]
pub fn called_off_by(now: u64, made_by: u64) -> u64 {
    made_by.min(now.saturating_add(LATE_US))
}

/// Returns the deadline of one injection; `None` if it has done nothing yet or is over. This is `act_by`, the deadline of
/// its thread's present work, if there is one. Otherwise it is the end of the lease or of the hold (`ends`), whichever is
/// earlier. While the effect is being made, `made_by`, the deadline for making it, takes the place of `ends`.
#[must_use]
pub fn deadline(
    state: State,
    act_by: Option<u64>,
    made_by: Option<u64>,
    ends: u64,
    lease_until: u64,
) -> Option<u64> {
    if !matches!(state, State::Injecting | State::InForce | State::Undoing) {
        return None;
    }
    let ends = if state == State::Injecting { made_by.unwrap_or(ends) } else { ends };
    Some(act_by.unwrap_or_else(|| ends.min(lease_until)))
}

/// Whether an injection is over for good. An irreversible effect ([`State::Done`]) is watched until its hold (`ends`) is
/// over, too.
#[must_use]
pub fn is_over(now: u64, state: State, ends: u64) -> bool {
    !state.is_open() && (state != State::Done || now > ends)
}
