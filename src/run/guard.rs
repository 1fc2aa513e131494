//! Checks the abort conditions several times a second.

use std::sync::Arc;

use firedrill_wire::Span;

use super::clock::signed;
use crate::{
    plan::{Plan, model::AbortWhen},
    scenario::guard::BLIND_FOR,
    score::window::Window,
};

/// A condition that was met, or that could not be evaluated for too long.
pub(super) struct Tripped {
    pub(super) why: String,
    pub(super) blind: bool,
}

/// Evaluates the guard's conditions over a rolling window of measurements.
pub(super) struct Watch {
    plan: Arc<Plan>,
    /// The latest measurements; the screen shows them too.
    pub(super) window: Window,
    armed: bool,
    /// For each condition, the time since which it could not be evaluated.
    blind_since: Vec<Option<i64>>,
}

/// Returns the length of the window: the longest time that any condition or settling needs.
fn keep(plan: &Plan) -> Span {
    let attacks = plan.attacks.iter().flat_map(|attack| [attack.baseline, attack.settle]);
    let guards = plan.guard.abort.iter().map(|abort| abort.over);
    attacks.chain(guards).max().unwrap_or_default() + Span::secs(10)
}

/// Returns the time without bins after which a vantage is blind. A bin arrives a time-out after its end.
fn fresh(plan: &Plan) -> Span {
    plan.probes.iter().map(|probe| probe.timeout).max().unwrap_or_default() + Span::millis(2_500)
}

impl Watch {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            window: Window::new(keep(plan), fresh(plan)),
            armed: false,
            blind_since: vec![None; plan.guard.abort.len()],
        }
    }

    /// Enables the conditions: something is about to be in force.
    pub(super) fn arm(&mut self) {
        if !std::mem::replace(&mut self.armed, true) {
            self.blind_since.fill(None);
        }
    }

    /// Disables the conditions: nothing is in force, and nothing recovers.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Evaluates every condition.
    pub(super) fn look(&mut self, now_us: i64) -> Option<Tripped> {
        if !self.armed {
            return None;
        }
        let blind_for = self.plan.guard.blind_for.unwrap_or(BLIND_FOR);
        for (condition, since) in self.plan.guard.abort.iter().zip(&mut self.blind_since) {
            let AbortWhen { probe, good_below, over } = condition;
            match self.window.good_share(probe, *over, now_us) {
                Some((share, samples)) => {
                    *since = None;
                    if samples > 0 && share < good_below.fraction() {
                        let per_cent = share * 100.0;
                        let why = format!(
                            "guard: {probe} {per_cent:.1}% good over {over}, below {good_below} ({samples} requests)"
                        );
                        return Some(Tripped { why, blind: false });
                    }
                }
                None => {
                    let from = *since.get_or_insert(now_us);
                    if now_us - from > signed(blind_for.as_micros()) {
                        let why =
                            format!("guard: nothing was measured of {probe} for {blind_for}; flying blind");
                        return Some(Tripped { why, blind: true });
                    }
                }
            }
        }
        None
    }
}
