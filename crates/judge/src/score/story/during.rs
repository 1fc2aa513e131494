//! Writes the effects of an attack as a clause of the story: `app1 was cut off`. A fault is described as done only if it is
//! shown to have landed.

use firedrill_plan::plan::{
    Plan,
    model::{Host, Injection},
};
use firedrill_wire::{
    evidence::Seen,
    fault::{Effect, NetPartition, On},
};

use crate::{
    score::{
        card::{AttackCard, InjectionCard},
        format,
    },
    verdict::Verdict,
};

/// Maximum number of clauses. If there are more, the attack's name says more than they would.
const CLAUSES: usize = 3;

/// Returns the clause: the faults that landed and their hosts, and the faults of which nothing shows that they landed.
pub(super) fn during(attack: &AttackCard, plan: &Plan) -> String {
    let planned = plan.attacks.get(attack.index).map_or(&[][..], |attack| &attack.injections);
    let all: Vec<(&InjectionCard, &Injection)> = attack.injections.iter().zip(planned).collect();
    // A verdict other than `unknown` rests on faults that landed.
    let decided = attack.verdict.is_some_and(|verdict| verdict != Verdict::Unknown);
    let (landed, open): (Vec<_>, Vec<_>) =
        all.iter().partition(|(card, planned)| decided || landed(card, planned, &all));
    let done = clauses(&landed, plan);
    let done = if done.is_empty() || done.len() > CLAUSES {
        format!("“{}” was on", attack.name)
    } else {
        format::list(&done)
    };
    if open.is_empty() {
        return done;
    }
    let names: Vec<String> = open.iter().map(|(card, _)| format!("{} on {}", card.kind, card.host)).collect();
    format!("{done} (nothing shows that {} landed)", format::list(&names))
}

/// Whether an injection is shown to have landed: its effect was there, something met it, and no trial contradicts it.
fn landed(card: &InjectionCard, planned: &Injection, all: &[(&InjectionCard, &Injection)]) -> bool {
    let there = match card.in_force {
        Seen::Yes => true,
        // An effect that is over at once cannot be seen by a check.
        Seen::No | Seen::Unknown => !planned.fault.reversible(),
    };
    let contradicted = card.exchanges.iter().any(|trial| trial.contradiction.is_some());
    let met = met(card)
        || (planned.together.is_some()
            && all.iter().any(|(other, plan)| plan.together == planned.together && met(other)));
    card.in_force_us.is_some() && there && met && !contradicted
}

/// Whether something met the fault. Packets of a trial count too, if they were answered before and lost while it was in
/// force.
fn met(card: &InjectionCard) -> bool {
    card.exercised == Seen::Yes
        || card.exchanges.iter().any(|trial| match (&trial.before, &trial.during) {
            (Some(before), Some(during)) => before.back() > 0 && during.sent > 0 && during.back() == 0,
            _ => false,
        })
}

/// Returns a clause for each effect, with all hosts that had it.
fn clauses(landed: &[&(&InjectionCard, &Injection)], plan: &Plan) -> Vec<String> {
    let mut by_effect: Vec<(Effect, Vec<&str>)> = Vec::new();
    for (card, planned) in landed {
        let effect = effect(planned);
        match by_effect.iter_mut().find(|(known, _)| *known == effect) {
            Some((_, hosts)) => hosts.push(&card.host),
            None => by_effect.push((effect, vec![&card.host])),
        }
    }
    // Several effects on the same part of the same hosts become one clause: `delayed and lost`.
    let mut merged: Vec<(On, Vec<&str>, Vec<&str>)> = Vec::new();
    for (effect, mut hosts) in by_effect {
        hosts.sort_unstable();
        hosts.dedup();
        match merged.iter_mut().find(|(on, on_hosts, _)| *on == effect.on && *on_hosts == hosts) {
            Some((.., done)) => done.push(effect.done),
            None => merged.push((effect.on, hosts, vec![effect.done])),
        }
    }
    merged.into_iter().map(|(on, hosts, done)| clause(on, &hosts, &format::list(&done), plan)).collect()
}

/// Returns a clause: the hosts, or their region, and the effects on this part of them.
fn clause(on: On, hosts: &[&str], done: &str, plan: &Plan) -> String {
    let region = whole_region(hosts, plan);
    let place = region.map_or_else(|| format::list(hosts), str::to_owned);
    match on {
        On::Host if hosts.len() > 1 && region.is_none() => format!("{place} were {done}"),
        On::Host => format!("{place} was {done}"),
        On::Service => format!("a service on {place} was {done}"),
        On::Process => format!("a process on {place} was {done}"),
        On::Traffic => format!("some traffic of {place} was {done}"),
        On::Connections => format!("connections of {place} were {done}"),
        On::Answers => format!("DNS answers to {place} were {done}"),
        On::Interface => format!("an interface of {place} was {done}"),
    }
}

/// Returns the region whose hosts are exactly these, because its name says more than theirs; `None` if there is none.
fn whole_region<'a>(hosts: &[&str], plan: &'a Plan) -> Option<&'a str> {
    let region = |host: &'a Host| host.labels.get("region").map(String::as_str);
    let name = hosts.first().and_then(|first| plan.host(first)).and_then(region)?;
    let mut members = plan.hosts.iter().filter(|host| region(host) == Some(name));
    let all = hosts.iter().all(|host| plan.host(host).and_then(region) == Some(name));
    (hosts.len() > 1 && all && members.all(|host| hosts.contains(&host.name.as_str()))).then_some(name)
}

/// Returns the effect of an injection in words.
fn effect(planned: &Injection) -> Effect {
    // Blocks that form a partition together are described as a partition.
    if planned.together.is_some() { NetPartition::EFFECT } else { planned.fault.about().effect }
}
