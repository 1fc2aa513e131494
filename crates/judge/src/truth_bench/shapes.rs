//! Simulated systems: the probability of a good request at a moment of a phase, and its latency.

use firedrill_statistics::chance::Chance;

/// The distribution of failures over a phase, with a given share of failures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// Each request fails independently.
    Independent,
    /// Total failure for that many seconds at a time, at random moments.
    Bursts(f64),
    /// Total failure during a part of each period of that many seconds.
    Period(f64),
    /// A single total failure.
    Outage,
    /// A probability that falls during the phase.
    Ramp,
    /// An outage with half of the failures, and stray ones.
    OutageAndNoise,
}

impl Shape {
    /// Returns the probability of a good request by the second of a phase, for a mean share `bad` of failures.
    /// `length` in seconds.
    pub(super) fn make(self, bad: f64, length: f64, chance: &mut Chance) -> Box<dyn Fn(f64) -> f64> {
        match self {
            Self::Independent => Box::new(move |_| 1.0 - bad),
            Self::Ramp => Box::new(move |at| 1.0 - 2.0 * bad * at / length),
            Self::Period(period) => {
                let begin = chance.draw() * period;
                Box::new(move |at| f64::from(u8::from((at + begin) % period >= bad * period)))
            }
            Self::Outage => {
                let (outage, begin) = outage(bad, length, chance);
                Box::new(move |at| f64::from(u8::from(!(begin..begin + outage).contains(&at))))
            }
            Self::OutageAndNoise => {
                let (outage, begin) = outage(bad / 2.0, length, chance);
                let noise = bad / 2.0 / (1.0 - bad / 2.0);
                Box::new(move |at| if (begin..begin + outage).contains(&at) { 0.0 } else { 1.0 - noise })
            }
            Self::Bursts(each) => {
                // The number of bursts is random. This phase is judged, so its own share is the truth.
                let mut bursts = Vec::new();
                let mut at = -each;
                while at < length {
                    at += -(1.0 - chance.draw()).ln() * each / bad.max(1e-9);
                    bursts.push(at);
                }
                Box::new(move |at| {
                    let within = |begin: &f64| (*begin..begin + each).contains(&at);
                    f64::from(u8::from(!bursts.iter().any(within)))
                })
            }
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Independent => "independent".to_owned(),
            Self::Bursts(each) => format!("bursts of {each} s"),
            Self::Period(period) => format!("period of {period} s"),
            Self::Outage => "one outage".to_owned(),
            Self::Ramp => "ramp".to_owned(),
            Self::OutageAndNoise => "outage and noise".to_owned(),
        }
    }
}

/// Returns the length and the random beginning of an outage, in seconds.
fn outage(bad: f64, length: f64, chance: &mut Chance) -> (f64, f64) {
    let outage = bad * length;
    (outage, chance.draw() * (length - outage))
}

/// Returns the mean of a function over a phase of `length` seconds.
pub(super) fn mean(function: &dyn Fn(f64) -> f64, length: f64) -> f64 {
    const STEPS: u32 = 20_000;
    let at = |step: u32| (f64::from(step) + 0.5) / f64::from(STEPS) * length;
    (0..STEPS).map(|step| function(at(step))).sum::<f64>() / f64::from(STEPS)
}

/// The recovery of a system after a fault or a heal: the probability of a good request by the second after it, and
/// the moment from which it is at least 90 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Course {
    /// A constant probability for a time, then stray failures.
    Step { first: f64, until: f64, noise: f64 },
    /// A linear rise from 0 to 1, from the tenth second on.
    Ramp { takes: f64 },
    /// A total outage of ten seconds, and another one of three seconds from the twentieth on.
    Relapse,
    /// Good all the time, except for stray failures.
    Fine { noise: f64 },
}

impl Course {
    /// Returns the probability of a good request in a second.
    pub(super) fn at(self, second: f64) -> f64 {
        match self {
            Self::Step { first, until, noise } => {
                if second < until {
                    first
                } else {
                    1.0 - noise
                }
            }
            Self::Ramp { takes } => ((second - 10.0) / takes).clamp(0.0, 1.0),
            Self::Relapse => f64::from(u8::from(second >= 10.0 && !(20.0..23.0).contains(&second))),
            Self::Fine { noise } => 1.0 - noise,
        }
    }

    /// Returns the moment from which the system is good, in seconds.
    pub(super) fn truth(self) -> f64 {
        match self {
            Self::Step { until, .. } => until,
            Self::Ramp { takes } => 10.0 + 0.9 * takes,
            Self::Relapse => 23.0,
            Self::Fine { .. } => 0.0,
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Step { first, noise, .. } => {
                format!("{:.0} % good, then {:.1} % noise", first * 100.0, noise * 100.0)
            }
            Self::Ramp { takes } => format!("ramp of {takes} s"),
            Self::Relapse => "relapse".to_owned(),
            Self::Fine { noise } => format!("good, {:.1} % noise", noise * 100.0),
        }
    }
}

/// A latency in microseconds: log-logistic around its median, five times as long during an episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Latency {
    pub(super) median_us: f64,
    /// The share of the phase in a single slow episode.
    pub(super) slow: f64,
}

impl Latency {
    /// The exponent of the log-logistic distribution.
    const SHAPE: f64 = 0.25;

    /// Returns a latency in microseconds; `even` is a uniform random number from 0 to 1.
    pub(super) fn draw(self, slow: bool, even: f64) -> u64 {
        let factor = if slow { 5.0 } else { 1.0 };
        let odds = (even / (1.0 - even).max(1e-12)).max(1e-12);
        firedrill_statistics::whole(self.median_us * factor * odds.powf(Self::SHAPE))
    }

    /// Returns the share of all requests that take at most `us`.
    fn at_most(self, us: f64) -> f64 {
        let one = |median: f64| 1.0 / (1.0 + (median / us).powf(1.0 / Self::SHAPE));
        self.slow * one(self.median_us * 5.0) + (1.0 - self.slow) * one(self.median_us)
    }

    /// Returns the true quantile, in microseconds.
    pub(super) fn quantile(self, quantile: f64) -> f64 {
        let (mut low, mut high) = (1.0, self.median_us * 1000.0);
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if self.at_most(middle) < quantile { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }
}
