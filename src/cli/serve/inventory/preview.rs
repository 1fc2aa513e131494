//! A plan in words, effect by effect. Asks no host: what agents add when they are asked is not here.

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

/// Returns the words for a plan. `any_seed` says that each run draws a new seed, and `draws` how many of its attacks one has if that is
/// not all of them.
pub(super) fn preview(plan: &Plan, any_seed: bool, draws: Option<usize>) -> Preview {
    let drawn = draws.map(|count| format!(". Each slot draws {count} of these attacks")).unwrap_or_default();
    Preview {
        summary: format!("{}{drawn}", print::summary(plan)),
        seed: plan.seed,
        any_seed,
        limits: limits(&plan.guard),
        attacks: plan.attacks.iter().map(|one| attack(plan, one)).collect(),
        text: print::text(plan, &[], WIDTH),
    }
}

fn limits(guard: &Guard) -> Vec<String> {
    let share = guard.max_share.iter().map(|max| {
        let of = if max.of == radius::FLEET { "the fleet".to_owned() } else { format!("each {}", max.of) };
        format!("at most {} of {of} at once", max.share)
    });
    let keep =
        guard.keep.iter().map(|(role, count)| format!("at least {count} of role {role} without a fault"));
    share.chain(keep).collect()
}

fn attack(plan: &Plan, attack: &Attack) -> PlannedAttack {
    PlannedAttack {
        name: attack.name.clone(),
        approval: attack.approve.as_ref().map(print::approval),
        needs: attack.needs.join(", "),
        radius: radius_of(plan, attack),
        means: attack.means.clone(),
        effects: print::effects(attack).into_iter().map(|one| effect(plan, one)).collect(),
    }
}

/// Returns the hosts that an attack touches, in words.
fn radius_of(plan: &Plan, attack: &Attack) -> String {
    let all: BTreeSet<&str> = attack.injections.iter().map(|one| one.host.as_str()).collect();
    let names: Vec<&str> = all.into_iter().collect();
    let at_once = radius::instants(attack).iter().map(BTreeSet::len).max().unwrap_or(0);
    let (count, of) = (names.len(), plan.hosts.len());
    let fewer = if at_once < count { format!(", at most {at_once} at once") } else { String::new() };
    format!("Touches {count} of {of} host{}: {}{fewer}", plural(of), alike::uncounted(&names))
}

fn effect(plan: &Plan, effect: Effect) -> PlannedEffect {
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
