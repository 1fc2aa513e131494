//! Objectives as conditions of a guard: judged over a moving window.

use firedrill_wire::Span;

use crate::{
    plan::{
        Plan,
        model::{AbortOn, Goal},
    },
    run::sources::Seen,
    score::{Window, format, metric},
};

/// Returns how the newest measurements violate an objective by themselves, if they do. `None`: blind.
pub(super) fn violated(
    plan: &Plan,
    window: &Window,
    metrics: &Seen,
    condition: &AbortOn,
    now_us: i64,
) -> Option<Option<String>> {
    let AbortOn { objective, over } = condition;
    if let Some(metric) = plan.metrics.iter().find(|one| one.name == *objective) {
        let timeout = plan.source_of(metric).map_or(Span::ZERO, |source| source.timeout);
        let samples = metrics.window(metric, timeout, *over, now_us)?;
        return Some(metric::violated_by(metric, &samples));
    }
    let one = plan.objectives.iter().find(|one| one.name == *objective)?;
    match one.goal {
        Goal::Good(wanted) => {
            let (share, samples) = window.good_share(&one.probe, *over, now_us)?;
            Some((share < wanted.fraction()).then(|| {
                format!(
                    "{} of {samples} requests of {} good, below {wanted}",
                    format::percent(share),
                    one.probe
                )
            }))
        }
        Goal::Latency { quantile, below } => {
            let us = window.latency(&one.probe, quantile, *over, now_us)?;
            let slow = us.is_none_or(|us| us > below.as_micros());
            let took = us.map_or_else(|| "endless".to_owned(), format::micros);
            Some(slow.then(|| format!("p{} of {} is {took}, above {below}", quantile * 100.0, one.probe)))
        }
        // `check` refuses these.
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::{Drill, S, bin};
    use firedrill_wire::Share;

    use super::*;
    use crate::{
        log::Sample,
        plan::model::{Asks, Metric, MetricGoal, Phase},
    };

    fn condition(objective: &str) -> AbortOn {
        AbortOn { objective: objective.to_owned(), over: Span::secs(10) }
    }

    #[test]
    fn an_objective_of_a_metric_trips_by_its_newest_samples_and_is_blind_without() {
        let mut plan = Drill::one().plan();
        plan.metrics = vec![Metric {
            name: "errors".to_owned(),
            source: "prom".to_owned(),
            asks: Asks::One { query: "x".to_owned() },
            goal: MetricGoal::Below(0.5),
            every: Span::secs(2),
            lag: Span::secs(1),
            stale_after: Span::secs(5),
            during: vec![Phase::Fault],
        }];
        let window = Window::new(Span::secs(60), Span::secs(3));
        let mut seen = Seen::new(&plan);
        let look =
            |seen: &Seen, second: i64| violated(&plan, &window, seen, &condition("errors"), second * S);
        assert_eq!(look(&seen, 1), None, "nothing was asked");
        let sample = |second: i64, value: f64| Sample {
            at_us: second * S,
            window_us: 0,
            age_us: 0,
            low: Some(value),
            high: Some(value),
            total: None,
            series: 1,
            lacks: None,
        };
        seen.take("errors", 10 * S, &[sample(8, 0.1), sample(10, 0.2)], None);
        assert_eq!(look(&seen, 11), Some(None));
        seen.take("errors", 12 * S, &[sample(12, 0.7)], None);
        assert_eq!(look(&seen, 13), Some(Some("0.7, not below 0.5".to_owned())));
        seen.take("errors", 24 * S, &[sample(24, 0.1)], None);
        assert_eq!(look(&seen, 25), Some(None), "the window has moved on");
        seen.take("errors", 26 * S, &[], Some("no answer"));
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
            plan.objectives.iter().find(|one| wanted(&one.goal)).expect("both are there").name.clone()
        };
        let look = |window: &Window, latency: bool| {
            violated(&plan, window, &seen, &condition(&name(latency)), 20 * S)
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
