//! The words for verdicts, phases and states of hosts.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::api::HostState;

use crate::verdict::Verdict;

/// Returns the word for the state of a host at the end.
#[must_use]
pub const fn state_word(state: HostState) -> &'static str {
    match state {
        HostState::Clean => "clean",
        HostState::Dirty => "dirty",
        HostState::Stuck => "stuck",
        HostState::Gone => "gone",
        HostState::Unproven => "unproven",
    }
}

/// Returns the word for a phase.
#[must_use]
pub const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "baseline",
        Phase::Fault => "fault",
        Phase::Recovery => "recovery",
        Phase::Settle => "settle",
    }
}

/// Returns `held`, `violated`, `unknown`, or `not run` without a verdict.
#[must_use]
pub const fn verdict_word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(verdict) => verdict.word(),
        None => "not run",
    }
}
