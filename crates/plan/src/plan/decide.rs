//! The number of samples that can decide an objective.
//!
//! A share: if all of `n` requests are good, the exact lower bound of the probability of a good one is the `n`-th
//! root of 0.025. So `p` can be shown only from `n = ln 0.025 / ln p` on: 72 for 95 %, 368 for 99 %, 736 for 99.5 %,
//! 3688 for 99.9 %. 400 samples can never show 99.5 %. The same number shows that a quantile of latency is below a
//! limit. The score uses the same bound ([`firedrill_statistics`]).
//!
//! With failures it takes more. The objective allows `n · (1 − p)` failures. A system with a quarter of these failures can be
//! distinguished from a system at the limit only if thirteen or more are allowed ([`SURE`]).

pub use firedrill_statistics::best_shown as best_share;
use firedrill_statistics::{all_good_show, turning::good_to_show};
use firedrill_wire::{Share, Span, probe::Arrivals};

use super::model::Goal;

/// Minimum number of allowed failures: with it, a system that has a quarter of that number is judged good in 90 of 100
/// drills.
pub const SURE: f64 = 12.5;

/// Divisor of the time of `mitigate_within` and `recover_within`: within this part of it, the samples must be able to show
/// that the system is good again.
pub const PART: u32 = 4;

/// Returns the minimum number of samples at one vantage that can show the goal; `u64::MAX` if no number can. For
/// `mitigate_within` and `recover_within` it is the number of good requests in a row that show a share above
/// `good_at`.
#[must_use]
pub fn samples_to_decide(goal: &Goal, good_at: Share) -> u64 {
    match goal {
        Goal::Good(share) => all_good_show(share.fraction()),
        Goal::Latency { quantile, .. } => all_good_show(*quantile),
        // Each lost write is proof.
        Goal::LostWrites(_) => 1,
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => ceil(good_to_show(good_at.fraction())),
    }
}

/// Returns the number of failures that a goal allows among `samples`; `None` for goals that are not shares.
#[must_use]
pub fn allowed_failures(goal: &Goal, samples: u64) -> Option<f64> {
    let wanted = match goal {
        Goal::Good(share) => share.fraction(),
        Goal::Latency { quantile, .. } => *quantile,
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) | Goal::LostWrites(_) => return None,
    };
    Some(as_float(samples) * (1.0 - wanted))
}

/// Returns the number of requests that are due in `time` in at least 97 of 100 drills. With random moments the number
/// varies.
#[must_use]
pub fn samples(rate: f64, time: Span, arrivals: Arrivals) -> u64 {
    let mean = rate * time.as_secs_f64();
    floor(
        match arrivals {
            Arrivals::Even => mean,
            Arrivals::Poisson => mean - 2.0 * mean.sqrt(),
        } + 1e-9,
    )
}

/// Returns the mean number of requests for which [`samples`] returns `samples`.
fn mean_for(samples: u64, arrivals: Arrivals) -> f64 {
    match arrivals {
        Arrivals::Even => as_float(samples),
        Arrivals::Poisson => (1.0 + (1.0 + as_float(samples)).sqrt()).powi(2),
    }
}

/// Returns the lowest whole rate with that many samples in that time.
#[must_use]
pub fn rate_for(samples: u64, time: Span, arrivals: Arrivals) -> u64 {
    ceil(mean_for(samples, arrivals) / time.as_secs_f64().max(1e-9))
}

/// Returns the shortest time, in whole seconds, with that many samples at that rate.
#[must_use]
pub fn time_for(samples: u64, rate: f64, arrivals: Arrivals) -> Span {
    Span::secs(ceil(mean_for(samples, arrivals) / rate.max(1e-9)))
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples stay far below 2^53")]
const fn as_float(samples: u64) -> f64 {
    samples as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is wanted"
)]
fn floor(number: f64) -> u64 {
    number.floor() as u64
}

/// Rounds up. The margin covers rounding errors of a whole number.
fn ceil(number: f64) -> u64 {
    floor((number - 1e-9).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::GOOD_AT;

    fn good(share: &str) -> u64 {
        samples_to_decide(&Goal::Good(share.parse().expect("a share")), GOOD_AT)
    }

    #[test]
    fn four_hundred_cannot_show_99_5_per_cent() {
        assert_eq!([good("95%"), good("99%"), good("99.5%"), good("99.9%")], [72, 368, 736, 3688]);
        assert_eq!(good("100%"), u64::MAX);
        assert_eq!(good("0%"), 1);
        assert!(best_share(400) < 0.995 && best_share(736) >= 0.995 && best_share(735) < 0.995);
    }

    #[test]
    fn a_high_quantile_wants_many() {
        let needed = |quantile| samples_to_decide(&Goal::Latency { quantile, below: Span::secs(1) }, GOOD_AT);
        assert_eq!([needed(0.5), needed(0.95), needed(0.99), needed(0.999)], [6, 72, 368, 3688]);
        assert_eq!(needed(1.0), u64::MAX);
    }

    #[test]
    fn good_requests_in_a_row_show_that_a_system_is_good_again() {
        let needed =
            |good_at: u8| samples_to_decide(&Goal::MitigateWithin(Span::secs(1)), Share::per_cent(good_at));
        assert_eq!([needed(50), needed(90), needed(95)], [8, 47, 96]);
    }

    #[test]
    fn a_suggested_rate_or_time_is_enough() {
        for arrivals in [Arrivals::Even, Arrivals::Poisson] {
            for needed in [1, 72, 736, 3688] {
                let rate = as_float(rate_for(needed, Span::secs(8), arrivals));
                assert!(samples(rate, Span::secs(8), arrivals) >= needed);
                assert!(samples(rate - 1.0, Span::secs(8), arrivals) < needed, "and no more than needed");
                assert!(samples(50.0, time_for(needed, 50.0, arrivals), arrivals) >= needed);
            }
        }
    }
}
