//! Keeps the newest samples of each metric, for guards, the baseline, and the decision how long an attack waits for its verdict. Never
//! asks a source, and judges nothing.

use std::collections::{BTreeMap, VecDeque};

use firedrill_wire::Span;

use super::super::clock::signed;
use crate::{
    log::Sample,
    plan::{
        Plan,
        model::{Metric, MetricGoal},
    },
    score::metric::{Showing, shows},
};

/// The newest samples of all metrics.
#[derive(Debug, Default)]
pub(in crate::run) struct Seen {
    /// By the names of the metrics.
    metrics: BTreeMap<String, Newest>,
    /// Time for which samples are kept, in microseconds.
    keep_us: i64,
}

/// The newest samples of one metric.
#[derive(Debug, Default)]
struct Newest {
    /// The newest moment that the source answered for; `None` before the first answer.
    until_us: Option<i64>,
    /// For each answer its newest moment, and the uncertainty of the source's clock then, in microseconds. The uncertainty shrinks with
    /// each answer.
    unsure: VecDeque<(i64, i64)>,
    /// Each sample, and whether it is usable together with the samples before it.
    samples: VecDeque<(Sample, bool)>,
    /// Decides which samples are usable. `None` for a metric that the plan does not have: then all are.
    showing: Option<Showing>,
    /// The beginning of the newest attack, until the first sample of the attack arrives.
    attack_us: Option<i64>,
    /// The reason why the newest question had no answer; `None` if it had one.
    failed: Option<String>,
}

impl Newest {
    /// Returns whether the next sample is usable together with the earlier samples of its attack.
    fn is_usable(&mut self, sample: &Sample) -> bool {
        let begins = self.attack_us.take_if(|us| *us <= sample.at_us).is_some();
        self.showing.as_mut().is_none_or(|showing| {
            if begins {
                showing.forget();
            }
            showing.shows(sample)
        })
    }

    /// Returns the usable samples, in the order of time.
    fn shown(&self, metric: &Metric) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(|(sample, usable)| *usable && shows(metric.goal, sample))
            .map(|(sample, _)| sample)
    }

    /// Returns the newest usable sample; `None` if there is none, or if it is overdue.
    fn newest(&self, metric: &Metric, timeout: Span, now_us: i64) -> Option<&Sample> {
        let newest = self.shown(metric).max_by_key(|sample| sample.at_us)?;
        let overdue = signed(metric.overdue_after(timeout).as_micros());
        (newest.at_us >= now_us.saturating_sub(overdue)).then_some(newest)
    }
}

impl Seen {
    /// Begins without samples. Samples are kept as long as the longest guard or settling time of the plan needs, and ten minutes more.
    pub(in crate::run) fn new(plan: &Plan) -> Self {
        let guards = plan.guard.abort_on.iter().map(|guard| guard.over);
        let settling = plan.attacks.iter().map(|attack| attack.settle);
        let longest = guards.chain(settling).max().unwrap_or_default();
        let metrics = plan.metrics.iter().map(|metric| {
            let showing = Some(Showing::new(plan, metric));
            (metric.name.clone(), Newest { showing, ..Newest::default() })
        });
        Self { metrics: metrics.collect(), keep_us: signed((longest + Span::secs(600)).as_micros()) }
    }

    /// Notes that an attack begins at a moment: from then on, series that ended before the attack are not counted as missing.
    pub(in crate::run) fn attack_begins(&mut self, us: i64) {
        self.metrics.values_mut().for_each(|newest| newest.attack_us = Some(us));
    }

    /// Notes a source's answer about a metric, or the reason why there was no answer. `until_us` is the newest moment of the answer,
    /// and `unsure_us` the uncertainty of the source's clock.
    pub(in crate::run) fn take(
        &mut self,
        objective: &str,
        (until_us, unsure_us): (i64, i64),
        samples: &[Sample],
        failed: Option<&str>,
    ) {
        let metric = self.metrics.entry(objective.to_owned()).or_default();
        metric.failed = failed.map(str::to_owned);
        if failed.is_some() {
            return;
        }
        metric.until_us = Some(until_us);
        metric.unsure.push_back((until_us, unsure_us));
        for sample in samples {
            let usable = metric.is_usable(sample);
            metric.samples.push_back((sample.clone(), usable));
        }
        let from_us = until_us.saturating_sub(self.keep_us);
        while metric.samples.front().is_some_and(|(sample, _)| sample.at_us < from_us) {
            metric.samples.pop_front();
        }
        while metric.unsure.front().is_some_and(|(at_us, _)| *at_us < from_us) {
            metric.unsure.pop_front();
        }
    }

    /// Whether the source has answered for all moments of a metric up to `us`.
    pub(in crate::run) fn is_known_until(&self, metric: &Metric, us: i64) -> bool {
        self.metrics.get(&metric.name).and_then(|newest| newest.until_us).is_some_and(|until| until >= us)
    }

    /// Whether there is a usable sample that is certainly about the time after `us` only. Assumes the largest uncertainty of the source's
    /// clock so far, because the verdict may use that one.
    pub(in crate::run) fn shows_after(&self, metric: &Metric, us: i64) -> bool {
        self.metrics.get(&metric.name).is_some_and(|newest| {
            let unsure_us = newest.unsure.iter().map(|(_, unsure_us)| *unsure_us).max().unwrap_or(0);
            newest.shown(metric).any(|sample| sample.from_us() >= us.saturating_add(unsure_us))
        })
    }

    /// Returns the usable samples of the time `over` up to the newest usable sample; `None` if that sample is overdue.
    pub(in crate::run) fn window(
        &self,
        metric: &Metric,
        timeout: Span,
        over: Span,
        now_us: i64,
    ) -> Option<Vec<&Sample>> {
        let samples = self.metrics.get(&metric.name)?;
        let newest = samples.newest(metric, timeout, now_us)?.at_us;
        let from = newest.saturating_sub(signed(over.as_micros()));
        Some(samples.shown(metric).filter(|sample| sample.at_us > from).collect())
    }

    /// Returns the usable samples of the time `over` up to the newest usable sample that are only about the time since `since_us`, less
    /// the uncertainty of the source's clock. For an increase, the last sample before that time is included, because the increase is
    /// counted from it. The list is empty while the source cannot yet have enough samples. `None` if it should have enough but has not, or
    /// if the newest usable sample is overdue.
    pub(in crate::run) fn since(
        &self,
        metric: &Metric,
        timeout: Span,
        over: Span,
        (since_us, now_us): (i64, i64),
    ) -> Option<Vec<&Sample>> {
        let samples = self.metrics.get(&metric.name)?;
        let newest = samples.newest(metric, timeout, now_us)?;
        let unsure_us = samples.unsure.back().map_or(0, |(_, unsure_us)| *unsure_us);
        let steps = usize::from(matches!(metric.goal, MetricGoal::IncreaseBelow(_)));
        let own =
            samples.shown(metric).filter(|sample| sample.from_us() >= since_us.saturating_sub(unsure_us));
        let own: Vec<&Sample> = own.collect();
        let from_us = newest.at_us.saturating_sub(signed(over.as_micros()));
        let first = own.partition_point(|sample| sample.at_us <= from_us).saturating_sub(steps);
        let own = own.get(first..).unwrap_or_default();
        if own.len() > steps {
            return Some(own.to_vec());
        }
        let reach_us = newest.at_us.saturating_sub(newest.from_us());
        let step_us = if steps > 0 { signed(metric.every.as_micros()) } else { 0 };
        let first_us = since_us + reach_us + step_us + signed(metric.overdue_after(timeout).as_micros());
        (now_us <= first_us).then(Vec::new)
    }

    /// Returns the reason why the newest question about a metric had no answer; `None` if it had one.
    pub(in crate::run) fn failure(&self, metric: &Metric) -> Option<&str> {
        self.metrics.get(&metric.name)?.failed.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::{Drill, S, metric};

    use super::*;
    use crate::{
        log::Lack,
        plan::model::{Asks, Source},
    };

    #[test]
    fn only_a_sample_about_the_time_after_the_end_shows_the_end_of_an_increase() {
        let metric = Metric {
            name: "orders".to_owned(),
            every: Span::secs(5),
            lag: Span::secs(5),
            stale_after: Span::secs(30),
            ..metric(MetricGoal::IncreaseBelow(1.0))
        };
        let mut seen = Seen::new(&Drill::one().plan());
        let mut shows = |second: i64, age: i64, lacks: Option<Lack>, unsure_us: i64| {
            let sample = Sample {
                at_us: second * S,
                window_us: 0,
                own_us: 0,
                age_us: age * S,
                low: Some(1.0),
                high: Some(1.0),
                total: None,
                series: 1,
                behind: Vec::new(),
                lacks,
                lost: 0,
            };
            seen.take("orders", (second * S, unsure_us), &[sample], None);
            (seen.is_known_until(&metric, 105 * S), seen.shows_after(&metric, 100 * S))
        };
        assert_eq!(shows(100, 12, None, S), (false, false));
        assert_eq!(shows(105, 12, None, 1_000), (true, false), "the sample's data are from before the end");
        assert_eq!(shows(106, 0, Some(Lack::Empty), 1_000), (true, false));
        assert_eq!(
            shows(110, 10, None, 1_000),
            (true, false),
            "at first the clock was known only to one second"
        );
        assert_eq!(shows(111, 10, None, 1_000), (true, true));
    }

    fn sample(second: i64, behind: u32, value: f64) -> Sample {
        Sample {
            at_us: second * S,
            window_us: 0,
            own_us: 0,
            age_us: 0,
            low: Some(value),
            high: Some(value),
            total: None,
            series: 1,
            behind: vec![behind],
            lacks: None,
            lost: 0,
        }
    }

    /// Returns a plan with one metric whose values must stay above 100.
    fn orders() -> (Plan, Metric) {
        let metric = Metric {
            name: "orders".to_owned(),
            asks: Asks::One { query: "sum(rate(orders_total[10s]))".to_owned() },
            every: Span::secs(5),
            lag: Span::secs(5),
            stale_after: Span::secs(30),
            ..metric(MetricGoal::Above(100.0))
        };
        let kind =
            serde_json::from_str(r#"{"prometheus":{"url":"http://10.1.0.9:9090"}}"#).expect("a source");
        let (name, timeout, names) = ("prom".to_owned(), Span::secs(5), BTreeMap::new());
        let mut plan = Drill::one().plan();
        plan.sources = vec![Source { name, kind, timeout, names }];
        plan.metrics = vec![metric.clone()];
        (plan, metric)
    }

    #[test]
    fn a_sum_below_its_bound_is_not_usable_while_it_lacks_a_series_of_its_attack() {
        let (plan, metric) = orders();
        let mut seen = Seen::new(&plan);
        let mut after = |second: i64, behind: u32, value: f64, begins: Option<i64>| -> Vec<i64> {
            begins.into_iter().for_each(|second| seen.attack_begins(second * S));
            seen.take("orders", (second * S, 1_000), &[sample(second, behind, value)], None);
            let window = seen.window(&metric, Span::secs(5), Span::secs(60), second * S);
            window.unwrap_or_default().iter().map(|sample| sample.at_us / S).collect()
        };
        assert_eq!(after(10, 4, 120.0, None), [10]);
        assert_eq!(after(15, 3, 90.0, None), [10], "with the missing series, the sum may be 120");
        assert_eq!(after(20, 3, 101.0, None), [10, 20]);
        assert_eq!(after(25, 3, 90.0, Some(26)), [10, 20], "the sample is from before the attack");
        assert_eq!(
            after(30, 3, 90.0, None),
            [10, 20, 30],
            "the fourth series ended before the attack, so the attack does not miss it"
        );
        assert_eq!(after(35, 0, 120.0, None), [10, 20, 30], "the value has no series behind it");
    }

    #[test]
    fn samples_are_kept_as_long_as_settling_looks_back() {
        let (mut plan, metric) = orders();
        plan.attacks[0].settle = Span::secs(1_200);
        let mut seen = Seen::new(&plan);
        for second in (0..=1_500).step_by(300) {
            seen.take("orders", (second * S, 1_000), &[sample(second, 4, 120.0)], None);
        }
        let window = seen.window(&metric, Span::secs(5), Span::secs(1_201), 1_500 * S).expect("samples");
        assert_eq!(window.first().map(|sample| sample.at_us), Some(300 * S));
    }
}
