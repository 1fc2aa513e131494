//! Exchanges of packets over the path of a fault: evidence for and against the fault, and rows for reports.
//!
//! An exchange casts doubt on a fault only where it contradicts the fault: answers through a block, no delay where
//! there must be one. An exchange that could not be measured is no evidence either way, and is shown as not measured.

use firedrill_plan::plan::{
    Plan,
    exchange::{self, Expect, Pair},
};
use firedrill_wire::exchange::{Exchanged, Way};

use super::{
    card::ExchangeCard,
    facts::{AttackFacts, ExchangeFacts, InjectionFacts},
    format,
};
use crate::log::Moment;

/// A packet that passes with less than this probability counts as one that the fault does not let through.
const CHANCE: f64 = 1e-6;
/// Minimum probability of an answer over a path without a fault.
const ANSWERS: f64 = 0.95;
/// Maximum time after the end of an exchange at which its packets may arrive, in microseconds.
const STRAY_US: i64 = 1_000_000;

/// The exchanges of an attack in its plan, by injection.
pub(crate) struct Exchanges(Vec<Result<Vec<Pair>, String>>);

/// The packets of exchanges that faults on one host may have counted.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Start and end of each exchange on the run's clock, in microseconds, and its maximum number of packets.
    all: Vec<(i64, i64, u64)>,
    /// Maximum number of packets after the last of these time spans.
    pub(crate) late: u64,
}

impl Own {
    /// Returns the maximum number of packets sent until `until_us`.
    pub(crate) fn until(&self, until_us: i64) -> u64 {
        let begun = self.all.iter().filter(|(from, ..)| *from <= until_us);
        begun.fold(0, |sum, (.., most)| sum.saturating_add(*most))
    }

    /// Whether any may be in flight between two moments.
    pub(crate) fn sends_between(&self, from_us: i64, until_us: i64) -> bool {
        self.all.iter().any(|(from, until, _)| *from <= until_us && from_us <= *until)
    }
}

impl Exchanges {
    /// Returns the planned exchanges of the attack with this index; empty without a plan.
    pub(crate) fn of(plan: Option<&Plan>, index: usize) -> Self {
        let attack = plan.and_then(|plan| Some((plan, plan.attacks.get(index)?)));
        Self(attack.map_or_else(Vec::new, |(plan, attack)| exchange::all(plan, attack)))
    }

    /// Returns the planned exchanges of an injection, by its index in the attack.
    fn pairs(&self, place: usize) -> &[Pair] {
        self.0.get(place).and_then(|pairs| pairs.as_deref().ok()).unwrap_or_default()
    }

    /// Returns the packets of exchanges that faults on a host may have counted.
    pub(crate) fn own(&self, attack: &AttackFacts<'_>, host: &str) -> Own {
        let mut own = Own::default();
        for (place, one) in attack.injections.iter().enumerate() {
            let during = one.exchanges.iter().filter(|met| met.moment == Moment::During);
            for met in during.filter(|met| met.asker == host || met.other == host) {
                let pair = self.pairs(place).iter().find(|pair| is_of(met, pair));
                let most = pair.map_or(u64::from(met.ask.count) * 10, |pair| {
                    if met.asker == host { pair.counted } else { pair.counted_there }
                });
                // A handshake without a refusal is retried for a long time, by either end.
                let at_once = |pair: &Pair| pair.ask.way == Way::Echo || pair.expect == Expect::NoAnswer;
                if !pair.is_some_and(at_once) {
                    own.late = own.late.saturating_add(most);
                }
                own.all.push((met.from_us, met.until_us.saturating_add(STRAY_US), most));
            }
        }
        own
    }

    /// Whether an exchange shows the fault: it was answered before and after, but not while the fault was in force,
    /// as a path without the fault would be.
    pub(crate) fn shown(&self, place: usize, one: &InjectionFacts<'_>) -> bool {
        self.pairs(place).iter().any(|pair| shows(one, pair))
    }

    /// Returns the contradictions to the fault, each a sentence.
    pub(crate) fn against(&self, place: usize, one: &InjectionFacts<'_>) -> Vec<String> {
        self.pairs(place).iter().filter_map(|pair| contradiction(one, pair)).collect()
    }

    /// Returns the hosts that answered before the fault and do not answer after the undo, each a sentence.
    pub(crate) fn still(&self, place: usize, one: &InjectionFacts<'_>) -> Vec<String> {
        let lost = |pair: &&Pair| {
            let (before, after) = (at(one, pair, Moment::Before)?, at(one, pair, Moment::After)?);
            (is_good_path(before) && after.back() == 0).then(|| {
                format!("{} could not be reached from {} after it was put back", pair.other, pair.asker)
            })
        };
        self.pairs(place).iter().filter_map(|pair| lost(&pair)).collect()
    }

    /// Returns rows for reports, and the reason why there are none where there could be.
    pub(crate) fn cards(
        &self,
        place: usize,
        one: &InjectionFacts<'_>,
    ) -> (Vec<ExchangeCard>, Option<String>) {
        let pairs = match self.0.get(place) {
            None => return (Vec::new(), None),
            Some(Err(why)) => return (Vec::new(), Some(why.clone())),
            Some(Ok(pairs)) => pairs,
        };
        let figure = |pair: &Pair, moment| at(one, pair, moment).cloned();
        let failed = |pair: &Pair| {
            let mut failed = one.exchanges.iter().filter(|met| is_of(met, pair)).filter_map(|met| met.failed);
            failed.next().map(str::to_owned)
        };
        let card = |pair: &Pair| ExchangeCard {
            from: pair.asker.clone(),
            to: pair.other.clone(),
            address: pair.ask.to.to_string(),
            way: pair.ask.way.to_string(),
            before: figure(pair, Moment::Before),
            during: figure(pair, Moment::During),
            after: figure(pair, Moment::After),
            failed: failed(pair),
            contradiction: contradiction(one, pair),
        };
        (pairs.iter().map(card).collect(), None)
    }
}

/// Whether an exchange from the log is that of a pair of the plan.
fn is_of(met: &ExchangeFacts<'_>, pair: &Pair) -> bool {
    met.asker == pair.asker && met.other == pair.other && met.ask.to == pair.ask.to
}

/// Returns the exchange at one moment; an exchange during the fault counts only if it lies wholly within the fault.
fn at<'a>(one: &InjectionFacts<'a>, pair: &Pair, moment: Moment) -> Option<&'a Exchanged> {
    let within = |met: &&ExchangeFacts<'_>| {
        let from =
            one.in_force_us().is_some_and(|from| from.saturating_add(one.uncertainty_us) <= met.from_us);
        let until = one.undoing_us().or_else(|| one.ended_us());
        from && until.is_none_or(|until| met.until_us.saturating_add(one.uncertainty_us) <= until)
    };
    let mut all = one.exchanges.iter().filter(|met| met.moment == moment && is_of(met, pair));
    all.find(|met| moment != Moment::During || within(met))?.met
}

/// Whether a path was good enough to be evidence: at least 4 of 5 packets came back.
fn is_good_path(met: &Exchanged) -> bool {
    met.sent > 0 && u64::from(met.back()) * 5 >= u64::from(met.sent) * 4
}

/// Returns the contradiction of an exchange to the fault, a sentence; `None` if there is none, or if it was not measured.
fn contradiction(one: &InjectionFacts<'_>, pair: &Pair) -> Option<String> {
    let (before, during) = (at(one, pair, Moment::Before)?, at(one, pair, Moment::During)?);
    if !is_good_path(before) {
        return None;
    }
    let path = format!("{} to {} by {}", pair.asker, pair.other, pair.ask.way);
    match pair.expect {
        Expect::Silence if during.back() > 0 => {
            Some(format!("{} of {} came back over {path}", during.back(), during.sent))
        }
        Expect::NoAnswer if during.answered > 0 => {
            Some(format!("{} of {} were answered over {path}", during.answered, during.sent))
        }
        Expect::AtLeast(least) if during.back() >= 5 => {
            let is = during.median_us()?;
            (is < least).then(|| {
                format!(
                    "round trips over {path} took {}, less than the half of the delay, {}",
                    format::micros(is),
                    format::micros(least)
                )
            })
        }
        Expect::Answers(chance) if at_least(during.back(), during.sent, chance) < CHANCE => {
            Some(format!("{} of {} came back over {path}", during.back(), during.sent))
        }
        Expect::Silence | Expect::NoAnswer | Expect::AtLeast(_) | Expect::Answers(_) | Expect::Anything => {
            None
        }
    }
}

/// Whether an exchange shows the fault. All three moments must have been measured: a path that stays dead may have died for another
/// reason.
fn shows(one: &InjectionFacts<'_>, pair: &Pair) -> bool {
    let all = [Moment::Before, Moment::During, Moment::After].map(|moment| at(one, pair, moment));
    let [Some(before), Some(during), Some(after)] = all else { return false };
    if !is_good_path(before) || !is_good_path(after) || during.sent == 0 {
        return false;
    }
    match pair.expect {
        Expect::Silence => during.back() == 0,
        Expect::NoAnswer => during.answered == 0,
        Expect::AtLeast(least) => {
            let quick = |met: &Exchanged| met.median_us().is_some_and(|median| median < least);
            during.back() >= 5 && !quick(during) && quick(before) && quick(after)
        }
        Expect::Answers(_) => 1.0 - at_least(during.back().saturating_add(1), during.sent, ANSWERS) < CHANCE,
        Expect::Anything => false,
    }
}

/// Returns the probability that at least `back` of `sent` come back, each with probability `chance`: the upper tail
/// of the binomial.
fn at_least(back: u32, sent: u32, chance: f64) -> f64 {
    let mut term = (1.0 - chance).powi(i32::try_from(sent).unwrap_or(i32::MAX));
    if chance >= 1.0 {
        return 1.0;
    }
    let mut below = 0.0;
    for count in 0..back {
        below += term;
        term *= f64::from(sent.saturating_sub(count)) / f64::from(count + 1) * chance / (1.0 - chance);
    }
    (1.0 - below).max(0.0)
}

#[cfg(test)]
mod tests;
