//! Judges the lines of logs that agents read. Counts are exact within a phase; at its edges, where lines were missed and where
//! nobody read they have a range, and only a range that lies on one side of the goal decides.

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
    let rate = |one: &&VantageCard| (one.verdict, one.measured.value.unwrap_or(0.0).to_bits());
    if let Some(worst) = card.vantages.iter().rev().max_by_key(rate) {
        (card.verdict, card.measured) = (worst.verdict, worst.measured);
        card.why = format!("{}: {}", worst.vantage, worst.why);
    }
    if let Some(doubt) = bench.doubt_about(card.verdict) {
        (card.verdict, card.why) = (Verdict::Unknown, doubt.text.clone());
    }
    card
}

/// Returns how a host violates an objective in the baseline, if it does for sure.
pub(super) fn violated_before(bench: &Bench<'_, '_>, objective: &LogObjective) -> Option<String> {
    let log = bench.plan.logs.iter().find(|log| log.spec.name == objective.log)?;
    let before = LogObjective { during: vec![Phase::Baseline], ..objective.clone() };
    let hosts = log.on.iter().map(|host| on_host(bench, &before, host));
    let mut violated = hosts.filter(|one| one.verdict == Verdict::Violated);
    violated.next().map(|one| format!("{}: {}", one.vantage, one.why))
}

fn on_host(bench: &Bench<'_, '_>, objective: &LogObjective, host: &str) -> VantageCard {
    let found = of(bench, &objective.log, host, &objective.during);
    let (verdict, why) = judge(objective.goal, &found, objective.during.contains(&Phase::Fault));
    let value = match objective.goal {
        LogGoal::CountBelow(_) => found.least as f64,
        LogGoal::RateBelow(_) => found.rates().0,
    };
    // A count is no sample of anything: it has no interval by which runs could be compared.
    let measured = Measured {
        unit: Unit::Number,
        value: (found.read_us > 0).then_some(value),
        samples: found.least,
        ..Measured::default()
    };
    VantageCard { vantage: host.to_owned(), counts: true, verdict, why, measured }
}

/// Counts what was read of a log on a host in some phases.
fn of(bench: &Bench<'_, '_>, log: &str, host: &str, during: &[Phase]) -> Count {
    let all = bench.facts.logs.get(&(log, host)).map_or(&[][..], Vec::as_slice);
    let unsure_us = all.iter().map(|(unsure_us, _)| *unsure_us).max().unwrap_or(0);
    let read: Vec<&HostLog> = all.iter().map(|(_, one)| *one).collect();
    count(&read, &stretches(bench.phases, during, unsure_us))
}

/// Decides by a range of counts.
fn judge(goal: LogGoal, found: &Count, fault: bool) -> (Verdict, String) {
    let (low, high) = found.rates();
    let (least, most) = (found.least, found.most);
    let (broken, kept) = match goal {
        LogGoal::CountBelow(bound) => (least >= bound, most.is_some_and(|most| most < bound)),
        LogGoal::RateBelow(bound) => {
            (low >= bound.a_second(), high.is_some_and(|high| high < bound.a_second()))
        }
    };
    let lines = |count: u64| {
        if count == 1 { "1 matching line".to_owned() } else { format!("{count} matching lines") }
    };
    let mut said = match most {
        Some(most) if most == least => lines(least),
        Some(most) => format!("{least} to {}", lines(most)),
        None => format!("at least {}", lines(least)),
    };
    if matches!(goal, LogGoal::RateBelow(_)) {
        said = format!("{said} in {}, {} a second", format::time(found.perhaps_us), format::value(low));
    }
    match &found.why {
        _ if found.perhaps_us == 0 => (Verdict::Unknown, "no phase was judged".to_owned()),
        _ if broken => (Verdict::Violated, said),
        Some(why) => (Verdict::Unknown, format!("{said}: {why}")),
        None if kept && fault && found.sure_us == 0 => {
            (Verdict::Unknown, format!("{said}: the phases were too short for the clocks of this host"))
        }
        None if kept => (Verdict::Held, said),
        None => (
            Verdict::Unknown,
            format!(
                "{said}: some lines were written so near to an edge of a phase that the clocks cannot tell on which side"
            ),
        ),
    }
}

/// Returns what agents read of all logs during an attack.
pub(super) fn cards(bench: &Bench<'_, '_>) -> Vec<LogCard> {
    let each = |log: &firedrill_plan::plan::model::Log| {
        let hosts = log.on.iter().map(|host| card(bench, log, host));
        hosts.collect::<Vec<_>>()
    };
    bench.plan.logs.iter().flat_map(each).collect()
}

fn card(bench: &Bench<'_, '_>, log: &firedrill_plan::plan::model::Log, host: &str) -> LogCard {
    let name = log.spec.name.as_str();
    let all = bench.facts.logs.get(&(name, host)).map_or(&[][..], Vec::as_slice);
    let around = bench.phases.all.first().zip(bench.phases.all.last());
    let (from_us, until_us) = around.map_or((0, 0), |(first, last)| (first.from_us, last.until_us));
    let near =
        || all.iter().map(|(_, one)| *one).filter(|one| one.until_us > from_us && one.from_us < until_us);
    let phases = bench.phases.all.iter().map(|span| {
        let found = of(bench, name, host, &[span.phase]);
        let inside = |line: &&KeptLine| (span.from_us..span.until_us).contains(&line.at_us);
        let lines = near().flat_map(|one| &one.kept).filter(inside).take(log.spec.lines as usize);
        LogPhase {
            phase: span.phase,
            least: found.least,
            most: found.most,
            why: found.why,
            cut: found.cut,
            lines: lines.cloned().collect(),
        }
    });
    let points = near().filter(|one| one.absent.is_none()).map(|one| LogPoint {
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
