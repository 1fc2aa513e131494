//! Refuses invalid times of attacks, and warns of unusual ones: holds that are too short to show anything, or too long.

use firedrill_wire::{Span, probe::Arrivals};

use crate::{
    diagnostic::{Item, Place, Problem, Sink, Spot},
    plan::{
        decide::{samples_to_decide, time_for},
        model::Goal,
        resolve::{Draft, length},
        timing::{self, Timing},
    },
    scenario::{Scenario, attack::Attack},
};

/// Maximum hold.
pub(super) const LONGEST_HOLD: Span = Span::secs(24 * 3600);

/// A longer hold is unusual, and worth a warning.
const LONG_HOLD: Span = Span::secs(3600);

/// Checks the times of an attack.
pub(super) fn refuse(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let timing = timing::timing(attack, scenario);
    parts(attack, scenario, sink);
    goals(attack, scenario, &timing, sink);
    let settle = settle_place(attack, scenario);
    if timing.settle_within < timing.settle {
        let message = format!(
            "attack `{}` must settle within {}, but has to be healthy for {} by then",
            attack.name, timing.settle_within, timing.settle
        );
        sink.push(
            Problem::error(message)
                .at(settle, "shorter than `settle`")
                .help(format!("settle_within = \"{}\" or more", timing.settle)),
        );
    }
    if timing.baseline.is_zero() {
        let message =
            format!("attack `{}` has no baseline: nothing shows that all was well before", attack.name);
        sink.push(Problem::error(message).at(place_of(attack, scenario, "baseline"), "zero"));
    }
    let default = scenario.attack_defaults.as_ref();
    let approve = match (&attack.value.approve, default) {
        (Some(approve), _) => Some((approve, attack.place_of(&approve.at))),
        (None, Some(item)) => {
            item.value.approve.as_ref().map(|approve| (approve, item.place_of(&approve.at)))
        }
        (None, None) => None,
    };
    if let Some((_, place)) = approve.filter(|(approve, _)| approve.people == 0 || approve.expires.is_zero())
    {
        let message =
            format!("the approval of attack `{}` wants at least one person and some time", attack.name);
        sink.push(Problem::error(message).at(place, "cannot be given"));
    }
}

/// Refuses a time limit that ends every run before its last attack.
pub(super) fn refuse_limit(scenario: &Scenario, draft: &Draft, sink: &mut Sink) {
    let Some(item) = &scenario.ci else { return };
    let Some(limit) = item.value.time_limit else { return };
    let needed: Span = draft.turns().map(|placed| length(&placed.attack)).sum();
    if limit < needed {
        let message =
            format!("the drill takes {needed} if all settles at once, and is stopped after {limit}");
        let place = item.place_of_key("time_limit");
        sink.push(
            Problem::error(message).at(place, "too short").help(format!("time_limit = \"{needed}\" or more")),
        );
    }
}

/// Checks the times of the faults of an attack.
fn parts(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let attack_hold = timing::attack_hold(&attack.value, scenario);
    let parts = timing::parts(attack, scenario);
    if parts.iter().any(|part| part.hold.is_none()) && !attack.broken {
        sink.push(
            Problem::error(format!("attack `{}` does not set the duration of its fault", attack.name))
                .at(attack.place(), "has no `hold`")
                .help("hold = \"30s\", here or in [attack_defaults]"),
        );
    }
    if let Some(hold) = &attack.value.hold
        && !parts.is_empty()
        && parts.iter().all(|part| part.fault.own_hold().is_some())
    {
        let message =
            format!("the fault of attack `{}` has its own duration, which replaces `hold`", attack.name);
        sink.push(Problem::warning(message).at(attack.place_of(&hold.at), "has no effect"));
    }
    for part in parts {
        let (Some(hold), place) = (part.hold, attack.place_of(&part.span)) else { continue };
        if let Some(attack_hold) =
            attack_hold.filter(|attack_hold| part.at >= *attack_hold && part.fault.own_hold().is_none())
        {
            let message = format!("{} starts {} into a hold of {attack_hold}", part.fault.kind(), part.at);
            sink.push(Problem::error(message).at(place, "after its end"));
        } else if let Some(attack_hold) =
            attack_hold.filter(|attack_hold| part.at + hold > *attack_hold && part.fault.own_hold().is_none())
        {
            let message = format!(
                "{} holds until {}, after the attack's hold of {attack_hold}",
                part.fault.kind(),
                part.at + hold
            );
            sink.push(Problem::error(message).at(place, "too long"));
        } else if hold.is_zero() {
            let message = format!("{} with a duration of zero shows nothing", part.fault.kind());
            sink.push(Problem::error(message).at(hold_place(attack, scenario, place), "zero"));
        } else if hold > LONGEST_HOLD {
            let message = format!("{} for {hold} is more than agents allow (24h)", part.fault.kind());
            sink.push(Problem::error(message).at(hold_place(attack, scenario, place), "too long"));
        } else if hold > LONG_HOLD {
            let message = format!("attack `{}` holds {} for {hold}", attack.name, part.fault.kind());
            sink.push(Problem::warning(message).at(hold_place(attack, scenario, place), "unusually long"));
        }
    }
}

/// Refuses phases that are too short to show goals about times.
fn goals(attack: &Item<Attack>, scenario: &Scenario, timing: &Timing, sink: &mut Sink) {
    for name in timing::judged(attack, scenario) {
        let Some(objective) = scenario.objective(name) else { continue };
        let Some(probe) = scenario.probe(&objective.value.probe) else { continue };
        let (within, there, key, what) = match objective.value.goal() {
            Some(Goal::MitigateWithin(within)) => {
                let Some(hold) = timing.hold else { continue };
                (within, hold, "hold", "holds")
            }
            Some(Goal::RecoverWithin(within)) => (within, timing.recovery, "recovery", "looks at recovery"),
            _ => continue,
        };
        let goal = objective.value.goal().unwrap_or(Goal::RecoverWithin(within));
        let shown = samples_to_decide(&goal, objective.value.good_at());
        let rate = probe.value.rate.value;
        if rate.is_nan() || rate <= 0.0 || shown == u64::MAX {
            continue;
        }
        let good = time_for(shown, rate, Arrivals::Even);
        let needed = within + good;
        if there < needed {
            let own = timing::parts(attack, scenario).iter().all(|part| part.fault.own_hold().is_some());
            let at = match attack.value.fault.as_ref() {
                Some(fault) if own && key == "hold" => attack.place_of(&fault.at),
                _ => place_of(attack, scenario, key),
            };
            let goal = if key == "hold" { "mitigate" } else { "recover" };
            let message = format!(
                "attack `{}` {what} for {there}, too short to show `{name}`: {goal}_within {within} and {good} of good \
                 requests after it",
                attack.name
            );
            let help = if own && key == "hold" {
                format!("{needed} at least, or a shorter goal")
            } else {
                format!("{key} = \"{needed}\" or more, or a shorter goal")
            };
            sink.push(
                Problem::error(message)
                    .at(at, "too short")
                    .also(objective.place(), "the objective")
                    .help(help),
            );
        }
    }
}

/// Returns the place of an attack's key: its own, that of the defaults, or the attack's name.
pub(super) fn place_of(attack: &Item<Attack>, scenario: &Scenario, key: &str) -> Place {
    let own = &attack.value;
    let spot = |spot: &Option<Spot<Span>>| spot.as_ref().map(|spot| spot.at.clone());
    let at = match key {
        "baseline" => spot(&own.baseline),
        "hold" => spot(&own.hold),
        "recovery" => spot(&own.recovery),
        _ => spot(&own.settle_within),
    };
    if let Some(at) = at {
        return attack.place_of(&at);
    }
    let default = scenario.attack_defaults.as_ref().and_then(|item| {
        let defaults = &item.value;
        let at = match key {
            "baseline" => spot(&defaults.baseline),
            "hold" => spot(&defaults.hold),
            "recovery" => spot(&defaults.recovery),
            _ => spot(&defaults.settle_within),
        };
        at.map(|at| item.place_of(&at))
    });
    default.unwrap_or_else(|| attack.place())
}

/// Returns the place of `settle_within`, or of the attack's `settle` if only that is given.
fn settle_place(attack: &Item<Attack>, scenario: &Scenario) -> Place {
    match (&attack.value.settle_within, &attack.value.settle) {
        (None, Some(settle)) => attack.place_of(&settle.at),
        _ => place_of(attack, scenario, "settle_within"),
    }
}

/// Returns the place of the key that sets the hold: the fault's, if the fault has its own.
fn hold_place(attack: &Item<Attack>, scenario: &Scenario, fault: Place) -> Place {
    let own = attack.value.fault.as_ref().is_some_and(|fault| fault.own_hold().is_some());
    if own || !attack.value.faults.is_empty() { fault } else { place_of(attack, scenario, "hold") }
}
