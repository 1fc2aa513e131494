//! The durations of an attack's phases: its own values, the scenario's defaults, or the defaults of the format.

use std::ops::Range;

use firedrill_wire::{Fault, Span};

use crate::{
    diagnostic::{Item, Spot},
    scenario::{
        Scenario,
        attack::{Attack, AttackDefaults, defaults},
    },
};

/// The lengths of an attack's phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) baseline: Span,
    /// Duration of the fault phase; `None` if it is not set.
    pub(crate) hold: Option<Span>,
    pub(crate) recovery: Span,
    pub(crate) settle: Span,
    pub(crate) settle_within: Span,
}

/// One fault of an attack, with its times.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) fault: Fault,
    /// Offset of its start from the start of the fault phase.
    pub(crate) at: Span,
    /// Its duration; `None` if it is not set.
    pub(crate) hold: Option<Span>,
    /// Its place in the file.
    pub(crate) span: Range<usize>,
}

/// Returns the hold that the scenario sets: the attack's own, or the default's.
pub(crate) fn attack_hold(attack: &Attack, scenario: &Scenario) -> Option<Span> {
    value(&attack.hold).or_else(|| default(scenario, |defaults| &defaults.hold))
}

/// Returns the faults of an attack, each with its offset and hold.
pub(crate) fn parts(item: &Item<Attack>, scenario: &Scenario) -> Vec<Part> {
    let attack = &item.value;
    let attack_hold = attack_hold(attack, scenario);
    let single = attack.fault.iter().map(|fault| Part {
        fault: fault.value.clone(),
        at: Span::ZERO,
        hold: fault.own_hold().or(attack_hold),
        span: item.place_of_key(fault.kind()).at,
    });
    let several = attack.faults.iter().map(|entry| {
        let rest = attack_hold.map(|hold| Span(hold.0.saturating_sub(entry.at_offset().0)));
        let hold = entry.fault.own_hold().or(entry.hold).or(rest);
        Part { fault: entry.fault.clone(), at: entry.at_offset(), hold, span: entry.at.clone() }
    });
    single.chain(several).collect()
}

impl Spot<crate::scenario::attack::FaultAt> {
    /// Returns its offset from the start of the fault phase.
    pub(crate) fn at_offset(&self) -> Span {
        self.value.at
    }
}

/// Returns the durations of an attack's phases.
pub(crate) fn timing(attack: &Item<Attack>, scenario: &Scenario) -> Timing {
    let own = &attack.value;
    let parts = parts(attack, scenario);
    let attack_hold = attack_hold(own, scenario);
    let ends: Option<Vec<Span>> = parts.iter().map(|part| Some(part.at + part.hold?)).collect();
    let longest = ends.and_then(|ends| ends.into_iter().max());
    // If all faults have their own holds, they replace the attack's hold.
    let all_own = !parts.is_empty() && parts.iter().all(|part| part.fault.own_hold().is_some());
    let hold = if all_own { longest } else { longest.max(attack_hold) };
    let settle = value(&own.settle).or_else(|| default(scenario, |d| &d.settle)).unwrap_or(defaults::SETTLE);
    Timing {
        baseline: value(&own.baseline)
            .or_else(|| default(scenario, |d| &d.baseline))
            .unwrap_or(defaults::BASELINE),
        hold,
        recovery: value(&own.recovery)
            .or_else(|| default(scenario, |d| &d.recovery))
            .unwrap_or(defaults::RECOVERY),
        settle,
        settle_within: value(&own.settle_within)
            .or_else(|| default(scenario, |d| &d.settle_within))
            .unwrap_or(defaults::SETTLE_WITHIN.max(settle)),
    }
}

/// Returns the value of a key; `None` if the file does not have the key.
fn value(spot: &Option<Spot<Span>>) -> Option<Span> {
    spot.as_ref().map(|spot| spot.value)
}

fn default(scenario: &Scenario, get: impl Fn(&AttackDefaults) -> &Option<Spot<Span>>) -> Option<Span> {
    scenario.attack_defaults.as_ref().and_then(|defaults| value(get(&defaults.value)))
}

/// Returns the names of the objectives that an attack is judged by.
pub(crate) fn judged<'s>(attack: &'s Item<Attack>, scenario: &'s Scenario) -> Vec<&'s str> {
    let defaults = scenario.attack_defaults.as_ref().and_then(|defaults| defaults.value.judge.as_ref());
    match attack.value.judge.as_ref().or(defaults) {
        Some(judge) => judge.iter().map(|name| name.as_str()).collect(),
        None => scenario.all_objectives().collect(),
    }
}
