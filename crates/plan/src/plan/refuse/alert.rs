//! Refuses objectives of alerts that their source cannot answer, or that the planned times cannot decide.

use std::collections::BTreeMap;

use firedrill_sources::SourceKind;
use firedrill_wire::Span;

use super::time;
use crate::{
    diagnostic::{FileId, Item, Place, Problem, Sink, Spot, nearest},
    plan::{model::AlertGoal, timing},
    scenario::{Scenario, alert::AlertObjective, attack::Attack},
};

/// The longest limit.
const LONGEST: Span = Span::secs(24 * 60 * 60);

/// Checks every objective of an alert.
pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    for item in &scenario.alerts {
        goal(item, sink);
        let alert = &item.value.alert.value;
        let asked = AskedAlert {
            of: &format!("objective `{}`", item.name),
            file: item.file,
            source: &alert.source,
            name: &alert.name,
            labels: &alert.labels,
        };
        let kind = scenario.source(&alert.source).and_then(|source| source.value.kind());
        refuse_asked(&asked, kind.as_ref(), sink);
    }
}

/// An alert that is asked for, with the places of its parts.
#[derive(Clone, Copy, Debug)]
pub struct AskedAlert<'a> {
    /// The objective or the condition that asks for it, for messages.
    pub of: &'a str,
    /// The file that has it.
    pub file: FileId,
    /// The source, by name.
    pub source: &'a Spot<String>,
    /// The alert's name.
    pub name: &'a Spot<String>,
    /// Labels that it must have.
    pub labels: &'a BTreeMap<String, Spot<String>>,
}

/// Checks the goal of an objective on an alert.
fn goal(item: &Item<AlertObjective>, sink: &mut Sink) {
    let own = &item.value;
    if own.goal().is_none() && !item.broken {
        let problem =
            Problem::error(format!("an alert objective has exactly one goal (objective `{}`)", item.name));
        sink.push(
            problem
                .at(item.place(), if own.detect_within.is_some() { "two goals" } else { "no goal" })
                .help("detect_within = \"3m\" or resolve_within = \"5m\"; make an objective for each"),
        );
    }
    let every = &own.alert.value.every;
    // A default is not in the file: the whole alert is its place.
    let at = |at: &std::ops::Range<usize>| item.place_of(if at.is_empty() { &own.alert.at } else { at });
    let usual = (Span::secs(1)..=Span::secs(300)).contains(&every.value);
    if !usual {
        let message = format!("objective `{}` asks its source each {}", item.name, every.value);
        sink.push(
            Problem::error(message)
                .at(at(&every.at), "from 1s to 5m")
                .help("\"5s\" is usual; watch the source's limit of requests"),
        );
    }
    for (key, within) in [("detect_within", &own.detect_within), ("resolve_within", &own.resolve_within)] {
        let Some(within) = within else { continue };
        let place = item.place_of(&within.at);
        if within.value.is_zero() || within.value > LONGEST {
            let problem = Problem::error(format!("`{key}` of objective `{}` is {}", item.name, within.value));
            sink.push(problem.at(place, "no usable limit").help("more than nothing, and 24h at most"));
        } else if usual && within.value.0 < every.value.0 * 2 {
            let message = format!(
                "objective `{}` cannot be held: it asks each {}, so a time is known as exactly as that, and the limit is {}",
                item.name, every.value, within.value
            );
            let help = format!("{key} = \"{}\" or more, or a shorter `every`", Span(every.value.0 * 2));
            sink.push(Problem::error(message).at(place, "too short for the polls").help(help));
        }
    }
}

/// Refuses an alert that its source cannot be asked for. `kind` is that of the source, if the source is known.
pub fn refuse_asked(alert: &AskedAlert<'_>, kind: Option<&SourceKind>, sink: &mut Sink) {
    let place = |at: &std::ops::Range<usize>| Place { file: alert.file, at: at.clone() };
    if alert.name.value.trim().is_empty() {
        let problem = Problem::error(format!("the alert of {} has no name", alert.of));
        sink.push(problem.at(place(&alert.name.at), "empty").help("for example \"ZoneDown\""));
    }
    let Some(kind) = kind else { return };
    let Some(alerts) = kind.alerts() else {
        let message = format!("source `{}` of kind `{}` knows no alerts", alert.source.value, kind.name());
        let problem = Problem::error(message).at(place(&alert.source.at), "has metrics only");
        return sink.push(problem.help(format!("alerts are known by: {}", knowing())));
    };
    let Some(known) = alerts.labels() else { return };
    for (label, value) in alert.labels.iter().filter(|(label, _)| !known.contains(&label.as_str())) {
        let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("an alert of kind `{}` has no label `{label}`", kind.name());
        let help = match nearest(label, known.iter().copied()) {
            Some(near) => format!("perhaps `{near}`; it has {}", names.join(", ")),
            None => format!("it has {}", names.join(", ")),
        };
        sink.push(Problem::error(message).at(place(&value.at), "never met").help(help));
    }
}

/// Returns the names of the kinds that know alerts.
fn knowing() -> String {
    let kind = |(name, example)| toml::from_str::<SourceKind>(&format!("{name} = {example}")).ok();
    let examples = SourceKind::KINDS.iter().zip(SourceKind::EXAMPLES);
    let all = examples.filter(|one| kind(*one).is_some_and(|kind| kind.alerts().is_some()));
    all.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Checks that an attack takes long enough to decide its objectives of alerts.
pub(super) fn refuse_attack(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let timing = timing::timing(attack, scenario);
    for item in timing::judged(attack, scenario).into_iter().filter_map(|name| scenario.alert(name)) {
        let every = item.value.alert.value.every.value;
        let mut short = |key: &str, message: String, needed: Span| {
            let at = time::place_of(attack, scenario, key);
            let help = format!("{key} = \"{needed}\" or more");
            sink.push(
                Problem::error(message).at(at, "too short").also(item.place(), "the objective").help(help),
            );
        };
        let before = Span(every.0 * 2);
        if timing.baseline < before {
            let message = format!(
                "attack `{}` has a baseline of {}, too short to show that the alert of `{}` does not fire before the fault: it is asked \
                 for each {every}",
                attack.name, timing.baseline, item.name
            );
            short("baseline", message, before);
        }
        match (item.value.goal(), timing.hold) {
            (Some(AlertGoal::DetectWithin(within)), Some(hold)) if hold < within => {
                let message = format!(
                    "attack `{}` holds for {hold}, too short to show that `{}` is violated: detect_within {within}",
                    attack.name, item.name
                );
                short("hold", message, within);
            }
            (Some(AlertGoal::DetectWithin(within)), Some(hold))
                if hold + timing.recovery < within + before =>
            {
                let message = format!(
                    "attack `{}` ends too soon after its fault to decide `{}`: detect_within {within}, and two polls each {every} after it",
                    attack.name, item.name
                );
                short("recovery", message, before);
            }
            (Some(AlertGoal::ResolveWithin(within)), _) if timing.recovery < within + before => {
                let message = format!(
                    "attack `{}` looks at recovery for {}, too short to decide `{}`: resolve_within {within}, and two polls each {every} after \
                     it",
                    attack.name, timing.recovery, item.name
                );
                short("recovery", message, within + before);
            }
            _ => {}
        }
    }
}
