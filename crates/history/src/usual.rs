//! Compares a run with five or more earlier ones: whether it is worse than usual.
//!
//! Runs of the same system differ although nothing changed: failures come in bursts, caches are warm or cold, other programs use the machine. A
//! single baseline run does not show these differences; five or more runs do. A figure is worse if it exceeds the prediction limit for one more
//! run: `x − mean > margin + t(0.95, n − 1) · s · √(1 + 1/n)`. Here `x` is the figure on the scale in the table: on it, good and bad figures scatter
//! equally. `s` is the standard deviation between the runs, but at least the error of the measurements themselves.
//!
//! | figure | scale | margin |
//! |---|---|---|
//! | latency | its logarithm | a part of the usual latency |
//! | time | the logarithm of it and half a second | a part of the usual time |
//! | share | arcsine of the root of the share of bad requests | a part of the usual share of bad requests |
//!
//! If failures are so rare that most runs have none, no distribution fits. After `n` runs without failures, the next run has failures with a
//! probability of at most `1/(n + 1) · (n/(n + 1))ⁿ`: 6.7 % for five runs, 4.9 % for seven.

use firedrill_judge::score::card::{Measured, Unit};
use firedrill_statistics::usual::{Usual, Value};

use crate::change::Change;

/// Number of earlier runs that are needed to know the usual figure.
pub const ENOUGH: usize = 5;

/// Added to a time before the logarithm, in microseconds. So the ratio of two much shorter times does not matter.
const SHORT_US: f64 = 500_000.0;
/// Width of a 95 % range of a normal distribution, in standard errors: twice 1.96.
const WIDTH: f64 = 3.92;

/// Compares a figure with those of [`ENOUGH`] or more earlier runs. Returns the change and the usual figure; `None` if the figures cannot be put on a
/// scale. The range of the usual figure has the limits beyond which a figure is better or worse. `margin` is a part of the usual figure.
pub(crate) fn change(before: &[Measured], after: &Measured, margin: f64) -> Option<(Change, Measured)> {
    let unit = after.unit;
    if unit == Unit::Number || before.iter().any(|earlier| earlier.unit != unit) {
        return None;
    }
    let samples = before.iter().map(|earlier| earlier.samples).sum();
    if before.iter().any(|earlier| earlier.endless) {
        // With an endless figure (a time that did not end, for instance) there is no mean. No figure is worse than an endless one.
        let all_endless = before.iter().all(|earlier| earlier.endless);
        let change = if all_endless && !after.endless { Change::Better } else { Change::Same };
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
    let mean = before.iter().filter_map(|earlier| earlier.value).sum::<f64>() / before.len() as f64;
    let (value, low, high) = match unit {
        Unit::Share => (mean, 1.0 - worst, 1.0 - best),
        _ => (typical, best, worst),
    };
    Some((
        change,
        Measured { unit, value: Some(value), endless: false, low: Some(low), high: Some(high), samples },
    ))
}

/// Puts a figure on the scale, with its standard error; `None` if it has no value or no range.
fn value(measured: &Measured) -> Option<Value> {
    let unit = measured.unit;
    let value = measured.value?;
    let (bad, low, high) = match unit {
        Unit::Share => {
            // The correction of Anscombe (1948): no bad request among few differs from none among many.
            let requests = measured.samples as f64;
            let bad = ((1.0 - value) * requests + 0.375) / (requests + 0.75);
            (bad, 1.0 - measured.high?, 1.0 - measured.low?)
        }
        _ => (value, measured.low?, measured.high.unwrap_or(value * 2.0)),
    };
    Some(Value { at: scale(unit, bad), error: (scale(unit, high) - scale(unit, low)).abs() / WIDTH })
}

/// Puts a latency, a time (both in microseconds) or a share of bad requests on the scale of the table above.
fn scale(unit: Unit, figure: f64) -> f64 {
    match unit {
        Unit::Share => figure.clamp(0.0, 1.0).sqrt().asin(),
        Unit::Time => (figure.max(0.0) + SHORT_US).ln(),
        Unit::Latency | Unit::Number => figure.max(1.0).ln(),
    }
}

/// Converts a value on the scale back to a figure: the inverse of [`scale`].
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
    fn a_latency_is_worse_only_beyond_the_usual_differences_between_runs() {
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
    fn shares_are_compared_by_bad_requests_and_few_of_them_show_no_difference() {
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
    fn short_times_do_not_differ_by_their_ratio() {
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
