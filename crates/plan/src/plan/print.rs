//! Prints a plan for people: the steps, their times and hosts, and irreversible effects.
//!
//! Shows the plan and the agents' answers; measures and decides nothing.

mod budget;
mod effects;
mod log;
mod metric;
mod moving;
mod said;
mod step;
mod table;

pub use effects::{Effect, effects};
pub use said::Answer;
use table::{finish, word};

use std::{collections::BTreeMap, fmt::Write as _};

use firedrill_wire::{Fault, Span};
use tabled::builder::Builder;

use super::{
    exchange,
    model::{self, Approve, Attack, Goal, Objective, Phase, Plan},
    resolve::length,
};
use crate::alike;

/// Maximum number of peers in a list that is written out.
const LISTED: usize = 16;
/// Number of peers that are shown of a longer list.
const CUT_TO: usize = 4;

/// Prints the whole plan; with `answers`, also the effects that agents announced. Lines are at most `width` wide,
/// where they can be broken.
#[must_use]
pub fn text(plan: &Plan, answers: &[Answer], width: usize) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    _ = write(&mut out, plan, answers, width);
    out
}

/// Prints the plan in a few lines: attacks, hosts, time.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let targets: Vec<&str> = plan.targets().into_iter().collect();
    let last = match plan.turns().filter(|(_, attack)| attack.is_irreversible()).count() {
        0 => String::new(),
        1 => "; 1 attack cannot be undone".to_owned(),
        more => format!("; {more} attacks cannot be undone"),
    };
    format!(
        "{} attack{}, {} if all settles at once; touches {} of {} hosts ({}){last}{}{}",
        plan.turns().count(),
        crate::diagnostic::plural(plan.turns().count()),
        total(plan),
        targets.len(),
        plan.hosts.len(),
        alike::uncounted(&targets),
        step::summary(plan),
        metric::summary(plan),
    )
}

/// Returns the duration of the run if every attack settles at once.
#[must_use]
pub fn total(plan: &Plan) -> Span {
    plan.turns().map(|(_, attack)| length(attack)).sum()
}

/// Returns the longest duration of the run without approvals: every attack settles as late as it may, every step takes its whole time, and
/// each try that CI allows is made. What people put back comes after the time limit.
#[must_use]
pub fn longest(plan: &Plan) -> Span {
    let once: Span = plan
        .turns()
        .map(|(_, attack)| {
            let settling = if attack.settle.is_zero() { Span::ZERO } else { attack.settle_within };
            length(attack) + settling
        })
        .sum();
    let once: Span = once + plan.steps.iter().map(|step| step.timeout).sum();
    let back: Span = plan.steps.iter().map(model::Step::back).sum();
    let ci = plan.ci.as_ref();
    let once = ci.and_then(|ci| ci.time_limit).map_or(once, |limit| limit.min(once));
    let once = once + back;
    let tries = 1 + ci.map_or(0, |ci| ci.retry_unknown);
    Span(once.0.saturating_mul(tries))
}

/// Writes the whole text of a plan.
fn write(out: &mut String, plan: &Plan, answers: &[Answer], width: usize) -> std::fmt::Result {
    writeln!(out, "{}: {}", plan.name, plan.hypothesis)?;
    writeln!(out, "{}", summary(plan))?;
    writeln!(out, "seed {} · lease {} · plan {}", plan.seed, plan.lease, plan.digest())?;
    if !plan.origins.is_empty() {
        writeln!(out, "approvals by passkey count if they are given on {}", plan.origins.join(", "))?;
    }
    let mut exchanges = exchange::Finder::new(plan);
    let mut by_attack: BTreeMap<usize, Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        let (_, attack, _) = answer;
        by_attack.entry(*attack).or_default().push(answer);
    }
    for (index, attack) in plan.attacks.iter().enumerate() {
        step::write(out, plan, index)?;
        writeln!(out)?;
        writeln!(out, "{}. {}{}", index + 1, attack.name, conditions(attack))?;
        moving::write(out, plan, index)?;
        for means in &attack.means {
            writeln!(out, "   {means}")?;
        }
        writeln!(out, "{}", timeline(plan, attack, width))?;
        let tried: Vec<String> =
            exchanges.all(attack).iter().flatten().flatten().map(exchange::words).collect();
        if let [first, rest @ ..] = &tried[..] {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
            writeln!(out, "   tried out before, during and after: {first}{more}")?;
        }
        said::write(out, by_attack.get(&index).map_or(&[], Vec::as_slice))?;
    }
    step::write(out, plan, plan.attacks.len())?;
    let by_probes_only = plan.metrics.is_empty() && plan.alerts.is_empty() && plan.log_objectives.is_empty();
    if by_probes_only || !plan.objectives.is_empty() {
        writeln!(out, "\nObjectives")?;
        writeln!(out, "{}", objectives(plan, width))?;
    }
    metric::write(out, plan, width)?;
    log::write(out, plan, width)?;
    budget::write(out, plan, width)?;
    if by_probes_only || !plan.probes.is_empty() {
        writeln!(out, "\nProbes")?;
        writeln!(out, "{}", probes(plan, width))?;
    }
    if !plan.warnings.is_empty() {
        writeln!(out, "\nGood to know")?;
        plan.warnings.iter().try_for_each(|warning| writeln!(out, "  - {warning}"))?;
    }
    Ok(())
}

/// Returns the conditions of an attack, such as the attacks that it needs.
fn conditions(attack: &Attack) -> String {
    let mut all = Vec::new();
    if !attack.needs.is_empty() {
        all.push(format!("needs {}", attack.needs.join(", ")));
    }
    all.extend(attack.approve.as_ref().map(approval));
    if all.is_empty() { String::new() } else { format!("  [{}]", all.join("; ")) }
}

/// Describes the approval that an attack needs: `2 people must approve within 15m`.
#[must_use]
pub fn approval(approve: &Approve) -> String {
    format!("{} must approve within {}", people(approve.people), approve.expires)
}

fn people(count: u32) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// Prints the phases of an attack, from its own beginning.
fn timeline(plan: &Plan, attack: &Attack, width: usize) -> String {
    let mut table = Builder::default();
    table.push_record(["at", "phase", "for", "what", "judged"]);
    let judged = |phase: Phase| {
        let probed = plan.objectives.iter().map(|one| (&one.name, &one.during));
        let logged = plan.log_objectives.iter().map(|one| (&one.name, &one.during));
        let sampled = plan.metrics.iter().map(|one| (&one.name, &one.during));
        let all: Vec<_> = probed.chain(sampled).chain(logged).collect();
        let judged = attack
            .judge
            .iter()
            .filter(|judge| all.iter().any(|(name, during)| name == judge && during.contains(&phase)));
        judged.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let mut at = Span::ZERO;
    let faults = faults(attack);
    let phases = [
        (Phase::Baseline, attack.baseline, "all objectives must hold".to_owned()),
        (Phase::Fault, attack.hold, faults),
        (Phase::Recovery, attack.recovery, "healed; the system recovers".to_owned()),
        (Phase::Settle, attack.settle, format!("healthy for this time, within {}", attack.settle_within)),
    ];
    for (phase, time, what) in phases.into_iter().filter(|(_, time, _)| !time.is_zero()) {
        let row = [at.to_string(), word(phase).to_owned(), time.to_string(), what, judged(phase)];
        table.push_record(row);
        at = at + time;
    }
    finish(table, width)
}

/// Returns one line for each fault of an attack.
fn faults(attack: &Attack) -> String {
    effects(attack).iter().map(Effect::words).collect::<Vec<_>>().join("\n")
}

/// Formats a fault with its parameters, as in a file: `service-stop service=checkout`. Long lists of peers are cut.
#[must_use]
pub fn describe(fault: &Fault) -> String {
    let mut fault = fault.clone();
    for peers in fault.selectors_mut().into_iter().filter(|peers| peers.all().len() > LISTED) {
        let more = peers.all().len() - CUT_TO;
        let out = if peers.but().is_empty() { "" } else { ", less a few for each host" };
        let first = peers.all()[..CUT_TO].join(",");
        *peers = vec![format!("{first} and {more} more{out}")].into();
    }
    let value = serde_json::to_value(&fault).unwrap_or_default();
    let parameters = value.get(fault.kind()).and_then(|value| value.as_object());
    let mut text = fault.kind().to_owned();
    for (key, value) in parameters.into_iter().flatten() {
        _ = write!(text, " {key}={}", plain(value));
    }
    text
}

/// Formats a parameter of a fault.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
        serde_json::Value::Object(table) => {
            let entries = table.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(key, value)| format!("{key}={}", plain(value)));
            format!("({})", entries.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

fn objectives(plan: &Plan, width: usize) -> String {
    let mut table = Builder::default();
    table.push_record(["objective", "probe", "goal", "during"]);
    for objective in &plan.objectives {
        let during = match objective.goal {
            Goal::MitigateWithin(_) | Goal::RecoverWithin(_) | Goal::LostWrites(_) => String::new(),
            _ => objective.during.iter().map(|phase| word(*phase)).collect::<Vec<_>>().join(", "),
        };
        table.push_record([objective.name.clone(), objective.probe.clone(), goal(objective), during]);
    }
    finish(table, width)
}

/// Describes a goal.
#[must_use]
pub fn goal(objective: &Objective) -> String {
    match &objective.goal {
        Goal::Good(share) => format!("at least {share} good"),
        Goal::Latency { quantile, below } => format!("p{} below {below}", quantile * 100.0),
        Goal::MitigateWithin(within) => format!("good again within {within} of the fault"),
        Goal::RecoverWithin(within) => format!("good again within {within} of the heal"),
        Goal::LostWrites(limits) => limits.words(),
    }
}

fn probes(plan: &Plan, width: usize) -> String {
    let mut table = Builder::default();
    table.push_record(["probe", "asks", "rate", "time-out", "from"]);
    for probe in &plan.probes {
        use firedrill_wire::probe::Arrivals;
        let from = alike::names(&probe.from);
        table.push_record([
            probe.name.clone(),
            probe.kind.about().asks,
            match probe.arrivals {
                Arrivals::Poisson => format!("{}/s", probe.rate),
                Arrivals::Even => format!("{}/s, evenly", probe.rate),
            },
            probe.timeout.to_string(),
            from,
        ]);
    }
    finish(table, width)
}
