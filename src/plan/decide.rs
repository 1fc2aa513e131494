//! How many samples it takes to decide an objective at all.
//!
//! A share: when all of `n` independent requests are good, Wilson's one-sided 95 % lower bound of the true share is
//! `n / (n + z²)`, with `z` = 1.645. So `p` can be shown only from `n = z² · p / (1 − p)` on: 52 for 95 %, 268 for
//! 99 %, 539 for 99.5 %, 2703 for 99.9 %; and 400 samples cannot show 99.5 %, whatever they are.
//! A quantile of latency: the largest of `n` samples is above the quantile `q` with 95 % only if `qⁿ ≤ 0.05`.
//! Failures come in bursts, which makes samples worth less: these figures are the least, not a promise.

use firedrill_wire::Span;

use super::model::Goal;

/// Quantile of the normal distribution for a one-sided 95 %.
const Z: f64 = 1.644_854;

/// "Good again" is seen over this time, so that one good request between bad ones is no recovery.
pub const WINDOW: Span = Span::secs(5);

/// As few samples in a window as can tell good from bad.
const SAMPLES_A_WINDOW: u64 = 20;

/// The fewest samples at one vantage that can show the goal; `u64::MAX` where no number can. For `mitigate_within` and
/// `recover_within` the samples are those of one [`WINDOW`].
#[must_use]
pub fn samples_to_decide(goal: &Goal) -> u64 {
    match goal {
        Goal::Good(share) if share.fraction() >= 1.0 => u64::MAX,
        Goal::Good(share) => {
            let p = share.fraction();
            ceil(Z * Z * p / (1.0 - p)).max(1)
        }
        Goal::Latency { quantile, .. } if quantile.is_nan() || *quantile >= 1.0 => u64::MAX,
        Goal::Latency { quantile, .. } => ceil(0.05_f64.ln() / quantile.max(1e-9).ln()).max(1),
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => SAMPLES_A_WINDOW,
    }
}

/// The largest share that so many samples can show.
#[must_use]
pub fn best_share(samples: u64) -> f64 {
    let n = as_float(samples);
    n / (n + Z * Z)
}

/// How many requests are due in that time at that rate.
#[must_use]
pub fn samples(rate: f64, time: Span) -> u64 {
    floor(rate * time.as_secs_f64() + 1e-9)
}

/// The lowest whole rate that gives so many samples in that time.
#[must_use]
pub fn rate_for(samples: u64, time: Span) -> u64 {
    ceil(as_float(samples) / time.as_secs_f64().max(1e-9))
}

/// The shortest time, in whole seconds, that gives so many samples at that rate.
#[must_use]
pub fn time_for(samples: u64, rate: f64) -> Span {
    Span::secs(ceil(as_float(samples) / rate.max(1e-9)))
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples stay far below 2^53")]
const fn as_float(samples: u64) -> f64 {
    samples as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is meant"
)]
fn floor(number: f64) -> u64 {
    number.floor() as u64
}

fn ceil(number: f64) -> u64 {
    floor((number - 1e-9).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(share: &str) -> u64 {
        samples_to_decide(&Goal::Good(share.parse().expect("a share")))
    }

    #[test]
    fn four_hundred_cannot_show_99_5_per_cent() {
        assert_eq!([good("95%"), good("99%"), good("99.5%"), good("99.9%")], [52, 268, 539, 2703]);
        assert_eq!(good("100%"), u64::MAX);
        assert_eq!(good("0%"), 1);
        assert!(best_share(400) < 0.995 && best_share(539) >= 0.995 && best_share(538) < 0.995);
    }

    #[test]
    fn a_high_quantile_wants_many() {
        let needed = |quantile| samples_to_decide(&Goal::Latency { quantile, below: Span::secs(1) });
        assert_eq!([needed(0.5), needed(0.95), needed(0.99), needed(0.999)], [5, 59, 299, 2995]);
        assert_eq!(needed(1.0), u64::MAX);
    }

    #[test]
    fn what_would_do_does() {
        for needed in [1, 52, 539, 2703] {
            assert!(samples(as_float(rate_for(needed, Span::secs(8))), Span::secs(8)) >= needed);
            assert!(samples(50.0, time_for(needed, 50.0)) >= needed);
        }
    }
}
