//! Whether a new value is beyond what is usual: the prediction limit of one more value of a normal distribution, given a few
//! values of it, by Student's t (Hahn 1970, "Statistical Intervals for a Normal Population").

use super::beta::inverse;

/// The error probability of the limit on one side.
pub const BEYOND: f64 = 0.05;

/// A value, and the standard error of its own measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value.
    pub at: f64,
    /// Its standard error.
    pub error: f64,
}

/// The usual range of a value: the mean of some values, and their spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The mean.
    pub mean: f64,
    /// The variance between the values, or `own` if that is larger.
    variance: f64,
    /// The mean of the squared standard errors of the values' own measurements.
    own: f64,
    /// The number of values.
    count: f64,
}

impl Usual {
    /// Returns what is usual by these values; `None` if they are fewer than two.
    #[must_use]
    pub fn of(values: &[Value]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|value| value.at).sum::<f64>() / count;
        let square = |number: f64| number * number;
        let between = values.iter().map(|value| square(value.at - mean)).sum::<f64>() / (count - 1.0);
        let own = values.iter().map(|value| square(value.error)).sum::<f64>() / count;
        // A few values may be close together by chance. The spread is at least the error of the measurements.
        Some(Self { mean, variance: between.max(own), own, count })
    }

    /// Returns the distance from the mean that one more value with such a standard error exceeds upwards in 5 % of cases, and downwards
    /// in as many: `t(0.95, n − 1) · √(s² (1 + 1/n))`. For a value that is measured with a larger error than those before the
    /// distance is larger.
    #[must_use]
    pub fn reach(&self, error: f64) -> f64 {
        let worse = (error * error - self.own).max(0.0);
        student(BEYOND, self.count - 1.0) * (self.variance * (1.0 + 1.0 / self.count) + worse).sqrt()
    }
}

/// Returns the value that Student's t with `freedom` degrees of freedom exceeds with a probability of `tail`, which is below a half.
#[must_use]
pub fn student(tail: f64, freedom: f64) -> f64 {
    // P(T > t) is half of I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t²).
    let x = inverse(2.0 * tail, freedom / 2.0, 0.5).max(f64::MIN_POSITIVE);
    (freedom * (1.0 - x) / x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn the_quantiles_are_those_of_tables() {
        for (tail, freedom, quantile) in [
            (0.05, 1.0, 6.314),
            (0.05, 4.0, 2.132),
            (0.05, 9.0, 1.833),
            (0.025, 4.0, 2.776),
            (0.05, 1e6, 1.645),
        ] {
            assert!((student(tail, freedom) - quantile).abs() < 6e-4, "{tail} {freedom}");
        }
    }

    #[test]
    fn a_further_value_exceeds_the_limit_in_one_of_twenty_cases() {
        let mut chance = Chance::new(7, 1);
        let mut normal = || (0..12).map(|_| chance.draw()).sum::<f64>() - 6.0;
        let (mut beyond, all) = (0, 20_000);
        for _ in 0..all {
            let values: Vec<Value> = (0..5).map(|_| Value { at: normal(), error: 0.0 }).collect();
            let usual = Usual::of(&values).expect("five");
            beyond += u32::from(normal() - usual.mean > usual.reach(0.0));
        }
        let share = f64::from(beyond) / f64::from(all);
        assert!((share - BEYOND).abs() < 0.006, "{share}");
    }

    #[test]
    fn equal_values_still_have_their_own_error() {
        let same = [Value { at: 1.0, error: 0.1 }; 5];
        let usual = Usual::of(&same).expect("five");
        let least = 2.132 * 0.1 * 1.2_f64.sqrt();
        assert!((usual.reach(0.1) - least).abs() < 1e-3);
        assert!(usual.reach(0.3) > 2.0 * least, "a value of few requests may lie farther off");
        assert_eq!(Usual::of(&same[..1]), None);
    }
}
