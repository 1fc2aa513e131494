//! Judges objectives on the lines of hosts' logs, as agents counted them. Within a phase a count is exact. It is a range if lines are near an
//! edge of the phase, if lines were missed, or if the log was not read for a time. Never decides by a range that is on both sides of the goal.

mod count;

use firedrill_plan::plan::model::{LogGoal, LogObjective, Phase};

use self::count::{Count, count};
use super::{
    bench::Bench,
    card::{LogCard, LogPhase, LogPoint, Measured, ObjectiveCard, Unit, VantageCard, phase_word},
    format,
    part::stretches,
};
use crate::{
    log::{HostLog, KeptLine},
    verdict::Verdict,
};

/// Describes the goal of an objective for a log.
pub(crate) fn goal_text(objective: &LogObjective) -> String {
    let during: Vec<_> = objective.during.iter().map(|phase| phase_word(*phase)).collect();
    format!("{} in {}", objective.goal.words(), format::list(&during))
}

/// Judges one objective. The worst host decides.
pub(super) fn objective(bench: &Bench<'_, '_>, objective: &LogObjective) -> ObjectiveCard {
    let mut card = ObjectiveCard {
        name: objective.name.clone(),
        probe: String::new(),
        goal: goal_text(objective),
        verdict: Verdict::Unknown,
        why: format!("the plan has no host with the log `{}`", objective.log),
        measured: Measured { unit: Unit::Number, ..Measured::default() },
        vantages: Vec::new(),
        metric: None,
        alert: None,
        budget: None,
    };
    let log = bench.plan.logs.iter().find(|log| log.spec.name == objective.log);
    card.vantages =
        log.into_iter().flat_map(|log| &log.on).map(|host| on_host(bench, objective, host)).collect();
    // Floats that are not negative have the same order as their bits, which `Ord` needs.
    let badness = |one: &&VantageCard| (one.verdict, one.measured.value.unwrap_or(0.0).to_bits());
    // If several hosts are equally bad, the first one decides: `max_by_key` returns the last of them, so the order is reversed.
    if let Some(worst) = card.vantages.iter().rev().max_by_key(badness) {
        (card.verdict, card.measured) = (worst.verdict, worst.measured);
        card.why = format!("{}: {}", worst.vantage, worst.why);
    }
    if let Some(doubt) = bench.doubt_about(card.verdict) {
        (card.verdict, card.why) = (Verdict::Unknown, doubt.text.clone());
    }
    card
}

/// Returns the first host that certainly violates an objective in the baseline already, with the reason; `None` if there is none.
pub(super) fn violated_before(bench: &Bench<'_, '_>, objective: &LogObjective) -> Option<String> {
    let log = bench.plan.logs.iter().find(|log| log.spec.name == objective.log)?;
    let before = LogObjective { during: vec![Phase::Baseline], ..objective.clone() };
    let hosts = log.on.iter().map(|host| on_host(bench, &before, host));
    let mut violated = hosts.filter(|one| one.verdict == Verdict::Violated);
    violated.next().map(|one| format!("{}: {}", one.vantage, one.why))
}

/// Judges an objective on one host.
fn on_host(bench: &Bench<'_, '_>, objective: &LogObjective, host: &str) -> VantageCard {
    let found = count_on(bench, &objective.log, host, &objective.during);
    let (verdict, why) = judge(objective.goal, &found, objective.during.contains(&Phase::Fault));
    let value = match objective.goal {
        LogGoal::CountBelow(_) => found.least as f64,
        LogGoal::RateBelow(_) => found.rates().0,
    };
    // A count is not drawn from a distribution, so it has no confidence interval by which runs could be compared.
    let measured = Measured {
        unit: Unit::Number,
        value: (found.read_us > 0).then_some(value),
        samples: found.least,
        ..Measured::default()
    };
    VantageCard { vantage: host.to_owned(), counts: true, verdict, why, measured }
}

/// Counts the matching lines of a log on a host in some phases.
fn count_on(bench: &Bench<'_, '_>, log: &str, host: &str, during: &[Phase]) -> Count {
    let records = bench.facts.logs.get(&(log, host)).map_or(&[][..], Vec::as_slice);
    let unsure_us = records.iter().map(|(unsure_us, _)| *unsure_us).max().unwrap_or(0);
    let read: Vec<&HostLog> = records.iter().map(|(_, record)| *record).collect();
    count(&read, &stretches(bench.phases, during, unsure_us))
}

/// Returns the verdict on a range of counts, and the reason. `in_fault` says that the phase of the fault is one of those that count.
fn judge(goal: LogGoal, found: &Count, in_fault: bool) -> (Verdict, String) {
    let (low, high) = found.rates();
    let (least, most) = (found.least, found.most);
    let (is_violated, is_kept) = match goal {
        LogGoal::CountBelow(bound) => (least >= bound, most.is_some_and(|most| most < bound)),
        LogGoal::RateBelow(bound) => {
            (low >= bound.a_second(), high.is_some_and(|high| high < bound.a_second()))
        }
    };
    let lines = |count: u64| {
        if count == 1 { "1 matching line".to_owned() } else { format!("{count} matching lines") }
    };
    let mut counted = match most {
        Some(most) if most == least => lines(least),
        Some(most) => format!("{least} to {}", lines(most)),
        None => format!("at least {}", lines(least)),
    };
    if matches!(goal, LogGoal::RateBelow(_)) {
        counted = format!("{counted} in {}, {} a second", format::time(found.perhaps_us), format::value(low));
    }
    match &found.why {
        _ if found.perhaps_us == 0 => (Verdict::Unknown, "no phase was judged".to_owned()),
        _ if is_violated => (Verdict::Violated, counted),
        Some(why) => (Verdict::Unknown, format!("{counted}: {why}")),
        // Without a certain length there is no highest rate, and the fault may not have been in force at all.
        None if found.sure_us == 0 && (in_fault || matches!(goal, LogGoal::RateBelow(_))) => (
            Verdict::Unknown,
            format!("{counted}: the phases are shorter than the uncertainty of this host's clock"),
        ),
        None if is_kept => (Verdict::Held, counted),
        None => (
            Verdict::Unknown,
            format!(
                "{counted}: some lines were written so near to an edge of a phase that the clocks cannot tell on which side"
            ),
        ),
    }
}

/// Returns for each log and host the lines that the agent counted and kept during an attack.
pub(super) fn cards(bench: &Bench<'_, '_>) -> Vec<LogCard> {
    let of_log = |log: &firedrill_plan::plan::model::Log| {
        let hosts = log.on.iter().map(|host| card(bench, log, host));
        hosts.collect::<Vec<_>>()
    };
    bench.plan.logs.iter().flat_map(of_log).collect()
}

/// Returns the lines of a log on a host: numbers and examples by phase, and counts over the time of the attack.
fn card(bench: &Bench<'_, '_>, log: &firedrill_plan::plan::model::Log, host: &str) -> LogCard {
    let name = log.spec.name.as_str();
    let records = bench.facts.logs.get(&(name, host)).map_or(&[][..], Vec::as_slice);
    let first_and_last = bench.phases.all.first().zip(bench.phases.all.last());
    let (from_us, until_us) = first_and_last.map_or((0, 0), |(first, last)| (first.from_us, last.until_us));
    let during_attack = || {
        records
            .iter()
            .map(|(_, record)| *record)
            .filter(|one| one.until_us > from_us && one.from_us < until_us)
    };
    let phases = bench.phases.all.iter().map(|span| {
        let found = count_on(bench, name, host, &[span.phase]);
        let inside = |line: &&KeptLine| (span.from_us..span.until_us).contains(&line.at_us);
        let lines = during_attack().flat_map(|one| &one.kept).filter(inside).take(log.spec.lines as usize);
        LogPhase {
            phase: span.phase,
            least: found.least,
            most: found.most,
            why: found.why,
            cut: found.cut,
            lines: lines.cloned().collect(),
        }
    });
    let points = during_attack().filter(|one| one.absent.is_none()).map(|one| LogPoint {
        from_us: one.from_us,
        until_us: one.until_us,
        matched: one.matched,
        more: one.missed.is_some(),
    });
    let judged = bench.log_objectives().filter(|one| one.log == name);
    LogCard {
        log: name.to_owned(),
        host: host.to_owned(),
        file: log.spec.file.clone(),
        objectives: judged.map(|one| one.name.clone()).collect(),
        phases: phases.collect(),
        points: points.collect(),
    }
}

#[cfg(test)]
mod tests;
