//! Makes samples of the points of an answer. A value that is missing, too old or not certain shows nothing, and says why.

use std::time::Duration;

use firedrill_sources::{Behind, Lacks, Point};
use firedrill_wire::Span;

use super::super::super::clock::signed;
use crate::{
    log::{Lack, Sample},
    plan::model::{Metric, MetricGoal},
};

/// The points of an answer: of values, of all events for a share, and what is behind them.
pub(super) struct Answer {
    pub(super) values: Vec<Point>,
    pub(super) total: Option<Vec<Point>>,
    pub(super) behind: Option<Vec<Behind>>,
    /// The most by which a point's time differs from the moment that it is about.
    pub(super) within_us: u64,
}

impl Answer {
    /// Returns the sample of a moment; times are of the source's clock. `window_us` is the time that a value describes.
    pub(super) fn sample(&self, metric: &Metric, window_us: i64, at_us: i64) -> Sample {
        let mut sample = Sample {
            at_us,
            window_us,
            own_us: signed(metric.window.as_micros()),
            age_us: 0,
            low: None,
            high: None,
            total: None,
            series: 0,
            behind: Vec::new(),
            lacks: None,
            lost: 0,
        };
        let behind = self.behind.as_ref().map(|all| {
            let own = nearest(all, |one| one.at_us, at_us, self.within_us);
            own.cloned().unwrap_or_default()
        });
        if let Some(behind) = &behind {
            sample.behind.clone_from(&behind.series);
        }
        let at = |points: &[Point]| nearest(points, |point| point.at_us, at_us, self.within_us).copied();
        let Some(value) = at(&self.values) else {
            sample.lacks = Some(Lack::Empty);
            return sample;
        };
        let total = match self.total.as_deref().map(at) {
            Some(None) => {
                (sample.series, sample.lacks) = (value.series, Some(Lack::Empty));
                return sample;
            }
            total => total.flatten(),
        };
        sample.total = total.and_then(|total| number(total.high));
        // Without an age there are no data behind the value: it is made from nothing.
        let age_us = behind.map(|behind| behind.age.and_then(age_us));
        sample.age_us = age_us.flatten().unwrap_or(0);
        let is_old =
            |age_us: Option<i64>| age_us.is_none_or(|age_us| age_us > signed(metric.stale_after.as_micros()));
        let is_old = age_us.is_some_and(is_old);
        let told = value.lacks.or(total.and_then(|total| total.lacks));
        let open = is_open(metric.goal, &value) || total.is_some_and(|total| is_open(metric.goal, &total));
        let lacks = told.or_else(|| open.then_some(Lacks::Sampled));
        let one = matches!(metric.goal, MetricGoal::Good(_) | MetricGoal::IncreaseBelow(_));
        let all = || std::iter::once(&value).chain(&total);
        let several_values = |point: &Point| point.series.max(point.lists) > 1 || point.mixed;
        let several = one && all().any(several_values);
        sample.series =
            if one && several_values(&value) { value.series.max(value.lists) } else { value.series };
        // What is known of old data tells nothing of this moment, and an estimate is no bound.
        if !(lacks.is_some() && (is_old || told.is_none())) {
            (sample.low, sample.high) = (number(value.low), number(value.high));
        }
        if let Some((lack, lost)) = lacks.map(lacking) {
            (sample.lacks, sample.lost) = (Some(lack), lost);
            return sample;
        }
        // Nothing can be counted with what is infinite; beside a bound it is a value.
        let is_none = |point: &Point| point.nan || one && !(point.low.is_finite() && point.high.is_finite());
        sample.lacks = if is_old {
            Some(Lack::Stale)
        } else if several {
            Some(Lack::Several)
        } else {
            all().any(is_none).then_some(Lack::NotANumber)
        };
        sample
    }
}

/// Whether events that were not sent may decide, because the value is an estimate.
fn is_open(goal: MetricGoal, point: &Point) -> bool {
    let Some((least, most)) = point.sampled else { return false };
    match goal {
        MetricGoal::Below(bound) => !(most < bound || least >= bound),
        MetricGoal::Above(bound) => !(least > bound || most <= bound),
        MetricGoal::Good(_) | MetricGoal::IncreaseBelow(_) => true,
    }
}

/// Returns what is nearest to a moment, of what is in the order of time.
fn nearest<T>(all: &[T], time: impl Fn(&T) -> i64, at_us: i64, within_us: u64) -> Option<&T> {
    let next = all.partition_point(|one| time(one) < at_us);
    let near = all.get(next.saturating_sub(1)..all.len().min(next + 1))?;
    near.iter()
        .filter(|one| time(one).abs_diff(at_us) <= within_us)
        .min_by_key(|one| time(one).abs_diff(at_us))
}

/// Returns the lack of a value as the log has it, with the number of what was lost.
const fn lacking(lacks: Lacks) -> (Lack, u64) {
    match lacks {
        Lacks::Dropped(packets) => (Lack::Dropped, packets),
        Lacks::Unreadable(lines) => (Lack::Unreadable, lines),
        Lacks::Late(lines) => (Lack::Late, lines),
        Lacks::TooMany => (Lack::TooMany, 0),
        Lacks::Silent => (Lack::Silent, 0),
        Lacks::OtherForm => (Lack::OtherType, 0),
        Lacks::OnlyChanges => (Lack::OnlyChanges, 0),
        Lacks::Sampled => (Lack::Sampled, 0),
    }
}

/// Returns a number as JSON can hold it; what is infinite becomes the largest number.
fn number(value: f64) -> Option<f64> {
    (!value.is_nan()).then(|| value.clamp(f64::MIN, f64::MAX))
}

/// Returns an age in seconds as microseconds; the source's clock may be a little behind its own data.
fn age_us(seconds: f64) -> Option<i64> {
    let span = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    Some(signed(Span(span).as_micros()))
}

#[cfg(test)]
mod tests;
