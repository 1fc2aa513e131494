//! Makes samples from the points of a source's answer. A sample without a usable value (missing, too old or not certain) says what it
//! lacks. This module never asks a source.

use std::time::Duration;

use firedrill_sources::{Behind, Lacks, Point};
use firedrill_wire::Span;

use super::super::super::clock::signed;
use crate::{
    log::{Lack, Sample},
    plan::model::{Metric, MetricGoal},
};

/// The points of an answer, each list in the order of time.
pub(super) struct Answer {
    pub(super) values: Vec<Point>,
    /// The counts of all events, if the metric is a share.
    pub(super) total: Option<Vec<Point>>,
    /// The ages and series of the data behind the values, if the source says them.
    pub(super) behind: Option<Vec<Behind>>,
    /// Maximum difference between a point's time and the moment that it belongs to, in microseconds.
    pub(super) within_us: u64,
}

impl Answer {
    /// Returns the sample of a moment, all times by the source's clock. `window_us` is the time that a value describes.
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
        let behind = self.behind.as_ref().map(|points| {
            let own = nearest(points, |point| point.at_us, at_us, self.within_us);
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
        // The source says ages, but not for this value: the value has no data behind it. It counts as old.
        let age_us = behind.map(|behind| behind.age.and_then(age_us));
        sample.age_us = age_us.flatten().unwrap_or(0);
        let is_old =
            |age_us: Option<i64>| age_us.is_none_or(|age_us| age_us > signed(metric.stale_after.as_micros()));
        let is_old = age_us.is_some_and(is_old);
        let said = value.lacks.or(total.and_then(|total| total.lacks));
        let open = is_open(metric.goal, &value) || total.is_some_and(|total| is_open(metric.goal, &total));
        let lacks = said.or_else(|| open.then_some(Lacks::Sampled));
        let needs_one_series = matches!(metric.goal, MetricGoal::Good(_) | MetricGoal::IncreaseBelow(_));
        let points = || std::iter::once(&value).chain(&total);
        let several_values = |point: &Point| point.series.max(point.lists) > 1 || point.mixed;
        let several = needs_one_series && points().any(several_values);
        sample.series = if needs_one_series && several_values(&value) {
            value.series.max(value.lists)
        } else {
            value.series
        };
        // An incomplete value still bounds the true value, except if its data are old, or if it is only an estimate.
        if !(lacks.is_some() && (is_old || said.is_none())) {
            (sample.low, sample.high) = (number(value.low), number(value.high));
        }
        if let Some((lack, lost)) = lacks.map(lacking) {
            (sample.lacks, sample.lost) = (Some(lack), lost);
            return sample;
        }
        // An infinite number cannot be counted with, but it can be compared with a bound.
        let is_none = |point: &Point| {
            point.nan || needs_one_series && !(point.low.is_finite() && point.high.is_finite())
        };
        sample.lacks = if is_old {
            Some(Lack::Stale)
        } else if several {
            Some(Lack::Several)
        } else {
            points().any(is_none).then_some(Lack::NotANumber)
        };
        sample
    }
}

/// Whether the value is an estimate from a part of the events, and the events that were not sent may decide whether the goal is met.
fn is_open(goal: MetricGoal, point: &Point) -> bool {
    let Some((least, most)) = point.sampled else { return false };
    match goal {
        MetricGoal::Below(bound) => !(most < bound || least >= bound),
        MetricGoal::Above(bound) => !(least > bound || most <= bound),
        MetricGoal::Good(_) | MetricGoal::IncreaseBelow(_) => true,
    }
}

/// Returns the item nearest to a moment. `items` are in the order of time. `None` if no item is within `within_us` of the moment.
fn nearest<T>(items: &[T], time: impl Fn(&T) -> i64, at_us: i64, within_us: u64) -> Option<&T> {
    let next = items.partition_point(|item| time(item) < at_us);
    let near = items.get(next.saturating_sub(1)..items.len().min(next + 1))?;
    near.iter()
        .filter(|item| time(item).abs_diff(at_us) <= within_us)
        .min_by_key(|item| time(item).abs_diff(at_us))
}

/// Converts a value's lack to the form in the log, with the number of packets or lines that were lost.
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

/// Returns a number that JSON can hold: an infinite one becomes the largest or smallest finite number. `None` for NaN.
fn number(value: f64) -> Option<f64> {
    (!value.is_nan()).then(|| value.clamp(f64::MIN, f64::MAX))
}

/// Converts an age in seconds to microseconds; a negative age becomes 0, because the source's clock may be a little behind its own data.
/// `None` if the age is not finite or too large.
fn age_us(seconds: f64) -> Option<i64> {
    let span = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    Some(signed(Span(span).as_micros()))
}

#[cfg(test)]
mod tests;
