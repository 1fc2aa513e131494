//! The run in one sentence, for somebody who was not in the room. Made of figures only; says what it does not know.

use super::{
    card::{AttackCard, Course, FigureCard, Scorecard},
    say,
};
use crate::{
    plan::{
        Plan,
        model::{Attack, Phase},
    },
    verdict::Verdict,
};

/// The sentence.
pub(crate) fn tell(card: &Scorecard, plan: Option<&Plan>) -> String {
    let Some(plan) = plan else {
        return "The log does not say what was to be done, so nothing is known.".to_owned();
    };
    let planned = card.attacks.len();
    let count = |verdict: Option<Verdict>| card.attacks.iter().filter(|one| one.verdict == verdict).count();
    let (held, violated, unknown) =
        (count(Some(Verdict::Held)), count(Some(Verdict::Violated)), count(Some(Verdict::Unknown)));
    let not_run = count(None);
    let failures = match planned {
        1 => "One failure".to_owned(),
        _ => format!("{} failures", say::capital(&say::number(planned))),
    };
    if not_run == planned {
        let why = card.attacks.iter().find_map(|one| match &one.course {
            Course::NotRun(why) => Some(why.as_str()),
            _ => None,
        });
        return format!("{failures} planned, none run: {}.", why.unwrap_or("the log does not say why"));
    }
    let tally = if held == planned {
        if planned == 1 { "held".to_owned() } else { "all held".to_owned() }
    } else {
        let mut parts = vec![format!("{} of {} held", say::number(held), say::number(planned))];
        for (count, word) in [(violated, "violated"), (unknown, "unknown"), (not_run, "not run")] {
            if count > 0 {
                parts.push(format!("{} {word}", say::number(count)));
            }
        }
        if planned == 1 {
            parts = vec![super::card::verdict_word(card.attacks[0].verdict).to_owned()];
        }
        parts.join(", ")
    };
    let worst = card.attacks.iter().filter(|one| one.verdict.is_some()).max_by(|a, b| {
        let bad =
            |one: &AttackCard| telling(one).map_or(0.0, |figure| 1.0 - fault_share(figure).unwrap_or(1.0));
        // What users saw worst is the story; but where something was violated, that is.
        let broke = |one: &AttackCard| one.verdict == Some(Verdict::Violated);
        let measured = |one: &AttackCard| telling(one).is_some_and(|figure| fault_share(figure).is_some());
        broke(a)
            .cmp(&broke(b))
            .then(measured(a).cmp(&measured(b)))
            .then(bad(a).total_cmp(&bad(b)))
            .then(a.verdict.cmp(&b.verdict))
    });
    let detail = worst.map_or_else(String::new, |attack| sentence(attack, plan));
    let mut story = format!("{failures}, {tally}: {detail}.");
    if violated == 0
        && let Some(open) = card.attacks.iter().find(|one| one.verdict == Some(Verdict::Unknown))
    {
        let why = open.why.first().map_or("not all was measured", String::as_str);
        let more = if unknown > 1 { ", to name the first of them" } else { "" };
        story.push_str(&format!(" “{}” is unknown{more}: {why}.", open.name));
    }
    // Only where every attack held can the run still be unknown for reasons of its own.
    if card.verdict == Verdict::Unknown && held == planned {
        let why = card.why.first().map_or("something was not measured", String::as_str);
        story = format!("{failures}, {tally}, but the run is unknown: {why}.");
    }
    story
}

fn sentence(attack: &AttackCard, plan: &Plan) -> String {
    let during = during(attack, plan);
    let (Some(_), Some(figure)) = (attack.fault_from_us, telling(attack)) else {
        let why = attack.why.first().map_or("nothing was measured", String::as_str);
        return format!("in “{}” {why}", attack.name);
    };
    let mut text = match (fault_share(figure), figure.bad_for_us) {
        (Some(_), _) if figure.bad == 1 => format!("while {during}, users saw one error"),
        (Some(share), Some(bad_for)) if figure.bad > 0 => {
            let errors = if share < 1.0 {
                format!("{} errors", say::percent(1.0 - share))
            } else {
                format!("{} errors", figure.bad)
            };
            format!("while {during}, users saw {errors}, spread over {}", say::time(bad_for))
        }
        (Some(_), _) => format!("while {during}, users saw no errors"),
        (None, _) => format!("while {during}, nothing was measured"),
    };
    match figure.recovered_us {
        Some(0) => text.push_str(", and all was well at the heal"),
        Some(took) => text.push_str(&format!(", and were back {} after the heal", say::time(took))),
        None if attack.healed_us.is_some() => {
            text.push_str(", and nothing shows that they were back after the heal");
        }
        None => text.push_str(", and nothing shows that it was healed"),
    }
    text
}

/// The figure that tells most: of the vantages that count, the one with the lowest share of good requests.
fn telling(attack: &AttackCard) -> Option<&FigureCard> {
    attack
        .figures
        .iter()
        .filter(|figure| figure.counts)
        .min_by(|a, b| fault_share(a).unwrap_or(2.0).total_cmp(&fault_share(b).unwrap_or(2.0)))
}

fn fault_share(figure: &FigureCard) -> Option<f64> {
    figure.phases.iter().find(|one| one.phase == Phase::Fault).and_then(|one| one.good)
}

fn during(attack: &AttackCard, plan: &Plan) -> String {
    let mut hosts: Vec<&str> = attack.injections.iter().map(|one| one.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    // A whole region has a name that says more than its hosts'.
    let region = |host: &&str| plan.host(host).and_then(|host| host.labels.get("region"));
    let first = hosts.first().and_then(region);
    let whole = first.filter(|name| {
        let members = plan.hosts.iter().filter(|host| host.labels.get("region") == Some(name));
        hosts.len() > 1 && members.map(|host| host.name.as_str()).all(|host| hosts.contains(&host))
    });
    let place = whole.map_or_else(|| say::list(&hosts), String::clone);
    let (was, their) = if hosts.len() > 1 && whole.is_none() { ("were", "their") } else { ("was", "its") };
    let mut kinds: Vec<&str> = attack.injections.iter().map(|one| one.kind.as_str()).collect();
    kinds.dedup();
    let planned = plan.attacks.iter().find(|one| one.name == attack.name);
    let together = |one: &&Attack| one.injections.iter().all(|one| one.together.is_some());
    if kinds == ["net-block"] && planned.as_ref().is_some_and(together) {
        return format!("{place} {was} partitioned");
    }
    match kinds.as_slice() {
        ["host-isolate"] => format!("{place} {was} cut off"),
        ["net-block"] => format!("{place} could not reach all of {their} peers"),
        ["net-throttle"] => format!("{place} had little bandwidth to {their} peers"),
        ["net-reset"] => format!("connections of {place} were reset"),
        ["net-down"] => format!("an interface of {place} was down"),
        ["net-slow"] => format!("{place} {was} slow to reach {their} peers"),
        [first, rest @ ..] if is_shape(first) && rest.iter().all(is_shape) => {
            format!("{place} had a bad line to {their} peers")
        }
        ["service-stop"] => format!("a service on {place} was stopped"),
        ["service-kill"] => format!("a service on {place} was killed"),
        ["service-restart"] => format!("a service on {place} was restarted"),
        ["process-kill"] => format!("a process on {place} was killed"),
        ["process-pause"] => format!("a process on {place} was frozen"),
        ["host-reboot"] => format!("{place} rebooted"),
        ["host-poweroff"] => format!("{place} {was} powered off"),
        _ => format!("“{}” was on", attack.name),
    }
}

/// Whether a kind lets traffic through, but not as it was.
fn is_shape(kind: &&str) -> bool {
    ["net-slow", "net-lose", "net-duplicate", "net-corrupt", "net-reorder", "net-throttle"].contains(kind)
}
