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
    score::metric::shows,
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
    samples: VecDeque<Sample>,
    /// Why the newest question had no answer.
    failed: Option<String>,
}

impl Newest {
    /// Returns the samples that show something, in the order of time.
    fn shown(&self, metric: &Metric) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| shows(metric.goal, sample))
    }

    /// Returns the newest sample that shows something, unless it is overdue.
    fn newest(&self, metric: &Metric, timeout: Span, now_us: i64) -> Option<&Sample> {
        let newest = self.shown(metric).max_by_key(|sample| sample.at_us)?;
        let overdue = signed(metric.overdue_after(timeout).as_micros());
        (newest.at_us >= now_us.saturating_sub(overdue)).then_some(newest)
    }
}

impl Seen {
    /// Keeps samples as long as any guard needs.
    pub(in crate::run) fn new(plan: &Plan) -> Self {
        let longest = plan.guard.abort_on.iter().map(|one| one.over).max().unwrap_or_default();
        Self { all: BTreeMap::new(), keep_us: signed((longest + Span::secs(600)).as_micros()) }
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
        one.samples.extend(samples.iter().cloned());
        let from_us = until_us.saturating_sub(self.keep_us);
        while one.samples.front().is_some_and(|sample| sample.at_us < from_us) {
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
    use firedrill_judge::testing::{Drill, S};

    use super::*;
    use crate::{
        log::Lack,
        plan::model::{Asks, Phase},
    };

    #[test]
    fn the_end_of_an_increase_is_shown_by_a_sample_that_is_only_about_the_time_after_it() {
        let metric = Metric {
            name: "orders".to_owned(),
            source: "prom".to_owned(),
            asks: Asks::One { query: "x".to_owned() },
            goal: MetricGoal::IncreaseBelow(1.0),
            every: Span::secs(5),
            lag: Span::secs(5),
            stale_after: Span::secs(30),
            window: Span::ZERO,
            unit: String::new(),
            during: vec![Phase::Fault],
        };
        let mut seen = Seen::new(&Drill::one().plan());
        let mut shows = |second: i64, age: i64, lacks: Option<Lack>, unsure_us: i64| {
            let sample = Sample {
                at_us: second * S,
                window_us: 0,
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
}
