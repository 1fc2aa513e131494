//! Judges what became of the records that probes wrote. Each lost write is proof, so numbers are exact and have no interval; what could not be read
//! back, and too many writes with an unknown outcome, make it unknown.

use firedrill_plan::plan::model::{LostWrites, Objective};

use super::{
    bench::{Bench, Finding},
    card::{Measured, Unit},
    format,
    since::Since,
};
use crate::{
    log::{Moment, WriteExample, WritesRead},
    verdict::Verdict,
};

/// Of so many writes one may have an unknown outcome: with more, no lost ones are worth nothing.
const UNKNOWN_OF: u64 = 20;

/// Judges the writes of a vantage since it was read back before.
pub(super) fn judge(
    bench: &Bench<'_, '_>,
    objective: &Objective,
    limits: LostWrites,
    vantage: &str,
) -> Finding {
    let all = || {
        bench
            .facts
            .writes
            .iter()
            .copied()
            .filter(|one| one.probe == objective.probe && one.vantage == vantage)
    };
    let at = |moment| all().filter(move |one| one.attack == bench.attack_index && one.moment == moment);
    let Some(told) = at(Moment::After).next() else {
        return unknown("its records were not read back after the recovery".to_owned());
    };
    // The last one: a baseline may be measured again.
    let Some(before) = at(Moment::Before).next_back() else {
        return unknown("its records were not read back before the fault".to_owned());
    };
    let Some(before) = before.counts else {
        let why = before.failed.clone().unwrap_or_else(|| "nothing was found out".to_owned());
        return unknown(format!("its records could not be read back before the fault: {why}"));
    };
    let Some(counts) = told.counts else {
        let why = told.failed.clone().unwrap_or_else(|| "nothing was found out".to_owned());
        return unknown(format!("its records could not be read back: {why}"));
    };
    let found = Since::new(&before, &counts);
    let (verdict, why) = decide(&found, limits, told, bench.phases.fault_us);
    #[expect(clippy::cast_precision_loss, reason = "counts of writes stay far below 2^53")]
    let value = (found.lost + found.altered) as f64;
    let measured =
        Measured { unit: Unit::Number, value: Some(value), samples: found.acked, ..Measured::default() };
    Finding { verdict, why, measured }
}

fn unknown(why: String) -> Finding {
    Finding {
        verdict: Verdict::Unknown,
        why,
        measured: Measured { unit: Unit::Number, ..Measured::default() },
    }
}

fn decide(found: &Since, limits: LostWrites, told: &WritesRead, fault_us: Option<i64>) -> (Verdict, String) {
    let Since { acked, writes, unknown, lost, duplicates, ghosts, altered, stale: _ } = *found;
    let mut broken = Vec::new();
    if lost + altered > limits.at_most {
        if lost > 0 {
            broken.push(format!("{} lost{}", of(lost, acked), when(&told.lost, fault_us)));
        }
        if altered > 0 {
            broken.push(format!("{} there with another value", of(altered, acked)));
        }
    }
    if limits.duplicates.is_some_and(|most| duplicates > most) {
        broken.push(format!("{} there more than once", of(duplicates, acked)));
    }
    if limits.ghosts.is_some_and(|most| ghosts > most) {
        broken.push(format!("{} that the store refused {} there", writes_of(ghosts), are(ghosts)));
    }
    if !broken.is_empty() {
        return (Verdict::Violated, broken.join("; "));
    }
    let said = format!("{} lost", of(lost, acked));
    if let Some(why) = &told.failed {
        return (Verdict::Unknown, format!("{said}: {why}"));
    }
    if acked == 0 {
        return (Verdict::Unknown, "no write was acknowledged, so none could be lost".to_owned());
    }
    if unknown.saturating_mul(UNKNOWN_OF) > writes {
        let why =
            format!("{said}; {unknown} of {writes} writes have an unknown outcome, which is more than 5%");
        return (Verdict::Unknown, why);
    }
    (Verdict::Held, said)
}

fn of(count: u64, acked: u64) -> String {
    format!("{count} of {acked} acknowledged writes {}", are(count))
}

const fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn writes_of(count: u64) -> String {
    if count == 1 { "1 write".to_owned() } else { format!("{count} writes") }
}

/// Tells when the first and the last lost write were due, beside the fault.
fn when(lost: &[WriteExample], fault_us: Option<i64>) -> String {
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return String::new() };
    let due = |one: &WriteExample| {
        let due = one.due_us?;
        Some(match fault_us {
            Some(fault) if due < fault => format!("{} before the fault", format::time(fault - due)),
            Some(fault) => format!("{} after the fault's start", format::time(due - fault)),
            None => format!("at {}", format::time(due)),
        })
    };
    match (due(first), due(last)) {
        (Some(first), Some(last)) if lost.len() > 1 => {
            format!(", the first was due {first} and the last {last}")
        }
        (Some(first), _) => format!(", due {first}"),
        _ => String::new(),
    }
}

/// Returns how the store lost writes before the fault, if it did.
pub(super) fn violated_before(bench: &Bench<'_, '_>, objective: &Objective) -> Option<String> {
    let before = |one: &&&WritesRead| {
        one.attack == bench.attack_index && one.moment == Moment::Before && one.probe == objective.probe
    };
    let lost = |one: &&WritesRead| {
        let lost = one.counts?.newly_lost();
        (lost > 0)
            .then(|| format!("{}: {} lost", one.vantage, of(lost, one.counts.map_or(0, |all| all.acked))))
    };
    bench.facts.writes.iter().filter(before).find_map(lost)
}

/// Returns what was read back in an attack, for reports.
pub(super) fn cards(bench: &Bench<'_, '_>) -> Vec<WritesRead> {
    bench
        .facts
        .writes
        .iter()
        .filter(|one| one.attack == bench.attack_index)
        .map(|one| (*one).clone())
        .collect()
}

#[cfg(test)]
mod tests;
