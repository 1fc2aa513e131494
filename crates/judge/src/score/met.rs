//! Whether a fault affected anything besides the packets of the run's own trial, or whether the trial shows its
//! effect.

use firedrill_wire::evidence::{Evidence, Seen};

use super::{
    exchanged::Exchanges,
    facts::{AttackFacts, InjectionFacts},
};

/// Whether anything was affected by the injections of an attack, by their indexes.
pub(crate) struct Met(Vec<Effect>);

/// The signs that an injection had an effect.
struct Effect {
    /// Whether something other than the run's own packets was affected.
    by_others: bool,
    /// Whether the trial shows that the fault has its effect.
    shown: bool,
    /// Whether the fault affects packets, which are counted.
    counts: bool,
}

impl Met {
    /// Collects the effects of all injections of an attack.
    pub(crate) fn of(attack: &AttackFacts<'_>, exchanges: &Exchanges) -> Self {
        let injections = attack.injections.iter().enumerate();
        Self(
            injections
                .map(|(place, one)| Effect {
                    by_others: by_others(attack, exchanges, one),
                    shown: exchanges.shown(place, one),
                    counts: looks(one).any(|(_, look)| look.count.is_some()),
                })
                .collect(),
        )
    }

    /// Whether something other than the run's own packets was affected.
    pub(crate) fn by_others(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(|one| one.by_others)
    }

    /// Whether the injection is known to have taken effect: traffic was affected, its trial shows the effect, or it
    /// is a part of a fault on several hosts that affected traffic on another one. An idle host of a region is no
    /// reason to doubt the measurements.
    pub(crate) fn is_known(&self, attack: &AttackFacts<'_>, place: usize) -> bool {
        let Some(one) = self.0.get(place) else { return false };
        let elsewhere = |(other, met): (usize, &Effect)| {
            one.counts && met.by_others && of_one_fault(attack, place, other)
        };
        one.by_others || one.shown || self.0.iter().enumerate().any(elsewhere)
    }
}

/// Whether two injections are the same fault of the scenario on different hosts: each host has all of its attack's
/// faults, in the same order.
fn of_one_fault(attack: &AttackFacts<'_>, first: usize, second: usize) -> bool {
    let injections = &attack.injections;
    // The number of injections on the same host before this one.
    let number = |index: usize| {
        let host = &injections[index].planned.host;
        injections[..index].iter().filter(|earlier| earlier.planned.host == *host).count()
    };
    let (one, other) = (injections[first].planned, injections[second].planned);
    let together = one.together.is_some() && one.together == other.together;
    together || (one.fault.kind() == other.fault.kind() && number(first) == number(second))
}

/// Returns the checks that were made while the fault should be in force.
pub(crate) fn looks<'f>(one: &'f InjectionFacts<'_>) -> impl Iterator<Item = (i64, &'f Evidence)> {
    let until = one.undoing_us().filter(|_| one.fault().reversible()).unwrap_or(i64::MAX);
    one.looks.iter().filter(move |(at, _)| *at < until).map(|(at, look)| (*at, *look))
}

/// Whether something other than the packets of the run's own trials was affected.
fn by_others(attack: &AttackFacts<'_>, exchanges: &Exchanges, one: &InjectionFacts<'_>) -> bool {
    let mut checks: Vec<_> = looks(one).collect();
    checks.sort_by_key(|(at, _)| *at);
    let own = exchanges.own(attack, &one.planned.host);
    let unsure = one.uncertainty_us;
    // The time and the count of the check before.
    let mut last = (one.in_force_us().unwrap_or(i64::MIN), 0);
    // Packets that were counted while no trial was being sent.
    let mut beside = 0_u64;
    for (at, look) in checks {
        let met = look.exercised == Seen::Yes;
        let Some(count) = look.count else {
            // Only kinds with a packet counter have affected packets.
            if met {
                return true;
            }
            continue;
        };
        if met && count > own.until(at.saturating_add(unsure)) {
            return true;
        }
        // If no trial was between two checks, only packets of others increased the count.
        if met && !own.sends_between(last.0.saturating_sub(unsure), at.saturating_add(unsure)) {
            beside = beside.saturating_add(count.saturating_sub(last.1));
        }
        last = (at, count);
    }
    beside > own.late
}
