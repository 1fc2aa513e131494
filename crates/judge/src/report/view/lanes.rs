//! The lanes of a run: its faults by attack, steps, alerts that fired, times to detect and recover, guards, decisions and notes of people,
//! and other events.

mod moment;
mod people;

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use firedrill_plan::{alike, plan::model::Plan};
use firedrill_wire::{evidence::Seen, journal::What};

use self::moment::moment;
use crate::{
    log::{Event, Log, Record, StepOutcome},
    report::{
        chart::{
            Span,
            lanes::{Item, Lane, svg},
        },
        input::Input,
        names::Names,
    },
    score::{
        card::{AttackCard, InjectionCard, StepCard},
        format,
    },
};

/// Renders the lanes of a run as SVG; empty if the log has no plan or no lane has an item.
pub(in crate::report) fn lanes(input: &Input<'_>) -> String {
    let Some(plan) = input.facts.plan else { return String::new() };
    let end_us = input.facts.last_us.max(1);
    let span = Span { from_us: 0, until_us: end_us, zero_us: 0 };
    let names = &input.drawn.names;
    let all_lanes = [
        Lane { name: "faults", items: faults(names, &input.card.attacks) },
        Lane { name: "steps", items: steps(&input.card.steps, end_us) },
        Lane { name: "alerts", items: alerts(&input.card.attacks) },
        Lane { name: "times", items: times(&input.card.attacks) },
        Lane { name: "guards", items: guards(plan, input.log, end_us) },
        Lane { name: "people", items: people::people(input) },
        Lane { name: "events", items: events(names, input.log, end_us) },
    ];
    if all_lanes.iter().all(|lane| lane.items.is_empty()) {
        return String::new();
    }
    svg("lanes", "Faults, alerts, times, guards, people and events of the whole run", span, &all_lanes)
}

/// Returns the bars of the faults of all attacks.
fn faults(names: &Names, attacks: &[AttackCard]) -> Vec<Item> {
    attacks.iter().flat_map(|attack| of_attack(names, attack)).collect()
}

/// Returns the bars of an attack's faults: one for each group of hosts on which a kind of fault had the same result.
fn of_attack(names: &Names, attack: &AttackCard) -> Vec<Item> {
    let mut groups = alike::together(&attack.injections, |one| {
        (one.kind.as_str(), one.in_force_us.is_some(), landed(one))
    });
    // The largest groups come first, then the hosts that differ from them.
    groups.sort_by_key(|group| Reverse(group.len()));
    let item = |group: Vec<&InjectionCard>| {
        let first = *group.first()?;
        let hosts: Vec<&str> = group.iter().map(|one| one.host.as_str()).collect();
        let from_us = group.iter().filter_map(|one| one.in_force_us).min().or(attack.fault_from_us)?;
        let ends = group.iter().filter_map(|one| one.undoing_us.or(one.ended_us));
        let until_us = ends.max().or(attack.healed_us).unwrap_or(from_us).max(from_us);
        let doubt = match landed(first) {
            _ if first.in_force_us.is_none() => ", never in force",
            (Seen::Yes, Seen::Yes) => "",
            (Seen::No, _) => ", was not there when looked at",
            (_, Seen::No) => ", met nothing",
            _ => ", not known whether it took effect",
        };
        let label = format!(
            "{} {}: {} on {}{doubt}",
            attack.index + 1,
            attack.name,
            first.kind,
            alike::names(&hosts)
        );
        let title = format!(
            "{label}: from {} to {}, {}",
            format::clock(from_us),
            format::clock(until_us),
            attack.word()
        );
        Some(Item {
            from_us,
            until_us,
            label,
            title,
            class: if doubt.is_empty() { "fault" } else { "doubt" },
            attack: Some(attack.index + 1),
            hosts: names.refer(hosts),
        })
    };
    groups.into_iter().filter_map(item).collect()
}

/// Returns whether a fault was seen in force, and whether traffic or a process met it.
const fn landed(one: &InjectionCard) -> (Seen, Seen) {
    (one.in_force, one.exercised)
}

/// Returns a bar for each step that began. A step whose effect must be put back by hand has one more bar: the time in which the effect was in
/// force.
fn steps(steps: &[StepCard], end_us: i64) -> Vec<Item> {
    let item = |step: &StepCard| {
        let from_us = step.from_us?;
        let until_us = step.until_us.unwrap_or(end_us);
        let label = format!("{} {}", step.name, step.kind);
        let title =
            format!("{label}: from {} to {}, {}", format::clock(from_us), format::clock(until_us), step.why);
        let class = if step.outcome == Some(StepOutcome::Done) { "plain" } else { "doubt" };
        Some(Item { from_us, until_us, label, title, class, ..Item::default() })
    };
    let by_hand = |step: &StepCard| {
        let back = step.back.as_ref()?;
        let done = step.from_us.is_some() && step.outcome != Some(StepOutcome::Skipped);
        let from_us = step.until_us.or(step.from_us).filter(|_| done)?;
        let until_us = back.at_us.filter(|_| back.is_back).unwrap_or(end_us);
        let label = format!("{} by hand", step.name);
        let title =
            format!("{label}: from {} to {}, {}", format::clock(from_us), format::clock(until_us), back.why);
        let class = if back.is_back { "fault" } else { "doubt" };
        Some(Item { from_us, until_us, label, title, class, ..Item::default() })
    };
    steps.iter().flat_map(|step| item(step).into_iter().chain(by_hand(step))).collect()
}

/// Returns a bar for each stretch of time in which an alert was found firing in all answers.
fn alerts(attacks: &[AttackCard]) -> Vec<Item> {
    let (mut items, mut titles) = (Vec::new(), HashSet::new());
    for attack in attacks {
        for card in attack.alerts() {
            for one in &card.firing {
                let hushed = one.hushed.as_ref().map_or_else(String::new, |why| format!(", {why}"));
                let label = format!("{}{hushed}", card.alert);
                let title = format!(
                    "{label}: seen firing from {} to {}",
                    format::clock(one.from_us),
                    format::clock(one.until_us)
                );
                let class = if one.hushed.is_some() { "doubt" } else { "alert" };
                let item = Item {
                    from_us: one.from_us,
                    until_us: one.until_us,
                    label,
                    title,
                    class,
                    attack: Some(attack.index + 1),
                    ..Item::default()
                };
                // An alert that fires across two attacks is in the cards of both, but gets one bar.
                if titles.insert(item.title.clone()) {
                    items.push(item);
                }
            }
        }
    }
    items
}

/// Returns a bar for each known time to detect, to mitigate and to recover.
fn times(attacks: &[AttackCard]) -> Vec<Item> {
    let item = |attack: &AttackCard, time: super::times::Time| Item {
        from_us: time.from_us,
        until_us: time.until_us,
        label: format!("{} {}", attack.index + 1, time.label()),
        title: time.title(),
        class: "took",
        attack: Some(attack.index + 1),
        ..Item::default()
    };
    let items = |attack| super::times::of(attack).into_iter().map(move |time| item(attack, time));
    attacks.iter().flat_map(items).collect()
}

/// Returns a bar for each condition that guarded the run, until the first guard tripped, and the moments at which a guard tripped.
fn guards(plan: &Plan, log: &Log, end_us: i64) -> Vec<Item> {
    let tripped = log.records.iter().filter_map(|record| match &record.event {
        Event::GuardTripped { why, .. } => Some(moment(record.at_us, format!("tripped: {why}"), "fault")),
        _ => None,
    });
    let tripped: Vec<Item> = tripped.collect();
    let by_probe = plan.guard.abort.iter().map(|guard| {
        format!("less than {} of {} is good over {}", guard.good_below, guard.probe, guard.over)
    });
    let by_source = plan
        .guard
        .abort_on
        .iter()
        .map(|guard| format!("{} is violated by itself over {}", guard.objective, guard.over));
    let watched = by_probe.chain(by_source).map(|condition| {
        let never = if tripped.is_empty() { ": never met" } else { "" };
        let text = format!("abort when {condition}{never}");
        let until_us = tripped.first().map_or(end_us, |item| item.from_us);
        Item { until_us, title: text.clone(), label: text, class: "plain", ..Item::default() }
    });
    watched.chain(tripped.iter().cloned()).collect()
}

/// Returns the times at which a person intervened, or at which the coordinator could not observe.
fn events(names: &Names, log: &Log, end_us: i64) -> Vec<Item> {
    // The records are read from the last to the first. So the end of a lost link or of a pause is known when its beginning is found.
    let mut back: HashMap<&str, i64> = HashMap::new();
    let mut goes_on_us = end_us;
    let mut all: Vec<Item> = Vec::new();
    for record in log.records.iter().rev() {
        match &record.event {
            Event::LinkBack { host, .. } => _ = back.insert(host, record.at_us),
            Event::Paused { by, .. } => {
                let item = moment(record.at_us, format!("paused by {by}"), "plain");
                all.push(Item { until_us: goes_on_us, ..item });
                goes_on_us = record.at_us;
            }
            Event::Resumed { .. }
            | Event::Phase { .. }
            | Event::AttackEnded { .. }
            | Event::RunEnded { .. } => goes_on_us = record.at_us,
            _ => {}
        }
        all.extend(event(names, &back, record));
    }
    all.reverse();
    all
}

/// Returns the item of a record; `None` if it has none. `back` has the next time at which the link to each host was back.
fn event(names: &Names, back: &HashMap<&str, i64>, record: &Record) -> Option<Item> {
    let about = |host: &str, item: Item| Some(Item { hosts: names.refer([host]), ..item });
    match &record.event {
        Event::LinkLost { host, why } => {
            let until_us = back.get(host.as_str()).copied().unwrap_or(record.at_us);
            let item = moment(record.at_us, format!("link to {host} lost"), "doubt");
            let title = format!("{}: {why}", item.title);
            about(host, Item { until_us, title, ..item })
        }
        Event::Gap { from_us, to_us } => {
            let text = "the coordinator was not running".to_owned();
            Some(Item { until_us: (*to_us).max(*from_us), ..moment(*from_us, text, "doubt") })
        }
        Event::Agent { host, happened_us, what } => {
            let text = match &what.what {
                What::LeaseExpired { .. } => format!("the lease ran out on {host}"),
                What::RunUndone { by, .. } => format!("{by} undid the run on {host}"),
                What::Halted { by } => format!("{host} halted by {by}"),
                _ => return None,
            };
            about(host, moment(*happened_us, text, "doubt"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Drill, HOLD, RECOVERY, S};

    #[test]
    fn a_pause_is_a_bar_until_the_run_goes_on() {
        let mut drill = Drill::good();
        let paused = |by: &str| Event::Paused {
            attack: 1,
            by: by.to_owned(),
            until_us: 900 * S,
            until: "2026-11-27T14:32:10Z".to_owned(),
        };
        let after = Drill::start(0) + HOLD + RECOVERY + 4;
        let resumed = Event::Resumed { attack: 1, by: "carol".to_owned() };
        drill.extra = vec![(after, paused("bob")), (after + 2, paused("ann")), (after + 3, resumed)];
        let log = Log::of(&drill.records());
        let bars = |log: &Log, end_us: i64| {
            let all = events(&Input::new(log).drawn.names, log, end_us).into_iter();
            let all = all.filter(|item| item.label.starts_with("paused by "));
            all.map(|item| (item.label, item.from_us / S, item.until_us / S)).collect::<Vec<_>>()
        };
        let bob = ("paused by bob".to_owned(), after, after + 2);
        assert_eq!(bars(&log, 0), [bob.clone(), ("paused by ann".to_owned(), after + 2, after + 3)]);
        let so_far: Vec<Record> =
            drill.records().into_iter().filter(|record| record.at_us <= (after + 2) * S).collect();
        let so_far = bars(&Log::of(&so_far), (after + 9) * S);
        assert_eq!(so_far, [bob, ("paused by ann".to_owned(), after + 2, after + 9)]);
    }
}
