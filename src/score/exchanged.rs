//! What hosts exchanged over the path of a fault: what it says for and against the fault, and how reports show it.
//!
//! A fault is doubted only where what was seen contradicts it: answers through a block, no delay where there must be
//! one. What could not be measured says nothing either way, and is shown as that.

use firedrill_wire::exchange::{Exchange, Exchanged};

use super::{
    card::ExchangeCard,
    facts::{AttackFacts, InjectionFacts},
    say,
};
use crate::{
    log::Moment,
    plan::{
        Plan,
        exchange::{self, Expect, Pair},
    },
};

/// What a fault lets through with less than this chance, it does not let through.
const CHANCE: f64 = 1e-6;

/// One exchange as it was logged.
#[derive(Debug)]
pub(crate) struct ExchangeFacts<'a> {
    pub(crate) moment: Moment,
    pub(crate) asker: &'a str,
    pub(crate) other: &'a str,
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(crate) ask: &'a Exchange,
    pub(crate) met: Option<&'a Exchanged>,
    pub(crate) failed: Option<&'a str>,
}

/// The exchanges of an attack, as its plan has them, by injection.
pub(crate) struct Exchanges(Vec<Result<Vec<Pair>, String>>);

impl Exchanges {
    pub(crate) fn of(plan: Option<&Plan>, index: usize) -> Self {
        let attack = plan.and_then(|plan| Some((plan, plan.attacks.get(index)?)));
        Self(attack.map_or_else(Vec::new, |(plan, attack)| exchange::all(plan, attack)))
    }

    fn pairs(&self, place: usize) -> &[Pair] {
        self.0.get(place).and_then(|pairs| pairs.as_deref().ok()).unwrap_or_default()
    }

    /// How many packets of exchanges a fault on that host can have counted until then.
    pub(crate) fn counted(&self, attack: &AttackFacts<'_>, host: &str, until_us: i64) -> u64 {
        let mut sum = 0_u64;
        for (place, one) in attack.injections.iter().enumerate() {
            let pairs = self.pairs(place);
            let during =
                one.exchanges.iter().filter(|met| met.moment == Moment::During && met.from_us <= until_us);
            for met in during.filter(|met| met.asker == host || met.other == host) {
                let planned = pairs.iter().find(|pair| is_of(met, pair));
                let planned =
                    planned.map(|pair| if met.asker == host { pair.counted } else { pair.counted_there });
                sum = sum.saturating_add(planned.unwrap_or_else(|| u64::from(met.ask.count) * 10));
            }
        }
        sum
    }

    /// What contradicts the fault, each a sentence.
    pub(crate) fn against(&self, place: usize, one: &InjectionFacts<'_>) -> Vec<String> {
        self.pairs(place).iter().filter_map(|pair| contradiction(one, pair)).collect()
    }

    /// Who could be reached before and not any more after all was put back, each a sentence.
    pub(crate) fn still(&self, place: usize, one: &InjectionFacts<'_>) -> Vec<String> {
        let lost = |pair: &&Pair| {
            let (before, after) = (at(one, pair, Moment::Before)?, at(one, pair, Moment::After)?);
            (well(before) && after.back() == 0).then(|| {
                format!("{} could not be reached from {} after it was put back", pair.other, pair.asker)
            })
        };
        self.pairs(place).iter().filter_map(|pair| lost(&pair)).collect()
    }

    /// As reports show them, and why there are none where there could be.
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

fn is_of(met: &ExchangeFacts<'_>, pair: &Pair) -> bool {
    met.asker == pair.asker && met.other == pair.other && met.ask.to == pair.ask.to
}

/// What was exchanged at that moment; during the fault only what lies wholly within it.
fn at<'a>(one: &InjectionFacts<'a>, pair: &Pair, moment: Moment) -> Option<&'a Exchanged> {
    let within = |met: &&ExchangeFacts<'_>| {
        let from = one.in_force_us().is_some_and(|from| from + one.uncertainty_us <= met.from_us);
        let until = one.undoing_us().or_else(|| one.ended_us());
        from && until.is_none_or(|until| met.until_us + one.uncertainty_us <= until)
    };
    let mut all = one.exchanges.iter().filter(|met| met.moment == moment && is_of(met, pair));
    all.find(|met| moment != Moment::During || within(met))?.met
}

/// Whether the path was good enough to tell anything by it.
fn well(met: &Exchanged) -> bool {
    met.sent > 0 && u64::from(met.back()) * 5 >= u64::from(met.sent) * 4
}

fn contradiction(one: &InjectionFacts<'_>, pair: &Pair) -> Option<String> {
    let (before, during) = (at(one, pair, Moment::Before)?, at(one, pair, Moment::During)?);
    if !well(before) {
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
                    say::micros(is),
                    say::micros(least)
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

/// The chance that at least `back` of `sent` come back, each with `chance`: the upper tail of the binomial.
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
mod tests {
    use firedrill_wire::{
        Fault, Share, Span,
        evidence::Seen,
        fault::{NetBlock, NetLose, NetSlow},
    };

    use super::*;
    use crate::{
        score::{card::AttackCard, fold},
        testing::{Act, Drill},
        verdict::Verdict,
    };

    fn met(back: u32, took_us: u64) -> Exchanged {
        let back_of = usize::try_from(back).unwrap();
        Exchanged { sent: 20, answered: back, times_us: vec![took_us; back_of], ..Exchanged::default() }
    }

    /// An attack on app1 by a fault about the canary, with what was exchanged before, during and after.
    fn judged(fault: Fault, all: [Option<Exchanged>; 3]) -> AttackCard {
        judged_with(Act::new("path", &["app1"], fault), all)
    }

    fn judged_with(act: Act, all: [Option<Exchanged>; 3]) -> AttackCard {
        fold(&Drill::exchanging(act, all).records()).attacks.remove(0)
    }

    fn to() -> Vec<String> {
        vec!["10.9.0.4".to_owned()]
    }

    fn blocked() -> Fault {
        Fault::NetBlock(NetBlock { to: to(), ..NetBlock::default() })
    }

    #[test]
    fn a_block_that_lets_packets_through_did_not_land() {
        let card = judged(blocked(), [Some(met(20, 300)), Some(met(3, 300)), Some(met(20, 300))]);
        assert_eq!(card.verdict, Some(Verdict::Unknown), "{card:#?}");
        assert!(card.why.iter().any(|why| why.contains("did not land: 3 of 20 came back")), "{:?}", card.why);
        let shown = &card.injections[0].exchanges[0];
        assert!(
            shown.contradiction.is_some()
                && say::exchanged(shown.before.as_ref().unwrap()) == "20 of 20 answered, 300 µs"
        );
    }

    #[test]
    fn what_is_as_it_must_be_and_what_was_not_measured_say_nothing_against_it() {
        for all in [
            [Some(met(20, 300)), Some(met(0, 0)), Some(met(20, 300))],
            [Some(met(20, 300)), None, None],
            // A path that nobody answers on tells nothing.
            [Some(met(0, 0)), Some(met(0, 0)), Some(met(0, 0))],
            [None, Some(met(20, 300)), None],
        ] {
            let card = judged(blocked(), all);
            assert_eq!(card.verdict, Some(Verdict::Held), "{:?}", card.why);
            assert_eq!(card.injections[0].exchanges.len(), 1);
        }
    }

    #[test]
    fn a_delay_must_be_felt_and_a_loss_seen() {
        let slow = || Fault::NetSlow(NetSlow { to: to(), delay: Span::millis(100), ..NetSlow::default() });
        let held = judged(slow(), [Some(met(20, 300)), Some(met(20, 100_400)), Some(met(20, 300))]);
        assert_eq!(held.verdict, Some(Verdict::Held), "{:?}", held.why);
        let not = judged(slow(), [Some(met(20, 300)), Some(met(20, 350)), Some(met(20, 300))]);
        assert!(
            not.why.iter().any(|why| why.contains("took 350 µs, less than the half of the delay, 50 ms")),
            "{:?}",
            not.why
        );
        let lose = |percent: f64| {
            let share = Share::from_fraction(percent / 100.0);
            let lose = Fault::NetLose(NetLose { to: to(), share, ..NetLose::default() });
            judged(lose, [Some(met(20, 300)), Some(met(20, 300)), Some(met(20, 300))]).verdict
        };
        assert_eq!(lose(5.0), Some(Verdict::Held), "twenty packets can well all come through");
        assert_eq!(lose(60.0), Some(Verdict::Unknown));
    }

    #[test]
    fn who_stays_away_after_the_end_is_told() {
        let card = judged(blocked(), [Some(met(20, 300)), Some(met(0, 0)), Some(met(0, 0))]);
        assert!(card.why.iter().any(|why| why.contains("after it was put back")), "{:?}", card.why);
        assert_eq!(card.verdict, Some(Verdict::Unknown));
    }

    #[test]
    fn packets_of_our_own_do_not_exercise_a_fault() {
        let quiet = |during| {
            let act = Act { packets: 0, ..Act::new("path", &["app1"], blocked()) };
            judged_with(act, [Some(met(20, 300)), during, Some(met(20, 300))])
        };
        let card = quiet(Some(met(0, 0)));
        assert_eq!((card.verdict, card.injections[0].exercised), (Some(Verdict::Unknown), Seen::No));
        assert!(card.why.iter().any(|why| why.contains("but what the run itself sent")), "{:?}", card.why);
        assert_eq!(quiet(None).injections[0].exercised, Seen::No, "they may have been sent");
        let busy = judged(blocked(), [Some(met(20, 300)), Some(met(0, 0)), Some(met(20, 300))]);
        assert_eq!(busy.injections[0].exercised, Seen::Yes);
    }

    #[test]
    fn the_tail_is_that_of_the_binomial() {
        assert!((at_least(0, 20, 0.3) - 1.0).abs() < 1e-12);
        assert!((at_least(20, 20, 0.5) - 0.5_f64.powi(20)).abs() < 1e-12);
        assert!((at_least(2, 3, 0.5) - 0.5).abs() < 1e-12);
        assert!((at_least(7, 20, 1.0) - 1.0).abs() < 1e-12);
    }
}
