//! Judges objectives that are conditions of a guard, over a moving window.

use crate::{
    plan::{
        Plan,
        model::{AbortOn, Goal},
    },
    run::sources::Seen,
    score::{Window, format, metric},
};

/// Judges the newest measurements of an objective. Returns `Some(Some(text))` if they alone violate it, `Some(None)` if they do not, and
/// `None` if nothing was measured. Samples of a metric from before `armed_us`, when the guard was enabled, do not count.
pub(super) fn violated(
    plan: &Plan,
    window: &Window,
    metrics: &Seen,
    condition: &AbortOn,
    (armed_us, now_us): (i64, i64),
) -> Option<Option<String>> {
    let AbortOn { objective, over } = condition;
    if let Some(metric) = plan.metrics.iter().find(|metric| metric.name == *objective) {
        let timeout = plan.timeout_of(metric);
        let samples = metrics.since(metric, timeout, *over, (armed_us, now_us))?;
        return Some(metric::violated_by(metric, &samples));
    }
    let objective = plan.objectives.iter().find(|known| known.name == *objective)?;
    match objective.goal {
        Goal::Good(wanted) => {
            let (share, samples) = window.good_share(&objective.probe, *over, now_us)?;
            Some((share < wanted.fraction()).then(|| {
                format!(
                    "{} of {samples} requests of {} good, below {wanted}",
                    format::percent(share),
                    objective.probe
                )
            }))
        }
        Goal::Latency { quantile, below } => {
            let us = window.latency(&objective.probe, quantile, *over, now_us)?;
            let slow = us.is_none_or(|us| us > below.as_micros());
            let took = us.map_or_else(|| "endless".to_owned(), format::micros);
            Some(
                slow.then(|| {
                    format!("p{} of {} is {took}, above {below}", quantile * 100.0, objective.probe)
                }),
            )
        }
        // Never reached: the check of the scenario refuses these as conditions.
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) | Goal::LostWrites(_) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::{Drill, S, bin, metric};
    use firedrill_wire::{Share, Span};

    use super::*;
    use crate::{
        log::Sample,
        plan::model::{Metric, MetricGoal},
    };

    fn condition(objective: &str) -> AbortOn {
        AbortOn { objective: objective.to_owned(), over: Span::secs(10) }
    }

    /// A plan with a metric that is sampled every two seconds.
    fn plan(goal: MetricGoal) -> Plan {
        let mut plan = Drill::one().plan();
        plan.metrics = vec![Metric { every: Span::secs(2), ..metric(goal) }];
        plan
    }

    fn sample(second: i64, value: f64) -> Sample {
        Sample {
            at_us: second * S,
            window_us: 0,
            own_us: 0,
            age_us: 0,
            low: Some(value),
            high: Some(value),
            total: None,
            series: 1,
            behind: Vec::new(),
            lacks: None,
            lost: 0,
        }
    }

    /// Judges samples at second `now` by a condition over ten seconds. The guard was enabled in second 20.
    fn guarded(goal: MetricGoal, samples: &[Sample], now: i64) -> Option<Option<String>> {
        let plan = plan(goal);
        let mut seen = Seen::new(&plan);
        seen.take("errors", (now * S, 1_000), samples, None);
        let window = Window::new(Span::secs(60), Span::secs(3));
        violated(&plan, &window, &seen, &condition("errors"), (20 * S, now * S))
    }

    #[test]
    fn samples_from_before_the_guard_was_enabled_do_not_count() {
        let below = MetricGoal::Below(0.5);
        let bad_before = [sample(16, 9.0), sample(18, 0.1)];
        assert_eq!(guarded(below, &bad_before, 21), Some(None), "no sample is about the time since");
        let reaches_back = Sample { window_us: 5 * S, ..sample(24, 9.0) };
        assert_eq!(guarded(below, &[bad_before[1].clone(), reaches_back], 25), Some(None));
        let since = [bad_before[0].clone(), sample(24, 9.0)];
        assert!(guarded(below, &since, 25).is_some_and(|why| why.is_some()));
        // If a source's data are always old, the condition becomes blind after some time.
        let old = |second: i64| [Sample { age_us: (second - 15) * S, ..sample(second, 0.1) }];
        assert_eq!(
            guarded(below, &old(40), 41),
            Some(None),
            "data as old as that begin in second 50 at the latest"
        );
        assert_eq!(guarded(below, &[Sample { window_us: 0, age_us: 2 * S, ..sample(21, 0.1) }], 28), None);
    }

    #[test]
    fn an_increase_is_counted_from_the_last_sample_before_the_window_and_needs_two() {
        let increase = MetricGoal::IncreaseBelow(5.0);
        let all = [sample(20, 0.0), sample(30, 5.0)];
        let why = guarded(increase, &all, 31).flatten().expect("it rose by five");
        assert!(why.starts_with("increased by 5, not by less than 5"), "{why}");
        assert_eq!(
            guarded(increase, &[sample(10, 0.0), sample(30, 5.0)], 31),
            None,
            "one sample shows no increase"
        );
        assert_eq!(
            guarded(increase, &[sample(10, 0.0), sample(22, 5.0)], 23),
            Some(None),
            "the second is to come"
        );
    }

    #[test]
    fn a_series_that_is_no_number_hides_no_violation_of_another_series() {
        let nan = |value: f64| {
            [Sample { lacks: Some(crate::log::Lack::NotANumber), series: 2, ..sample(30, value) }]
        };
        assert!(guarded(MetricGoal::Below(0.5), &nan(9.0), 31).flatten().is_some());
        assert_eq!(guarded(MetricGoal::Below(0.5), &nan(0.1), 31), None);
    }

    #[test]
    fn an_objective_of_a_metric_is_judged_by_its_newest_samples_and_is_blind_without_any() {
        let plan = plan(MetricGoal::Below(0.5));
        let window = Window::new(Span::secs(60), Span::secs(3));
        let mut seen = Seen::new(&plan);
        let look =
            |seen: &Seen, second: i64| violated(&plan, &window, seen, &condition("errors"), (0, second * S));
        assert_eq!(look(&seen, 1), None, "nothing was asked");
        seen.take("errors", (10 * S, 1_000), &[sample(8, 0.1), sample(10, 0.2)], None);
        assert_eq!(look(&seen, 11), Some(None));
        seen.take("errors", (12 * S, 1_000), &[sample(12, 0.7)], None);
        assert_eq!(look(&seen, 13), Some(Some("0.7, not below 0.5".to_owned())));
        seen.take("errors", (24 * S, 1_000), &[sample(24, 0.1)], None);
        assert_eq!(look(&seen, 25), Some(None), "the window has moved on");
        seen.take("errors", (26 * S, 1_000), &[], Some("no answer"));
        assert_eq!(look(&seen, 27), Some(None), "one missing answer is not blindness yet");
        assert_eq!(look(&seen, 40), None);
    }

    #[test]
    fn objectives_of_probes_are_judged_over_the_window() {
        let plan = Drill { vantages: vec!["canary"], ..Drill::one() }.plan();
        let mut window = Window::new(Span::secs(60), Span::secs(3));
        let seen = Seen::new(&plan);
        let name = |latency: bool| {
            let wanted = |goal: &Goal| matches!(goal, Goal::Latency { .. }) == latency;
            let found = plan.objectives.iter().find(|objective| wanted(&objective.goal));
            found.expect("both are there").name.clone()
        };
        let look = |window: &Window, latency: bool| {
            violated(&plan, window, &seen, &condition(&name(latency)), (0, 20 * S))
        };
        assert_eq!(look(&window, false), None);
        (0..20).for_each(|second| window.push("canary", second * S, &bin("buy", second, 100, 0)));
        assert_eq!((look(&window, false), look(&window, true)), (Some(None), Some(None)));
        let mut bad = Window::new(Span::secs(60), Span::secs(3));
        (0..20).for_each(|second| bad.push("canary", second * S, &bin("buy", second, 50, 50)));
        let share = look(&bad, false).flatten().expect("half of them failed");
        assert!(share.starts_with("50 % of 1000 requests of buy good, below 98%"), "{share}");
        assert!(look(&bad, true).flatten().is_some_and(|why| why.contains("is endless, above")));
        assert!(Share::from_fraction(0.98).is_some());
    }
}
