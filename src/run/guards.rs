//! The conditions that stop a run without a person: those of the guard, and the time limit. The event loop checks them several times a second.

mod on;

use std::sync::Arc;

use firedrill_wire::{Span, probe::Bin};

use super::{clock::signed, sources::Seen, stop::Stop};
use crate::{
    log::Event,
    plan::{
        Plan,
        model::{AbortOn, AbortWhen, Attack},
    },
    scenario::guard::BLIND_FOR,
    score::window::Window,
};

/// A condition that was met, or that could not be evaluated for too long.
pub(super) struct Tripped {
    pub(super) why: String,
    /// Whether it could not be evaluated for too long.
    pub(super) blind: bool,
}

/// Evaluates the guard's conditions over a rolling window of measurements.
pub(super) struct Guards {
    plan: Arc<Plan>,
    window: Window,
    metrics: Seen,
    /// The time since which the conditions are enabled; `None` if they are disabled.
    armed_us: Option<i64>,
    /// For each condition on a probe, the time since which it could not be evaluated; `None` if it could.
    blind_since: Vec<Option<i64>>,
    /// The same for each condition on an objective.
    blind_on: Vec<Option<i64>>,
}

/// Returns the length of the window: the longest time that a condition, a baseline or settling needs, and ten seconds more.
fn keep(plan: &Plan) -> Span {
    let attacks = plan.attacks.iter().flat_map(|attack| [attack.baseline, attack.settle]);
    let guards = plan.guard.abort.iter().map(|abort| abort.over);
    let objectives = plan.guard.abort_on.iter().map(|abort| abort.over);
    attacks.chain(guards).chain(objectives).max().unwrap_or_default() + Span::secs(10)
}

/// Returns the time without bins after which a vantage counts as blind: the longest time-out of a probe, after which a bin is complete, and
/// 2.5 seconds for the way.
fn fresh(plan: &Plan) -> Span {
    plan.slowest() + Span::millis(2_500)
}

impl Guards {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            window: Window::new(keep(plan), fresh(plan)),
            metrics: Seen::new(plan),
            armed_us: None,
            blind_since: vec![None; plan.guard.abort.len()],
            blind_on: vec![None; plan.guard.abort_on.len()],
        }
    }

    /// Enables the conditions, because a fault is about to be in force.
    pub(super) fn arm(&mut self, now_us: i64) {
        if self.armed_us.is_none() {
            self.armed_us = Some(now_us);
            self.blind_since.fill(None);
            self.blind_on.fill(None);
        }
    }

    /// Disables the conditions, because no fault is in force and the system has recovered.
    pub(super) fn disarm(&mut self) {
        self.armed_us = None;
    }

    /// Returns the latest measurements, which the screen shows, too.
    pub(super) const fn window(&self) -> &Window {
        &self.window
    }

    /// Takes the measurements of a vantage in a second.
    pub(super) fn measured(&mut self, vantage: &str, start_us: i64, bin: &Bin) {
        self.window.push(vantage, start_us, bin);
    }

    /// Returns the newest samples of metrics.
    pub(super) const fn metrics(&self) -> &Seen {
        &self.metrics
    }

    /// Takes the answer of a source, or that there was none.
    pub(super) fn sampled(&mut self, event: &Event) {
        if let Event::Sampled { objective, until_us, samples, unsure_us, failed, .. } = event {
            self.metrics.take(objective, (*until_us, *unsure_us), samples, failed.as_deref());
        }
    }

    /// Notes that an attack begins. From now on its targets do not count as vantages, and time series that ended before are not missed.
    pub(super) fn attack_begins(&mut self, attack: &Attack, now_us: i64) {
        self.metrics.attack_begins(now_us);
        self.window.ignore(attack.injections.iter().map(|one| one.host.clone()).collect());
    }

    /// Returns the reason to stop, if the time limit of the run is over.
    pub(super) fn time_is_over(&self, now_us: i64) -> Option<Stop> {
        let limit = self.plan.ci.as_ref().and_then(|ci| ci.time_limit)?;
        (now_us > signed(limit.as_micros()))
            .then(|| Stop::Failed(format!("the time limit of {limit} is over")))
    }

    /// Evaluates all conditions. Returns the first that stops the run; `None` if none does, or if they are disabled.
    pub(super) fn look(&mut self, now_us: i64) -> Option<Tripped> {
        let armed_us = self.armed_us?;
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
        self.look_on((armed_us, now_us), blind_for)
    }

    /// Evaluates the conditions on objectives. Such a condition stops the run when the newest samples alone violate the objective.
    fn look_on(&mut self, (armed_us, now_us): (i64, i64), blind_for: Span) -> Option<Tripped> {
        for (condition, since) in self.plan.guard.abort_on.iter().zip(&mut self.blind_on) {
            let AbortOn { objective, over } = condition;
            match on::violated(&self.plan, &self.window, &self.metrics, condition, (armed_us, now_us)) {
                Some(violated) => {
                    *since = None;
                    if let Some(why) = violated {
                        let why = format!("guard: objective {objective}: {why}, over {over}");
                        return Some(Tripped { why, blind: false });
                    }
                }
                None => {
                    let from = *since.get_or_insert(now_us);
                    if now_us - from > signed(blind_for.as_micros()) {
                        let why = format!(
                            "guard: nothing was measured of objective {objective} for {blind_for}; flying blind"
                        );
                        return Some(Tripped { why, blind: true });
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::{Drill, S, bin};
    use firedrill_wire::Share;

    use super::*;
    use crate::plan::model::Ci;

    /// Guards with one condition, and their first measurements: ten good seconds of the canary.
    fn guards(change: impl Fn(&mut Plan)) -> Guards {
        let mut plan = Drill { vantages: vec!["canary"], ..Drill::one() }.plan();
        let good_below = Share::from_fraction(0.9).unwrap();
        plan.guard.abort = vec![AbortWhen { probe: "buy".to_owned(), good_below, over: Span::secs(5) }];
        plan.guard.blind_for = Some(Span::secs(10));
        change(&mut plan);
        let mut guards = Guards::new(&Arc::new(plan));
        measure(&mut guards, 0..10, 100);
        guards
    }

    fn measure(guards: &mut Guards, seconds: std::ops::Range<i64>, good: u64) {
        seconds
            .for_each(|second| guards.measured("canary", second * S, &bin("buy", second, good, 100 - good)));
    }

    #[test]
    fn a_condition_stops_the_run_only_while_something_is_in_force() {
        let mut guards = guards(|_| {});
        measure(&mut guards, 10..15, 80);
        assert!(guards.look(15 * S).is_none(), "nothing is in force");
        guards.arm(15 * S);
        let tripped = guards.look(15 * S).expect("80 % are good, of the last five seconds");
        assert!(!tripped.blind);
        assert_eq!(tripped.why, "guard: buy 80.0% good over 5s, below 90% (500 requests)");
        guards.disarm();
        assert!(guards.look(15 * S).is_none());
    }

    #[test]
    fn a_condition_that_cannot_be_evaluated_for_long_stops_the_run_too() {
        let mut guards = guards(|_| {});
        guards.arm(10 * S);
        assert!(guards.look(10 * S).is_none());
        assert!(guards.look(30 * S).is_none(), "it is blind since now");
        assert!(guards.look(40 * S).is_none());
        let tripped = guards.look(41 * S).expect("it is blind for eleven seconds");
        assert!(
            tripped.blind && tripped.why.contains("nothing was measured of buy for 10s"),
            "{}",
            tripped.why
        );
        guards.disarm();
        guards.arm(41 * S);
        assert!(guards.look(41 * S).is_none(), "blindness before this attack does not count");
        measure(&mut guards, 35..41, 100);
        assert!(guards.look(41 * S).is_none(), "it sees again");
        assert!(guards.look(60 * S).is_none(), "blindness is counted anew");
    }

    #[test]
    fn the_time_limit_counts_from_the_beginning_whatever_is_in_force() {
        let ci = Ci { time_limit: Some(Span::secs(60)), retry_unknown: 0 };
        let limited = guards(|plan| plan.ci = Some(ci.clone()));
        assert!(limited.time_is_over(60 * S).is_none());
        let Some(Stop::Failed(why)) = limited.time_is_over(61 * S) else { panic!("the limit is over") };
        assert_eq!(why, "the time limit of 1m is over");
        assert!(guards(|_| {}).time_is_over(9_999 * S).is_none(), "there is none");
    }
}
