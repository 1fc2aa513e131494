//! The newest samples of each metric: for guards, the baseline, and how long an attack waits for its verdict.

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
    all: BTreeMap<String, Newest>,
    keep_us: i64,
}

/// The newest samples of one metric.
#[derive(Debug, Default)]
struct Newest {
    /// The newest moment that the source answered for.
    until_us: Option<i64>,
    /// Uncertainty of the source's clock at each answer. It is told better with each.
    unsure: VecDeque<(i64, i64)>,
    /// Each with whether it shows something beside the ones before it.
    samples: VecDeque<(Sample, bool)>,
    showing: Option<Showing>,
    /// The beginning of an attack of which there is no sample yet.
    attack_us: Option<i64>,
    /// Why the newest question had no answer.
    failed: Option<String>,
}

impl Newest {
    /// Takes the next sample. Returns whether it shows something beside the earlier ones of its attack.
    fn sees(&mut self, sample: &Sample) -> bool {
        let begins = self.attack_us.take_if(|us| *us <= sample.at_us).is_some();
        self.showing.as_mut().is_none_or(|showing| {
            if begins {
                showing.forget();
            }
            showing.shows(sample)
        })
    }

    /// Returns the samples that show something, in the order of time.
    fn shown(&self, metric: &Metric) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|(one, shown)| *shown && shows(metric.goal, one)).map(|(one, _)| one)
    }

    /// Returns the newest sample that shows something, unless it is overdue.
    fn newest(&self, metric: &Metric, timeout: Span, now_us: i64) -> Option<&Sample> {
        let newest = self.shown(metric).max_by_key(|sample| sample.at_us)?;
        let overdue = signed(metric.overdue_after(timeout).as_micros());
        (newest.at_us >= now_us.saturating_sub(overdue)).then_some(newest)
    }
}

impl Seen {
    /// Keeps samples as long as any guard and any settling needs.
    pub(in crate::run) fn new(plan: &Plan) -> Self {
        let guards = plan.guard.abort_on.iter().map(|one| one.over);
        let settling = plan.attacks.iter().map(|attack| attack.settle);
        let longest = guards.chain(settling).max().unwrap_or_default();
        let all = plan.metrics.iter().map(|metric| {
            let showing = Some(Showing::new(plan, metric));
            (metric.name.clone(), Newest { showing, ..Newest::default() })
        });
        Self { all: all.collect(), keep_us: signed((longest + Span::secs(600)).as_micros()) }
    }

    /// An attack begins at that moment: series that are not there any more are not missed by it.
    pub(in crate::run) fn attack_begins(&mut self, us: i64) {
        self.all.values_mut().for_each(|one| one.attack_us = Some(us));
    }

    /// An answer, or that there was none.
    pub(in crate::run) fn take(
        &mut self,
        objective: &str,
        (until_us, unsure_us): (i64, i64),
        samples: &[Sample],
        failed: Option<&str>,
    ) {
        let one = self.all.entry(objective.to_owned()).or_default();
        one.failed = failed.map(str::to_owned);
        if failed.is_some() {
            return;
        }
        one.until_us = Some(until_us);
        one.unsure.push_back((until_us, unsure_us));
        for sample in samples {
            let shown = one.sees(sample);
            one.samples.push_back((sample.clone(), shown));
        }
        let from_us = until_us.saturating_sub(self.keep_us);
        while one.samples.front().is_some_and(|(sample, _)| sample.at_us < from_us) {
            one.samples.pop_front();
        }
        while one.unsure.front().is_some_and(|(at_us, _)| *at_us < from_us) {
            one.unsure.pop_front();
        }
    }

    /// Whether a source has answered for all moments of a metric up to that one.
    pub(in crate::run) fn is_known_until(&self, metric: &Metric, us: i64) -> bool {
        self.all.get(&metric.name).and_then(|one| one.until_us).is_some_and(|until| until >= us)
    }

    /// Whether a sample that shows something is certainly about the time after a moment only, with the largest uncertainty of the
    /// source's clock that a verdict may count with.
    pub(in crate::run) fn shows_after(&self, metric: &Metric, us: i64) -> bool {
        self.all.get(&metric.name).is_some_and(|one| {
            let unsure_us = one.unsure.iter().map(|(_, unsure_us)| *unsure_us).max().unwrap_or(0);
            one.shown(metric).any(|sample| sample.from_us() >= us.saturating_add(unsure_us))
        })
    }

    /// Returns the samples of the last `over` before the newest moment that could be known; `None` if the newest that shows
    /// something is overdue.
    pub(in crate::run) fn window(
        &self,
        metric: &Metric,
        timeout: Span,
        over: Span,
        now_us: i64,
    ) -> Option<Vec<&Sample>> {
        let one = self.all.get(&metric.name)?;
        let newest = one.newest(metric, timeout, now_us)?.at_us;
        let from = newest.saturating_sub(signed(over.as_micros()));
        Some(one.shown(metric).filter(|sample| sample.at_us > from).collect())
    }

    /// Returns the samples of the last `over` that are only about the time since a moment, less the uncertainty of the source's clock.
    /// An increase has the last one before that time, too, because it is counted from there. There are none as long as the first ones
    /// cannot be known. `None` if the newest that shows something is overdue, or if there are too few later.
    pub(in crate::run) fn since(
        &self,
        metric: &Metric,
        timeout: Span,
        over: Span,
        (since_us, now_us): (i64, i64),
    ) -> Option<Vec<&Sample>> {
        let one = self.all.get(&metric.name)?;
        let newest = one.newest(metric, timeout, now_us)?;
        let unsure_us = one.unsure.back().map_or(0, |(_, unsure_us)| *unsure_us);
        let steps = usize::from(matches!(metric.goal, MetricGoal::IncreaseBelow(_)));
        let own = one.shown(metric).filter(|sample| sample.from_us() >= since_us.saturating_sub(unsure_us));
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

    /// Returns why the newest question about a metric had no answer, if it had none.
    pub(in crate::run) fn failure(&self, metric: &Metric) -> Option<&str> {
        self.all.get(&metric.name)?.failed.as_deref()
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
    fn the_end_of_an_increase_is_shown_by_a_sample_that_is_only_about_the_time_after_it() {
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
        assert_eq!(shows(105, 12, None, 1_000), (true, false), "its data are from before the end");
        assert_eq!(shows(106, 0, Some(Lack::Empty), 1_000), (true, false));
        assert_eq!(shows(110, 10, None, 1_000), (true, false), "the clock was known to a second only");
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

    /// A plan with a metric that has to stay above 100.
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
    fn a_sum_that_lacks_a_series_of_its_attack_shows_nothing_below_its_bound() {
        let (plan, metric) = orders();
        let mut seen = Seen::new(&plan);
        let mut after = |second: i64, behind: u32, value: f64, begins: Option<i64>| -> Vec<i64> {
            begins.into_iter().for_each(|second| seen.attack_begins(second * S));
            seen.take("orders", (second * S, 1_000), &[sample(second, behind, value)], None);
            let window = seen.window(&metric, Span::secs(5), Span::secs(60), second * S);
            window.unwrap_or_default().iter().map(|one| one.at_us / S).collect()
        };
        assert_eq!(after(10, 4, 120.0, None), [10]);
        assert_eq!(after(15, 3, 90.0, None), [10], "the truth may be 120");
        assert_eq!(after(20, 3, 101.0, None), [10, 20]);
        assert_eq!(after(25, 3, 90.0, Some(26)), [10, 20], "a sample of the time before the attack");
        assert_eq!(
            after(30, 3, 90.0, None),
            [10, 20, 30],
            "the fourth has not been there since the attack began"
        );
        assert_eq!(after(35, 0, 120.0, None), [10, 20, 30], "made from nothing");
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
        assert_eq!(window.first().map(|one| one.at_us), Some(300 * S));
    }
}
