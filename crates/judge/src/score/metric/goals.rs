//! The goals of metrics: which samples count, and what they show.

use firedrill_plan::plan::model::{Metric, MetricGoal};

use super::showing::{Showing, breaks, shows};
use crate::{
    log::{Lack, Sample},
    score::{
        format,
        metric_card::{GapCard, PointCard},
        part::Stretch,
        sampled::within,
    },
    verdict::Verdict,
};

/// The samples of an attack.
pub(super) struct Seen<'s> {
    /// The samples that count, in the order of time.
    pub(super) counted: Vec<&'s Sample>,
    /// The samples that show something, also outside the judged time.
    pub(super) shown: Vec<&'s Sample>,
    /// The samples that show nothing, also outside the judged time.
    lacking: Vec<&'s Sample>,
    /// Samples with fewer series than an earlier one: the series that left cannot be judged, and the others do not violate the goal.
    pub(super) fewer: Vec<&'s Sample>,
}

/// The finding about the goal of a metric.
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    pub(super) value: Option<f64>,
    pub(super) at_us: Option<i64>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

impl<'s> Seen<'s> {
    /// Sorts samples, which are in the order of time, by what they show in some stretches.
    pub(super) fn of(metric: &Metric, mut showing: Showing, near: &[&'s Sample], all: &[Stretch]) -> Self {
        let (mut shown, mut lacking) = (Vec::new(), Vec::new());
        let (mut counted, mut fewer) = (Vec::new(), Vec::new());
        for one in near {
            let cut = showing.is_cut(one);
            if !shows(metric.goal, one) {
                lacking.push(*one);
                continue;
            }
            shown.push(*one);
            if !all.iter().any(|stretch| stretch.holds(one.from_us(), one.at_us)) {
                continue;
            }
            if cut { fewer.push(*one) } else { counted.push(*one) }
        }
        Self { counted, shown, lacking, fewer }
    }

    /// Returns a sample as it is drawn.
    pub(super) fn point(&self, metric: &Metric, one: &Sample) -> PointCard {
        let same = within(&self.counted, |one| one.at_us, one.at_us, one.at_us);
        let counts = same.iter().any(|other| std::ptr::eq(*other, one));
        let value = shows(metric.goal, one).then(|| worst(metric.goal, one)).flatten();
        PointCard { at_us: one.at_us, value, counts }
    }

    /// Judges the goal; `gaps` are those in the judged stretches.
    pub(super) fn judge(&self, metric: &Metric, gaps: &[GapCard], all: &[Stretch]) -> Found {
        let mut found = match metric.goal {
            MetricGoal::Below(_) | MetricGoal::Above(_) => self.bound(metric.goal),
            MetricGoal::Good(share) => self.share(share.fraction()),
            MetricGoal::IncreaseBelow(bound) => return self.increase(metric, bound, all),
        };
        let decided = found.verdict == Verdict::Violated && !matches!(metric.goal, MetricGoal::Good(_));
        if self.counted.is_empty() {
            let why = gaps.first().map_or_else(|| "no phase was judged".to_owned(), |gap| gap.why.clone());
            (found.verdict, found.why) = (Verdict::Unknown, format!("no sample shows anything: {why}"));
        } else if let Some(gap) = gaps.first().filter(|_| !decided) {
            let more = if gaps.len() > 1 { format!(" ({} such gaps)", gaps.len()) } else { String::new() };
            let missing: i64 = gaps.iter().map(|gap| gap.until_us - gap.from_us).sum();
            let why = format!(
                "{} of the judged time are not known, the first from {} to {}{more}: {}",
                format::time(missing),
                format::clock(gap.from_us),
                format::clock(gap.until_us),
                gap.why
            );
            (found.verdict, found.why) = (Verdict::Unknown, why);
        }
        found
    }

    /// Judges a goal that bounds every sample.
    fn bound(&self, goal: MetricGoal) -> Found {
        let badness = |one: &&&Sample| match goal {
            MetricGoal::Above(_) => -one.low.unwrap_or(f64::INFINITY),
            _ => one.high.unwrap_or(f64::NEG_INFINITY),
        };
        let worst_one = self.counted.iter().max_by(|a, b| badness(a).total_cmp(&badness(b)));
        let value = worst_one.and_then(|one| worst(goal, one));
        let bad = self.counted.iter().filter(|one| breaks(goal, one)).count();
        let all = self.counted.len();
        let at_us = worst_one.map(|one| one.at_us);
        let worst_value = value.map_or_else(String::new, format::value);
        let when = format::clock(at_us.unwrap_or(0));
        let beyond = |side: &str, bound: f64| {
            let are = if bad == 1 { "is" } else { "are" };
            format!(
                "{bad} of {all} samples {are} not {side} {}; the worst is {worst_value} at {when}",
                format::value(bound)
            )
        };
        let (verdict, why) = match goal {
            MetricGoal::Above(bound) if bad > 0 => (Verdict::Violated, beyond("above", bound)),
            MetricGoal::Below(bound) if bad > 0 => (Verdict::Violated, beyond("below", bound)),
            _ => (Verdict::Held, format!("the worst of {all} samples is {worst_value} at {when}")),
        };
        Found { verdict, why, value, at_us, low: None, high: None }
    }

    /// Judges a share of good events. The events of all users were counted, so the share has no interval.
    fn share(&self, wanted: f64) -> Found {
        let (good, total) = sums(&self.counted);
        let unknown = |why: &str| Found {
            verdict: Verdict::Unknown,
            why: why.to_owned(),
            value: None,
            at_us: None,
            low: None,
            high: None,
        };
        if total <= 0.0 {
            return unknown("there were no events");
        }
        let share = good / total;
        if !share.is_finite() || !total.is_finite() {
            return unknown("the events are more than can be counted");
        }
        let share = share.clamp(0.0, 1.0);
        let verdict = if share >= wanted { Verdict::Held } else { Verdict::Violated };
        let why = format!(
            "{} were good in {} samples, {} wanted",
            format::percent(share),
            self.counted.len(),
            format::percent(wanted)
        );
        Found { verdict, why, value: Some(share), at_us: None, low: None, high: None }
    }

    /// Judges the increase of a counter. It is at least the increase between samples that are certainly in the phases, and at most that
    /// between the samples around them. There is no upper end if the counter fell (it was reset, and its count until then is lost), if series
    /// came or went, or if a sample shows nothing.
    fn increase(&self, metric: &Metric, bound: f64, all: &[Stretch]) -> Found {
        let (mut low, mut high) = (0.0, Some(0.0));
        let mut open: Option<String> = None;
        for stretch in all {
            let inside = self
                .counted
                .iter()
                .copied()
                .filter(|one| stretch.holds(one.from_us(), one.at_us))
                .collect::<Vec<_>>();
            low += Rises::of(&inside).sum;
            let edge = stretch.perhaps();
            let before = self.shown.partition_point(|one| one.at_us <= edge.start).checked_sub(1);
            let after = self.shown.iter().position(|one| one.from_us() >= edge.end);
            let (Some(before), Some(after)) = (before, after) else {
                (high, open) = (None, Some("there is no sample before or after it".to_owned()));
                continue;
            };
            let around = self.shown.get(before..=after).unwrap_or_default();
            let rises = Rises::of(around);
            let far = i64::try_from(metric.stale_after.as_micros()).unwrap_or(i64::MAX);
            let gap = around.windows(2).any(|pair| pair[1].at_us - pair[0].at_us > far);
            let (first, last) = around.first().zip(around.last()).map_or((0, 0), |(a, b)| (a.at_us, b.at_us));
            let lacking = within(&self.lacking, |one| one.at_us, first, last);
            let why = if rises.reset {
                Some(
                    "the counter fell, so it was reset, and what it had counted until then is lost"
                        .to_owned(),
                )
            } else if rises.changed {
                Some("series came or went, and what they had counted is not known".to_owned())
            } else if let Some(lack) = lacking.iter().find_map(|one| one.lacks) {
                let count = lacking.len();
                let s = if count == 1 { "" } else { "s" };
                let so = match lack {
                    Lack::Dropped | Lack::Unreadable | Lack::Late | Lack::Sampled => {
                        "so it may have increased by more"
                    }
                    _ => "at which it may have been reset",
                };
                Some(format!("{count} sample{s} {} in or around it, {so}", lack.word()))
            } else if gap {
                Some("samples are missing, in which it may have been reset".to_owned())
            } else {
                None
            };
            if why.is_some() {
                (high, open) = (None, why);
            } else {
                high = high.map(|high: f64| high + rises.sum);
            }
        }
        let text = |high: Option<f64>| match high {
            Some(high) if high > low => {
                format!("it increased by {} to {}", format::value(low), format::value(high))
            }
            Some(_) => format!("it increased by {}", format::value(low)),
            None => format!("it increased by {} at least", format::value(low)),
        };
        let (verdict, why) = match high {
            _ if low >= bound && !self.counted.is_empty() => (Verdict::Violated, text(high)),
            Some(most) if most < bound && !all.is_empty() => (Verdict::Held, text(high)),
            _ => (
                Verdict::Unknown,
                format!(
                    "{}; {}",
                    text(high),
                    open.as_deref().unwrap_or("samples on either side of an edge leave it open")
                ),
            ),
        };
        let value = if self.counted.is_empty() { None } else { Some(high.unwrap_or(low)) };
        Found { verdict, why, value, at_us: None, low: Some(low), high }
    }
}

/// The rise of a counter between samples.
#[derive(Default)]
struct Rises {
    /// The sum of the rises, without the steps at which it fell or its series changed.
    sum: f64,
    /// Whether it fell.
    reset: bool,
    /// Whether its series changed in a step.
    changed: bool,
}

impl Rises {
    fn of(samples: &[&Sample]) -> Self {
        let mut rises = Self::default();
        for pair in samples.windows(2) {
            let (Some(from), Some(to)) = (pair[0].high, pair[1].high) else { continue };
            if pair[0].series != pair[1].series || !same(&pair[0].behind, &pair[1].behind) {
                rises.changed = true;
            } else if to < from {
                rises.reset = true;
            } else {
                rises.sum += to - from;
            }
        }
        rises
    }
}

/// Whether two samples have the same numbers of series behind them. A number that is missing at the end counts as 0.
fn same(one: &[u32], other: &[u32]) -> bool {
    let at = |all: &[u32], place: usize| all.get(place).copied().unwrap_or(0);
    (0..one.len().max(other.len())).all(|place| at(one, place) == at(other, place))
}

/// Returns the sums of good and of all events.
fn sums(samples: &[&Sample]) -> (f64, f64) {
    let both = samples.iter().filter_map(|one| Some((one.low?, one.total?)));
    both.fold((0.0, 0.0), |(good, total), (one, all)| (good + one, total + all))
}

/// Returns the worst value of a sample.
fn worst(goal: MetricGoal, one: &Sample) -> Option<f64> {
    match goal {
        MetricGoal::Above(_) => one.low,
        MetricGoal::Good(_) => {
            one.low.zip(one.total).filter(|(_, total)| *total > 0.0).map(|(good, total)| good / total)
        }
        MetricGoal::Below(_) | MetricGoal::IncreaseBelow(_) => one.high,
    }
}

/// Returns how the samples of a moving window violate a goal by themselves, for guards; `None` if they do not.
#[must_use]
pub fn violated_by(metric: &Metric, window: &[&Sample]) -> Option<String> {
    match metric.goal {
        MetricGoal::Below(bound) => {
            let worst = window
                .iter()
                .filter(|one| breaks(metric.goal, one))
                .filter_map(|one| one.high)
                .reduce(f64::max)?;
            Some(format!("{}, not below {}", format::value(worst), format::value(bound)))
        }
        MetricGoal::Above(bound) => {
            let worst = window
                .iter()
                .filter(|one| breaks(metric.goal, one))
                .filter_map(|one| one.low)
                .reduce(f64::min)?;
            Some(format!("{}, not above {}", format::value(worst), format::value(bound)))
        }
        MetricGoal::Good(wanted) => {
            let (good, total) = sums(window);
            let share = good / total;
            (total > 0.0 && total.is_finite() && share < wanted.fraction())
                .then(|| format!("{} good, below {wanted}", format::percent(share)))
        }
        MetricGoal::IncreaseBelow(bound) => {
            let rise = Rises::of(window).sum;
            (rise >= bound).then(|| {
                format!("increased by {}, not by less than {}", format::value(rise), format::value(bound))
            })
        }
    }
}
