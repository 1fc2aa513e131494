//! Compares a run with several others: whether it is worse than is usual.
//!
//! Two runs of one system differ though nothing changed: failures come in bursts, caches are warm or cold, neighbours are loud. A
//! single baseline run knows nothing of that; five or more show it. A figure is worse if it exceeds the prediction limit of one more
//! run: on a scale on which runs scatter alike, `x − mean > margin + t(0.95, n − 1) · s · √(1 + 1/n)`, where `s` is the standard
//! deviation between the runs, and no less than the error of the measurements themselves.
//!
//! | figure | scale | margin |
//! |---|---|---|
//! | latency | its logarithm | a part of the usual latency |
//! | time | the logarithm of it and half a second | a part of the usual time |
//! | share | arcsine of the root of the share of bad requests | a part of the usual share of bad requests |
//!
//! Where failures are so rare that most runs have none, no distribution fits: with `n` runs that have none, the next one has some
//! with a chance of `1/(n + 1) · (n/(n + 1))ⁿ` at most: 6.7 % with five, 4.9 % with seven.

use firedrill_judge::score::card::{Measured, Unit};
use firedrill_statistics::usual::{Usual, Value};

use crate::change::Change;

/// Number of earlier runs from which on they show what is usual.
pub const ENOUGH: usize = 5;

/// Shorter times than this differ by little, whatever their ratio is.
const SHORT_US: f64 = 500_000.0;
/// Width of a 95 % range in standard errors.
const WIDTH: f64 = 3.92;

/// Compares a figure with those of earlier runs, [`ENOUGH`] or more. Returns the change, and the usual figure with the limits beyond
/// which another is better or worse; `None` if the figures have no such scale.
pub(crate) fn change(before: &[Measured], after: &Measured, margin: f64) -> Option<(Change, Measured)> {
    let unit = after.unit;
    if unit == Unit::Number || before.iter().any(|one| one.unit != unit) {
        return None;
    }
    let samples = before.iter().map(|one| one.samples).sum();
    let ended: Vec<&Measured> = before.iter().filter(|one| !one.endless).collect();
    if ended.len() < before.len() {
        // With an endless figure among them there is no mean. No figure is worse than an endless one.
        let change = if ended.is_empty() && !after.endless { Change::Better } else { Change::Same };
        return Some((change, Measured { unit, endless: true, samples, ..Measured::default() }));
    }
    let values = before.iter().map(value).collect::<Option<Vec<Value>>>()?;
    let usual = Usual::of(&values)?;
    let typical = figure(unit, usual.mean);
    let reach = usual.reach(if after.endless { 0.0 } else { value(after)?.error });
    let worse = scale(unit, typical * (1.0 + margin)) + reach;
    let better = scale(unit, typical / (1.0 + margin)) - reach;
    let at = if after.endless { f64::INFINITY } else { value(after)?.at };
    let change = match at {
        at if at > worse => Change::Worse,
        at if at < better => Change::Better,
        _ => Change::Same,
    };
    let (best, worst) = (figure(unit, better), figure(unit, worse));
    let mean = before.iter().filter_map(|one| one.value).sum::<f64>() / before.len() as f64;
    let (value, low, high) = match unit {
        Unit::Share => (mean, 1.0 - worst, 1.0 - best),
        _ => (typical, best, worst),
    };
    Some((
        change,
        Measured { unit, value: Some(value), endless: false, low: Some(low), high: Some(high), samples },
    ))
}

/// Returns a figure on its scale, with its standard error.
fn value(measured: &Measured) -> Option<Value> {
    let unit = measured.unit;
    let value = measured.value?;
    let (bad, low, high) = match unit {
        Unit::Share => {
            // After Anscombe (1948), so that none of few and none of many differ.
            let all = measured.samples as f64;
            let bad = ((1.0 - value) * all + 0.375) / (all + 0.75);
            (bad, 1.0 - measured.high?, 1.0 - measured.low?)
        }
        _ => (value, measured.low?, measured.high.unwrap_or(value * 2.0)),
    };
    Some(Value { at: scale(unit, bad), error: (scale(unit, high) - scale(unit, low)).abs() / WIDTH })
}

/// Puts a figure on the scale on which runs scatter alike: a latency, a time, or a share of bad requests.
fn scale(unit: Unit, figure: f64) -> f64 {
    match unit {
        Unit::Share => figure.clamp(0.0, 1.0).sqrt().asin(),
        Unit::Time => (figure.max(0.0) + SHORT_US).ln(),
        Unit::Latency | Unit::Number => figure.max(1.0).ln(),
    }
}

/// Takes it back from there.
fn figure(unit: Unit, at: f64) -> f64 {
    match unit {
        Unit::Share => at.clamp(0.0, std::f64::consts::FRAC_PI_2).sin().powi(2),
        Unit::Time => (at.exp() - SHORT_US).max(0.0),
        Unit::Latency | Unit::Number => at.exp(),
    }
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests {
    use super::*;

    fn latency(ms: f64) -> Measured {
        let us = ms * 1000.0;
        Measured {
            unit: Unit::Latency,
            value: Some(us),
            low: Some(us * 0.93),
            high: Some(us * 1.07),
            samples: 3000,
            ..Measured::default()
        }
    }

    fn share(bad: u64) -> Measured {
        let good = 1.0 - bad as f64 / 3000.0;
        let (low, high) = firedrill_statistics::exact(good, 3000.0);
        Measured { value: Some(good), low: Some(low), high: Some(high), samples: 3000, ..Measured::default() }
    }

    fn said(before: &[Measured], after: Measured) -> Change {
        change(before, &after, 0.1).expect("a scale").0
    }

    #[test]
    fn a_latency_is_worse_beyond_what_runs_differ_by() {
        let quiet = [100.0, 101.0, 99.0, 100.5, 99.5].map(latency);
        let loud = [100.0, 130.0, 80.0, 115.0, 90.0].map(latency);
        assert_eq!(
            [110.0, 135.0, 70.0].map(|ms| said(&quiet, latency(ms))),
            [Change::Same, Change::Worse, Change::Better]
        );
        assert_eq!(said(&loud, latency(135.0)), Change::Same, "that is usual here");
        let never = Measured { value: None, endless: true, high: None, ..latency(500.0) };
        assert_eq!(said(&quiet, never), Change::Worse);
        let (_, usual) = change(&quiet, &latency(110.0), 0.1).unwrap();
        let limit = usual.high.unwrap() / 1000.0;
        assert!((115.0..125.0).contains(&limit), "{limit}");
        let mut dead = quiet;
        dead[1] = never;
        assert_eq!([said(&dead, never), said(&dead, latency(900.0))], [Change::Same; 2], "nothing is worse");
    }

    #[test]
    fn shares_count_bad_requests_and_few_of_them_say_little() {
        let few = [3, 0, 2, 1, 4].map(share);
        assert_eq!([4, 5, 60].map(|bad| said(&few, share(bad))), [Change::Same, Change::Same, Change::Worse]);
        let none = [0; 5].map(share);
        assert_eq!(
            [1, 2, 30].map(|bad| said(&none, share(bad))),
            [Change::Same, Change::Same, Change::Worse]
        );
        let many = [300, 290, 310, 305, 295].map(share);
        assert_eq!(
            [300, 500, 100].map(|bad| said(&many, share(bad))),
            [Change::Same, Change::Worse, Change::Better]
        );
        let (_, usual) = change(&many, &share(300), 0.1).unwrap();
        assert!(
            (usual.value.unwrap() - 0.9).abs() < 1e-9 && usual.low < usual.value && usual.value < usual.high
        );
    }

    #[test]
    fn a_time_that_was_nothing_may_be_a_moment() {
        let time = |us: f64| Measured {
            unit: Unit::Time,
            value: Some(us),
            low: Some(us * 0.9),
            high: Some(us + 400_000.0),
            samples: 600,
            ..Measured::default()
        };
        let none = [0.0; 5].map(time);
        assert_eq!(
            [0.0, 100_000.0, 9e6].map(|us| said(&none, time(us))),
            [Change::Same, Change::Same, Change::Worse]
        );
        let ten = [10e6, 10.4e6, 9.7e6, 10.1e6, 9.9e6].map(time);
        assert_eq!(
            [10.8e6, 15e6, 5e6].map(|us| said(&ten, time(us))),
            [Change::Same, Change::Worse, Change::Better]
        );
    }

    #[test]
    fn numbers_of_sources_have_no_scale() {
        let number = Measured { unit: Unit::Number, value: Some(1.0), ..Measured::default() };
        assert_eq!(change(&[number; 5], &number, 0.1), None);
    }
}
