//! Efficacy: whether faults landed, stayed in force, and ended as planned. Contrary evidence makes verdicts
//! `unknown`.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::{
    evidence::Seen,
    journal::{HealReason, State},
};

use super::{
    card::InjectionCard,
    exchanged::Exchanges,
    facts::{AttackFacts, Facts, InjectionFacts},
    format,
    met::{Met, looks},
    phases::{Phases, healed},
};
use crate::log::{Moment, Outcome};

/// Maximum time in microseconds by which a hold may end early and still count, because timers are coarse.
const HOLD_TOLERANCE_US: i64 = 500_000;

/// A reason to doubt, a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Whether the measurements say nothing about the fault, so that not even a violation counts.
    pub(crate) void: bool,
    pub(crate) text: String,
}

/// Returns a doubt because of which no measurement counts.
fn void(text: String) -> Doubt {
    Doubt { void: true, text }
}

/// Returns a doubt because of which nothing can be `held`; a violation still counts.
fn weak(text: String) -> Doubt {
    Doubt { void: false, text }
}

/// Returns all doubts about an attack that do not depend on measurements.
pub(crate) fn doubts(
    facts: &Facts<'_>,
    index: usize,
    attack: &AttackFacts<'_>,
    phases: &Phases,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if attack.injections.is_empty() {
        doubts.push(void("the plan does nothing to any host in this attack".to_owned()));
    }
    let exchanges = Exchanges::of(facts.plan, index);
    let met = Met::of(attack, &exchanges);
    for (place, one) in attack.injections.iter().enumerate() {
        injection(facts, index, one, met.is_known(attack, place), &mut doubts);
        let name = named(one);
        for text in exchanges.against(place, one) {
            doubts.push(void(format!("{name} did not land: {text}")));
        }
        for text in exchanges.still(place, one) {
            doubts.push(weak(format!("{name}: {text}")));
        }
    }
    for phase in [Phase::Baseline, Phase::Fault, Phase::Recovery] {
        if !attack.phases.iter().any(|(logged, _)| *logged == phase) {
            doubts.push(weak(format!(
                "the log has no {} phase of this attack",
                super::card::phase_word(phase)
            )));
        }
    }
    let end = facts.attack_end_us(index);
    let begin = attack.phases.first().map_or(end, |(_, at)| *at);
    for (from, to) in &facts.gaps {
        if *from < end && begin < *to {
            doubts.push(weak(format!(
                "the coordinator itself was not running for {} at {}",
                format::time(to.saturating_sub(*from)),
                format::clock(*from)
            )));
        }
    }
    for (at, why, blind) in &facts.guards {
        if *blind && (begin..=end).contains(at) {
            doubts.push(weak(format!("a guard was blind: {why}")));
        }
    }
    if phases.uncertainty_us > 1_000_000 {
        doubts.push(weak(format!(
            "the targets' clocks are known only to within {}",
            format::time(phases.uncertainty_us)
        )));
    }
    match &attack.ended {
        Some((_, Outcome::Aborted(why))) => doubts.push(weak(format!("the attack was aborted: {why}"))),
        None => doubts.push(weak("the log ends before the attack does".to_owned())),
        Some((_, Outcome::Ran | Outcome::NotRun(_) | Outcome::Spared(_))) => {}
    }
    doubts.dedup();
    doubts
}

/// Returns the name of an injection: the kind of its fault, and its host.
fn named(one: &InjectionFacts<'_>) -> String {
    format!("{} on {}", one.planned.fault.kind(), one.planned.host)
}

/// Adds the doubts about one injection. `met` tells whether something was affected, or whether the effect is known in another way.
fn injection(facts: &Facts<'_>, index: usize, one: &InjectionFacts<'_>, met: bool, doubts: &mut Vec<Doubt>) {
    let name = named(one);
    let reversible = one.fault().reversible();
    let down = one.fault().takes_host_down();
    if !one.armed && one.changes.is_empty() {
        doubts.push(void(format!("{name} was never armed")));
        return;
    }
    let Some(in_force) = one.in_force_us() else {
        let last = one.changes.last().map(|change| change.detail).filter(|detail| !detail.is_empty());
        let why = last.map(|detail| format!(": {detail}")).unwrap_or_default();
        doubts.push(void(format!("{name} was never in force{why}")));
        return;
    };
    let end = facts.attack_end_us(index);
    if !down {
        for (host, at) in &facts.starts {
            if *host == one.planned.host && (in_force..=end).contains(at) {
                doubts.push(void(format!("the agent on {host} was restarted during the attack")));
            }
        }
        for (host, at) in &facts.rebooted {
            if *host == one.planned.host && (in_force..=end).contains(at) {
                doubts.push(void(format!("{host} rebooted while the attack ran")));
            }
        }
        ended_early(one, in_force, &name, reversible, doubts);
    } else if healed(facts, one).is_none()
        && !facts.lost.iter().any(|(host, at)| *host == one.planned.host && *at >= in_force)
    {
        doubts.push(void(format!("{name}: the host never went away")));
    }
    if one.first(&[State::Stuck]).is_some() {
        doubts.push(weak(format!("{name} is stuck: it could not be put back")));
    } else if reversible && one.ended_us().is_none() {
        doubts.push(weak(format!("{name}: nothing shows that it was put back")));
    }
    if !down {
        evidence(one, &name, met, doubts);
    }
}

/// Adds the doubts about an injection that ended before its hold, by the reasons that the agent journaled.
fn ended_early(
    one: &InjectionFacts<'_>,
    in_force: i64,
    name: &str,
    reversible: bool,
    doubts: &mut Vec<Doubt>,
) {
    for change in &one.changes {
        let why = match change.reason {
            None | Some(HealReason::HoldOver) => continue,
            Some(HealReason::InjectFailed) => {
                let detail = if change.detail.is_empty() { "no more is known" } else { change.detail };
                doubts.push(void(format!("{name} could not be made wholly: {detail}")));
                continue;
            }
            // Only an injection that had not started is called off, but the start may have been under way.
            Some(HealReason::NotAllowed) => "the host's policy changed and allows it no more",
            Some(HealReason::WorkerDied) => "the agent's worker died or hung, and the agent healed",
            Some(HealReason::GuardianDied) => "the agent's guardian died or hung, and the agent healed",
            Some(HealReason::FoundAtStart) => "the agent was restarted and healed the fault",
            Some(HealReason::AgentStopping) => "the agent was stopped or upgraded and healed",
            // These reasons end a fault early, but the agent stays trustworthy: measurements until then count.
            Some(HealReason::LeaseExpired) => {
                doubts.push(weak(format!("{name}: the lease ran out and the agent healed")));
                continue;
            }
            Some(HealReason::Distrusted { name: whose }) => {
                if too_short(one, in_force, change.at_us) {
                    doubts.push(weak(format!(
                        "{name} was lifted early, because the certificate of {whose} is not trusted any more"
                    )));
                }
                continue;
            }
            Some(HealReason::Asked { by }) => {
                if too_short(one, in_force, change.at_us) {
                    doubts.push(weak(format!("{name} was lifted early, asked for by {by}")));
                }
                continue;
            }
        };
        doubts.push(void(format!("{name}: {why}")));
    }
    if reversible
        && let Some(undoing) = one.undoing_us().or_else(|| one.ended_us())
        && too_short(one, in_force, undoing)
    {
        let held = undoing.saturating_sub(in_force);
        doubts.push(weak(format!(
            "{name} was in force for {} of {}",
            format::time(held),
            format::time(hold_us(one))
        )));
    }
}

/// Whether an undo at `undoing` is too early for the planned hold.
fn too_short(one: &InjectionFacts<'_>, in_force: i64, undoing: i64) -> bool {
    undoing.saturating_sub(in_force) < hold_us(one).saturating_sub(HOLD_TOLERANCE_US.min(hold_us(one) / 10))
}

/// Returns the planned hold in microseconds, limited so that sums do not overflow.
fn hold_us(one: &InjectionFacts<'_>) -> i64 {
    i64::try_from(one.planned.hold.as_micros()).unwrap_or(i64::MAX / 8)
}

/// Adds the doubts by the agent's checks: whether the fault was in force, and whether anything met it.
fn evidence(one: &InjectionFacts<'_>, name: &str, met: bool, doubts: &mut Vec<Doubt>) {
    let mut has_checks = false;
    for (at, look) in looks(one) {
        has_checks = true;
        // An instant fault is not there any more when the agent checks.
        if look.in_force == Seen::No && one.fault().reversible() {
            doubts.push(void(format!("{name} was not there at {}: {}", format::clock(at), look.detail)));
            return;
        }
    }
    if !has_checks {
        doubts.push(void(format!("{name}: no check shows whether it was in force")));
    } else if one.fault().reversible() && !looks(one).any(|(_, look)| look.in_force == Seen::Yes) {
        doubts.push(void(format!("{name}: it could not be seen whether it was there")));
    } else if !met {
        let last = looks(one).last().map(|(_, look)| look.detail.as_str()).unwrap_or_default();
        let tried = if one.exchanges.iter().any(|met| met.moment == Moment::During) {
            " but what the run itself sent to try it out"
        } else {
            ""
        };
        doubts.push(void(format!("{name} was never exercised, nothing met it{tried}: {last}")));
    }
}

/// Returns the injections of an attack for reports.
pub(crate) fn cards(facts: &Facts<'_>, index: usize, attack: &AttackFacts<'_>) -> Vec<InjectionCard> {
    let exchanges = Exchanges::of(facts.plan, index);
    let met = Met::of(attack, &exchanges);
    let card = |(place, one)| card(facts, met.by_others(place), &exchanges, place, one);
    attack.injections.iter().enumerate().map(card).collect()
}

/// Returns the card of an injection with the index `place`. If only Firedrill's own exchanges met the fault (`by_others` is false), it was not
/// exercised.
fn card(
    facts: &Facts<'_>,
    by_others: bool,
    exchanges: &Exchanges,
    place: usize,
    one: &InjectionFacts<'_>,
) -> InjectionCard {
    let exercised = |seen: Seen| if seen == Seen::Yes && !by_others { Seen::No } else { seen };
    let (exchanged, not_exchanged) = exchanges.cards(place, one);
    let worst = |seen: &mut dyn Iterator<Item = Seen>, decisive: Seen| {
        let all: Vec<Seen> = seen.collect();
        if all.contains(&decisive) {
            decisive
        } else {
            // Otherwise the other definite answer, if there was one.
            all.into_iter().find(|seen| *seen != Seen::Unknown).unwrap_or(Seen::Unknown)
        }
    };
    let telling = looks(one).find(|(_, look)| look.in_force == Seen::No).or_else(|| looks(one).last());
    let down = one.fault().takes_host_down();
    let back = healed(facts, one);
    let gone = facts.lost.iter().any(|(host, at)| {
        *host == one.planned.host && one.in_force_us().is_some_and(|in_force| *at >= in_force)
    });
    let went = if down && (back.is_some() || gone) { Some(Seen::Yes) } else { None };
    InjectionCard {
        id: one.id.cloned(),
        host: one.planned.host.clone(),
        kind: one.planned.fault.kind().to_owned(),
        effects: one.effects.to_vec(),
        undo: one.undo.to_vec(),
        in_force_us: one.in_force_us(),
        undoing_us: one.undoing_us(),
        ended_us: back,
        hold_us: hold_us(one),
        in_force: went.unwrap_or_else(|| worst(&mut looks(one).map(|(_, look)| look.in_force), Seen::No)),
        exercised: went
            .unwrap_or_else(|| worst(&mut looks(one).map(|(_, look)| exercised(look.exercised)), Seen::Yes)),
        count: looks(one).filter_map(|(_, look)| look.count).max(),
        looks: looks(one).count(),
        detail: telling
            .map(|(_, look)| look.detail.clone())
            .or_else(|| one.changes.last().map(|change| change.detail.to_owned()))
            .unwrap_or_default(),
        exchanges: exchanged,
        not_exchanged,
    }
}
