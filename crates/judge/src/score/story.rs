//! Describes the run in a few sentences, for readers who were not there. Uses the figures of judged probes only. States
//! what is not known, and names the probes that are not judged. Judges nothing.

mod during;

use super::{
    alert_card::AlertCard,
    card::{AttackCard, Course, FigureCard, Scorecard},
    format,
};
use crate::verdict::Verdict;
use during::during;
use firedrill_plan::plan::{Plan, model::Phase};

/// Returns the story of a run.
pub(crate) fn tell(card: &Scorecard, plan: Option<&Plan>) -> String {
    let Some(plan) = plan else {
        return "The log does not say what was to be done, so nothing is known.".to_owned();
    };
    let planned = card.planned;
    let count = |verdict: Option<Verdict>| card.counted().filter(|one| one.verdict == verdict).count();
    let (held, violated, unknown) =
        (count(Some(Verdict::Held)), count(Some(Verdict::Violated)), count(Some(Verdict::Unknown)));
    let not_run = count(None);
    let failures = match planned {
        1 => "One failure".to_owned(),
        _ => format!("{} failures", format::capital(&format::number(planned))),
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
        let mut parts = vec![format!("{} of {} held", format::number(held), format::number(planned))];
        for (count, word) in [(violated, "violated"), (unknown, "unknown"), (not_run, "not run")] {
            if count > 0 {
                parts.push(format!("{} {word}", format::number(count)));
            }
        }
        if planned == 1 {
            let only = card.counted().next().and_then(|one| one.verdict);
            parts = vec![super::card::verdict_word(only).to_owned()];
        }
        parts.join(", ")
    };
    let worst = card.attacks.iter().filter(|one| one.verdict.is_some()).max_by(|a, b| {
        let bad = |one: &AttackCard| {
            main_figure(one).map_or(0.0, |figure| 1.0 - fault_share(figure).unwrap_or(1.0))
        };
        // The story is about the largest harm to users; but if an attack was violated, it is about that attack.
        let broke = |one: &AttackCard| one.verdict == Some(Verdict::Violated);
        let measured =
            |one: &AttackCard| main_figure(one).is_some_and(|figure| fault_share(figure).is_some());
        broke(a)
            .cmp(&broke(b))
            .then(measured(a).cmp(&measured(b)))
            .then(bad(a).total_cmp(&bad(b)))
            .then(a.verdict.cmp(&b.verdict))
    });
    // The index of the attack that the story is about, and its sentence.
    let (told, detail) =
        worst.map_or_else(|| (None, String::new()), |attack| (Some(attack.index), sentence(attack, plan)));
    let mut story = format!("{failures}, {tally}: {detail}.");
    let open = card.attacks.iter().find(|one| one.verdict == Some(Verdict::Unknown));
    // The sentence of an attack without figures is only its reason, so that the reason is not repeated.
    if violated == 0
        && let Some(open) = open.filter(|open| told != Some(open.index) || figure(open).is_some())
    {
        let why = open.why.first().map_or("not all was measured", String::as_str);
        let more = if unknown > 1 { ", to name the first of them" } else { "" };
        story.push_str(&format!(" “{}” is unknown{more}: {why}.", open.name));
    }
    // If every attack held, the run can still be unknown or violated for a reason of its own.
    if card.verdict != Verdict::Held && held == planned {
        story = format!("{failures}, {tally}, but the run is {}: {}.", card.verdict, own_reason(card));
    }
    story.push_str(&unjudged(card, plan));
    story
}

/// Returns the reason why a run whose attacks all held is not `held`.
fn own_reason(card: &Scorecard) -> String {
    if card.verdict == Verdict::Violated {
        let broke = card.steps.iter().find(|step| step.verdict == Some(Verdict::Violated));
        // Without such a step, a budget was overspent, which is the last reason.
        return broke.map_or_else(
            || card.why.last().cloned().unwrap_or_default(),
            |step| format!("step “{}” {}", step.name, step.why),
        );
    }
    card.why.first().cloned().unwrap_or_else(|| "something was not measured".to_owned())
}

/// Names the probes that no objective judged in any attack that ran. Their figures are in the report, but decide
/// nothing.
fn unjudged(card: &Scorecard, plan: &Plan) -> String {
    let ran = || card.attacks.iter().filter(|attack| attack.verdict.is_some());
    let names: Vec<String> = plan
        .probes
        .iter()
        .filter(|probe| !ran().any(|attack| attack.judges(&probe.name)))
        .map(|probe| format!("“{}”", probe.name))
        .collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => format!(" The probe {only} was not judged."),
        // All names are listed, however many; `format::list` would leave some out.
        Some((last, rest)) => format!(" The probes {} and {last} were not judged.", rest.join(", ")),
    }
}

/// Describes an attack by its most important figure, or by the reason of its verdict if it has none.
fn sentence(attack: &AttackCard, plan: &Plan) -> String {
    let Some(figure) = figure(attack) else {
        let alert = alert(attack);
        if attack.verdict == Some(Verdict::Held) && !alert.is_empty() {
            return format!("while {}, {alert}", during(attack, plan));
        }
        let why = attack.why.first().map_or("no probe is judged", String::as_str);
        return format!("in “{}” {why}", attack.name);
    };
    let during = during(attack, plan);
    let mut text = match (fault_share(figure), figure.bad_for_us) {
        (Some(_), _) if figure.bad == 1 => format!("while {during}, users saw one error"),
        (Some(share), Some(bad_for)) if figure.bad > 0 => {
            let errors = if share < 1.0 {
                format!("{} errors", format::percent(1.0 - share))
            } else {
                format!("{} errors", figure.bad)
            };
            format!("while {during}, users saw {errors}, spread over {}", format::time(bad_for))
        }
        (Some(_), _) => format!("while {during}, users saw no errors"),
        (None, _) => format!("while {during}, nothing was measured"),
    };
    match figure.recovered_us {
        Some(0) => text.push_str(", and all was well at the heal"),
        Some(took) => {
            text.push_str(&format!(", and requests were good again {} after the heal", format::time(took)));
        }
        None if attack.healed_us.is_some() => {
            text.push_str(", and nothing shows that requests were good again after the heal");
        }
        None => text.push_str(", and nothing shows that it was healed"),
    }
    let alert = alert(attack);
    if !alert.is_empty() {
        text.push_str(&format!("; {alert}"));
    }
    text
}

/// Describes the time until the attack's alert fired; of several judged alerts the slowest. Empty if the time of one is unknown.
fn alert(attack: &AttackCard) -> String {
    let alerts = || attack.objectives.iter().filter_map(|one| one.alert.as_deref());
    let known = |card: &AlertCard| Some((card.detected?.high_us?, card.alert.clone()));
    let Some(times) = alerts().map(known).collect::<Option<Vec<_>>>() else { return String::new() };
    match times.into_iter().max() {
        Some((us, alert)) => format!("the alert {alert} fired {} after the start", format::time(us)),
        None => String::new(),
    }
}

/// Returns the most important figure of an attack whose fault was in force.
fn figure(attack: &AttackCard) -> Option<&FigureCard> {
    attack.fault_from_us.and_then(|_| main_figure(attack))
}

/// Returns the most important figure: of the judged probes at vantages that count, the one with the lowest share of
/// good requests.
fn main_figure(attack: &AttackCard) -> Option<&FigureCard> {
    attack.judged().min_by(|a, b| fault_share(a).unwrap_or(2.0).total_cmp(&fault_share(b).unwrap_or(2.0)))
}

/// Returns the share of good requests in the fault; `None` if nothing was measured.
fn fault_share(figure: &FigureCard) -> Option<f64> {
    figure.phases.iter().find(|one| one.phase == Phase::Fault).and_then(|one| one.good)
}

#[cfg(test)]
mod tests;
