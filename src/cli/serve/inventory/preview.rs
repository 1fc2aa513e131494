//! Describes a plan for a page, effect by effect. Asks no host, so details that only agents know are missing.

use std::collections::BTreeSet;

use firedrill_room::{PlannedAttack, PlannedEffect, Preview};

use crate::{
    alike,
    cli::days::WIDTH,
    diagnostic::plural,
    plan::{
        Plan,
        model::{Attack, Guard},
        print::{self, Effect},
        radius,
    },
};

/// Describes a plan. `any_seed` is whether each run has a new random seed. `draws` is the number of its attacks that a slot draws; `None`
/// if all are run.
pub(super) fn preview(plan: &Plan, any_seed: bool, draws: Option<usize>) -> Preview {
    let drawn = draws.map(|count| format!(". Each slot draws {count} of these attacks")).unwrap_or_default();
    Preview {
        summary: format!("{}{drawn}", print::summary(plan)),
        seed: plan.seed,
        any_seed,
        limits: limits(&plan.guard),
        attacks: plan.attacks.iter().map(|attack| planned(plan, attack)).collect(),
        text: print::text(plan, &[], WIDTH),
    }
}

/// Describes the limits of a guard, one text each.
fn limits(guard: &Guard) -> Vec<String> {
    let share = guard.max_share.iter().map(|max| {
        let group = if max.of == radius::FLEET { "the fleet".to_owned() } else { format!("each {}", max.of) };
        format!("at most {} of {group} at once", max.share)
    });
    let keep =
        guard.keep.iter().map(|(role, count)| format!("at least {count} of role {role} without a fault"));
    share.chain(keep).collect()
}

/// Describes an attack and its effects.
fn planned(plan: &Plan, attack: &Attack) -> PlannedAttack {
    PlannedAttack {
        name: attack.name.clone(),
        approval: attack.approve.as_ref().map(print::approval),
        needs: attack.needs.join(", "),
        radius: radius_of(plan, attack),
        means: attack.means.clone(),
        effects: print::effects(attack).into_iter().map(|effect| planned_effect(plan, effect)).collect(),
    }
}

/// Describes the hosts that an attack touches: their number, their names, and how many at most at the same time.
fn radius_of(plan: &Plan, attack: &Attack) -> String {
    let distinct: BTreeSet<&str> =
        attack.injections.iter().map(|injection| injection.host.as_str()).collect();
    let names: Vec<&str> = distinct.into_iter().collect();
    let at_once = radius::instants(attack).iter().map(BTreeSet::len).max().unwrap_or(0);
    let (count, total) = (names.len(), plan.hosts.len());
    let fewer = if at_once < count { format!(", at most {at_once} at once") } else { String::new() };
    format!("Touches {count} of {total} host{}: {}{fewer}", plural(total), alike::uncounted(&names))
}

/// Describes an effect, and how it ends.
fn planned_effect(plan: &Plan, effect: Effect) -> PlannedEffect {
    let Effect { hosts, fault, at, hold, irreversible, .. } = effect;
    let after = if at.is_zero() { String::new() } else { format!("after {at}, ") };
    let undo = match irreversible {
        None => format!(
            "put back by the host’s agent when this time is over, or when it has heard nothing from the run for {}",
            plan.lease
        ),
        Some(why) => why.to_owned(),
    };
    let irreversible = irreversible.is_some();
    PlannedEffect { hosts, fault, when: format!("{after}for {hold}"), undo, irreversible }
}
