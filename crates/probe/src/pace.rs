//! The bounds of rates and time-outs.

use std::time::Duration;

use firedrill_wire::{
    Span,
    probe::{Field, Refusal},
};

use crate::schedule::{MOST_RATE, requests_within};

/// The shortest time-out that a probe may have.
const LEAST_TIMEOUT: Span = Span::millis(1);

/// The longest time-out that a probe may have.
const MOST_TIMEOUT: Span = Span::secs(60);

/// Checks the rate (requests a second) and the time-out of a probe of any kind. Returns the reasons to refuse them.
#[must_use]
pub fn pace(rate: f64, timeout: Span) -> Vec<Refusal> {
    let mut wrong = Vec::new();
    // Both are false for a rate that is no number. A rate near 0 has an interval that no duration can hold.
    let in_bounds = rate > 0.0 && rate <= MOST_RATE;
    let has_schedule = requests_within(rate, Duration::ZERO).is_some();
    if !in_bounds || !has_schedule {
        // Very large and very small rates would be printed with hundreds of digits.
        let with_exponent = rate != 0.0 && !(1e-6..1e15).contains(&rate.abs());
        let shown = if with_exponent { format!("{rate:e}") } else { rate.to_string() };
        let what = format!("a rate of {shown} a second cannot be");
        let help = format!("more than 0, at most {MOST_RATE}");
        wrong.push(Refusal::new(Field::probe("rate"), what, "requests a second", help));
    }
    if timeout < LEAST_TIMEOUT || timeout > MOST_TIMEOUT {
        let what = format!("a time-out of {timeout} cannot be");
        let help = format!("from {LEAST_TIMEOUT} to {MOST_TIMEOUT}");
        wrong.push(Refusal::new(Field::probe("timeout"), what, "a time-out", help));
    }
    wrong
}
