//! The newest samples of each metric: for guards, the baseline, and how long an attack waits for its verdict.

use std::collections::{BTreeMap, VecDeque};

use firedrill_wire::Span;

use super::super::clock::signed;
use crate::{
    log::Sample,
    plan::{Plan, model::Metric},
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
    samples: VecDeque<Sample>,
    /// Why the newest question had no answer.
    failed: Option<String>,
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
        until_us: i64,
        samples: &[Sample],
        failed: Option<&str>,
    ) {
        let one = self.all.entry(objective.to_owned()).or_default();
        one.failed = failed.map(str::to_owned);
        if failed.is_some() {
            return;
        }
        one.until_us = Some(until_us);
        one.samples.extend(samples.iter().cloned());
        while one.samples.front().is_some_and(|sample| sample.at_us < until_us.saturating_sub(self.keep_us)) {
            one.samples.pop_front();
        }
    }

    /// Whether a source has answered for all moments of a metric up to that one.
    pub(in crate::run) fn is_known_until(&self, metric: &Metric, us: i64) -> bool {
        self.all.get(&metric.name).and_then(|one| one.until_us).is_some_and(|until| until >= us)
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
        let shows = |sample: &&Sample| sample.lacks.is_none();
        let newest = one.samples.iter().filter(shows).map(|sample| sample.at_us).max()?;
        let overdue = signed(metric.overdue_after(timeout).as_micros());
        if newest < now_us.saturating_sub(overdue) {
            return None;
        }
        let from = newest.saturating_sub(signed(over.as_micros()));
        Some(one.samples.iter().filter(shows).filter(|sample| sample.at_us > from).collect())
    }

    /// Returns why the newest question about a metric had no answer, if it had none.
    pub(in crate::run) fn failure(&self, metric: &Metric) -> Option<&str> {
        self.all.get(&metric.name)?.failed.as_deref()
    }
}
