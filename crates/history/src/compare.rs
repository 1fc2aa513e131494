//! Compares a run with another, or with several, objective by objective.
//!
//! A difference is beyond chance if the ranges that the verdicts rest on do not overlap. Each end of a range errs in at most
//! 2.5 % of cases. Of two equal systems one is called worse only if the upper end of one range or the lower end of the other errs:
//! in at most 5 %, and mostly far less. It is about these two runs: systems whose failures come in bursts differ between runs
//! though nothing changed. Several runs show usual figures ([`crate::usual`]); beside two to four, a figure is worse if it is worse than each of them.

use std::collections::HashMap;

use firedrill_judge::{
    report,
    score::{
        card::{Measured, Unit},
        format,
    },
    verdict::Verdict,
};
use firedrill_statistics::whole;
use serde::Serialize;

use crate::{
    baseline::{AttackResult, ObjectiveResult, Results},
    change::Change,
    times::Times,
    usual::{self, ENOUGH},
};

/// Whether both runs had the same plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plans {
    /// They are equal but for the seed and the file's path.
    Same,
    /// They differ.
    Differ,
    /// One of the plans is not known.
    Unknown,
}

/// One objective in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The verdict.
    pub verdict: Verdict,
    /// The figure and its range.
    pub measured: Measured,
}

impl Side {
    /// Returns the figure with its range: `99.2 % (98.7 % to 99.6 %)`.
    #[must_use]
    pub fn figure(&self) -> String {
        let measured = &self.measured;
        let text = report::measured(measured);
        let end = |value: f64| match measured.unit {
            Unit::Share => format::percent(value),
            Unit::Number => format::value(value),
            Unit::Latency | Unit::Time => format::micros(whole(value)),
        };
        match (measured.low, measured.high) {
            (Some(low), Some(high)) => format!("{text} ({} to {})", end(low), end(high)),
            (Some(low), None) if !measured.endless => format!("{text} ({} or more)", end(low)),
            _ => text,
        }
    }
}

/// One objective of one attack in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The attack's name.
    pub attack: String,
    /// The objective's name.
    pub objective: String,
    /// The goal, in words; of the later run where it has one.
    pub goal: String,
    /// The earlier run.
    pub before: Option<Side>,
    /// The later run.
    pub after: Option<Side>,
    /// The change.
    pub change: Change,
    /// The reason, where the change is not plain from the figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether both figures are known and neither has a range of chance, as those of metric sources, of alerts and of logs: there is
    /// nothing to compare by, whatever they are.
    #[serde(skip)]
    pub without_ranges: bool,
    /// The runs that it was compared with, if there are several; `before` then has the usual figure, and the limits beyond which another
    /// is better or worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<UsualOf>,
}

/// The runs that a figure was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UsualOf {
    /// Number of runs in which it is known.
    pub runs: usize,
    /// Whether these are enough to show what is usual. If not, worse is what is worse than each of them, beyond chance.
    pub enough: bool,
    /// The part of the usual figure by which another may be worse.
    pub margin: f64,
}

/// Two runs, side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether they had the same plan; of several earlier runs, whether all had it.
    pub plans: Plans,
    /// Number of earlier runs.
    pub runs: usize,
    /// All objectives of both, in the order of the later run; those of the earlier one alone come last.
    pub rows: Vec<Row>,
    /// The times of the attacks that both have.
    pub times: Vec<TimesRow>,
}

/// The times of an attack in both runs. They have no ranges, so none is better or worse; an objective is for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimesRow {
    /// The attack's name.
    pub attack: String,
    /// The earlier run; the newest of several.
    pub before: Times,
    /// The later run.
    pub after: Times,
}

impl Comparison {
    /// Returns the number of objectives with a change.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.rows.iter().filter(|row| row.change == change).count()
    }
}

/// Compares several earlier runs with a later one, beyond a margin. The newest of the earlier ones is the last. One alone is compared
/// as [`compare`] does it.
#[must_use]
pub fn compare_with(all: &[Results], after: &Results, margin: f64) -> Comparison {
    let Some((newest, older)) = all.split_last() else {
        return Comparison { plans: Plans::Unknown, runs: 0, rows: Vec::new(), times: Vec::new() };
    };
    let mut comparison = compare(newest, after);
    comparison.runs = all.len();
    for one in older {
        comparison.plans = match (comparison.plans, plans(one, after)) {
            (Plans::Differ, _) | (_, Plans::Differ) => Plans::Differ,
            (Plans::Unknown, _) | (_, Plans::Unknown) => Plans::Unknown,
            (Plans::Same, Plans::Same) => Plans::Same,
        };
    }
    if older.is_empty() {
        return comparison;
    }
    let (now_by_name, then_by_name) = (by_name(after), all.iter().map(by_name).collect::<Vec<_>>());
    for row in &mut comparison.rows {
        let name = (row.attack.as_str(), row.objective.as_str());
        let Some(now) = now_by_name.get(&name).copied() else { continue };
        let then = then_by_name.iter().filter_map(|results| results.get(&name).copied());
        let known: Vec<&ObjectiveResult> =
            then.filter(|one| one.verdict != Verdict::Unknown && is_same(one, now)).collect();
        let Some(last) = known.last() else { continue };
        if now.verdict == Verdict::Unknown {
            continue;
        }
        let figures: Vec<Measured> = known.iter().map(|one| one.measured).collect();
        // The range of a source's figure is not about chance; but how runs differ in a time is known all the same.
        let ranged = !now.probe.is_empty() || now.measured.unit == Unit::Time;
        let usual = if known.len() >= ENOUGH && ranged {
            usual::change(&figures, &now.measured, margin)
        } else {
            None
        };
        let enough = usual.is_some();
        match usual {
            Some((change, figure)) => {
                row.before = Some(Side { verdict: last.verdict, measured: figure });
                (row.change, row.why, row.without_ranges) = (change, None, false);
            }
            None => match with_each(&known, now) {
                Ok(change) => {
                    row.before = Some(side(last));
                    (row.change, row.why) = (change, None);
                }
                Err(why) => (row.change, row.why) = (Change::Unknown, Some(why)),
            },
        }
        row.usual = Some(UsualOf { runs: known.len(), enough, margin });
    }
    comparison
}

/// Compares with each of a few runs: worse or better is what is so beside all of them.
fn with_each(known: &[&ObjectiveResult], now: &ObjectiveResult) -> Result<Change, String> {
    let mut all =
        known.iter().map(|one| change(one, now)).collect::<Result<Vec<Change>, String>>()?.into_iter();
    let first = all.next().unwrap_or(Change::Same);
    Ok(if all.all(|one| one == first) { first } else { Change::Same })
}

/// Compares an earlier run with a later one.
#[must_use]
pub fn compare(before: &Results, after: &Results) -> Comparison {
    let mut rows = Vec::new();
    let (earlier, later) = (by_name(before), by_name(after));
    for (attack, objective) in objectives(after) {
        rows.push(match earlier.get(&(attack.name.as_str(), objective.name.as_str())) {
            Some(earlier) => both(attack, earlier, objective),
            None => Row {
                before: None,
                change: Change::Added,
                why: Some("it was not judged in the earlier run".to_owned()),
                ..row(attack, objective)
            },
        });
    }
    for (attack, objective) in objectives(before) {
        if later.contains_key(&(attack.name.as_str(), objective.name.as_str())) {
            continue;
        }
        let not_run = after.attacks.iter().any(|one| one.name == attack.name && one.verdict.is_none());
        let (change, why) = if not_run {
            (Change::Unknown, "the attack was not run in the later run")
        } else {
            (Change::Removed, "it was not judged in the later run")
        };
        rows.push(Row {
            before: Some(side(objective)),
            after: None,
            change,
            why: Some(why.to_owned()),
            ..row(attack, objective)
        });
    }
    let times = after.attacks.iter().filter_map(|one| {
        let earlier = before.attacks.iter().find(|other| other.name == one.name)?;
        Some(TimesRow { attack: one.name.clone(), before: earlier.times, after: one.times })
    });
    Comparison { plans: plans(before, after), runs: 1, rows, times: times.collect() }
}

fn plans(before: &Results, after: &Results) -> Plans {
    let same = |one: &Option<String>, other: &Option<String>| Some(one.as_ref()? == other.as_ref()?);
    match (same(&before.same, &after.same), same(&before.plan, &after.plan)) {
        (Some(true), _) | (None, Some(true)) => Plans::Same,
        (Some(false), _) => Plans::Differ,
        // With digests over the seeds too, different ones say nothing.
        (None, _) => Plans::Unknown,
    }
}

fn objectives(results: &Results) -> impl Iterator<Item = (&AttackResult, &ObjectiveResult)> {
    results.attacks.iter().flat_map(|attack| attack.objectives.iter().map(move |one| (attack, one)))
}

/// Returns the objectives by the names of attack and objective; of several with one name, the first.
fn by_name(results: &Results) -> HashMap<(&str, &str), &ObjectiveResult> {
    let mut all = HashMap::new();
    for (attack, one) in objectives(results) {
        all.entry((attack.name.as_str(), one.name.as_str())).or_insert(one);
    }
    all
}

fn side(objective: &ObjectiveResult) -> Side {
    Side { verdict: objective.verdict, measured: objective.measured }
}

/// Returns the row of an objective of the later run alone.
fn row(attack: &AttackResult, objective: &ObjectiveResult) -> Row {
    Row {
        attack: attack.name.clone(),
        objective: objective.name.clone(),
        goal: objective.goal.clone(),
        before: None,
        after: Some(side(objective)),
        change: Change::Unknown,
        why: None,
        without_ranges: false,
        usual: None,
    }
}

fn both(attack: &AttackResult, before: &ObjectiveResult, after: &ObjectiveResult) -> Row {
    let (change, why) = match change(before, after) {
        Ok(change) => (change, None),
        Err(why) => (Change::Unknown, Some(why)),
    };
    let known = |one: &ObjectiveResult| {
        let figure = one.measured.value.is_some() || one.measured.endless;
        one.verdict != Verdict::Unknown && figure && range(one).is_none()
    };
    let without_ranges = is_same(before, after) && known(before) && known(after);
    Row { before: Some(side(before)), change, why, without_ranges, ..row(attack, after) }
}

/// Returns the change, or the reason why the figures cannot be compared.
fn change(before: &ObjectiveResult, after: &ObjectiveResult) -> Result<Change, String> {
    if before.goal == after.goal && !is_same(before, after) && before.probe == after.probe {
        return Err(format!("it was “{}” that was asked, and is “{}”", before.asked, after.asked));
    }
    if !is_same(before, after) {
        return Err(format!(
            "the goal was “{}” of {}, and is “{}” of {}",
            before.goal, before.probe, after.goal, after.probe
        ));
    }
    // A fault that did not land leaves good figures that mean nothing.
    for (objective, which) in [(before, "earlier"), (after, "later")] {
        if objective.verdict == Verdict::Unknown {
            return Err(format!("it is unknown in the {which} run: {}", objective.why));
        }
    }
    let range = |objective: &ObjectiveResult, which: &str| {
        range(objective).ok_or_else(|| format!("the {which} run has no range of it"))
    };
    let ((low, high), (new_low, new_high)) = (range(before, "earlier")?, range(after, "later")?);
    if before.measured.unit != after.measured.unit {
        return Err("the figures have different units".to_owned());
    }
    let (rose, fell) = (new_low > high, new_high < low);
    let more_is_better = after.measured.unit == Unit::Share;
    Ok(match (rose, fell, more_is_better) {
        (true, _, true) | (_, true, false) => Change::Better,
        (true, _, false) | (_, true, true) => Change::Worse,
        (false, false, _) => Change::Same,
    })
}

/// Whether two results are about the same. Earlier versions did not say what was asked.
fn is_same(before: &ObjectiveResult, after: &ObjectiveResult) -> bool {
    let asked = before.asked == after.asked || before.asked.is_empty() || after.asked.is_empty();
    before.goal == after.goal && before.probe == after.probe && asked
}

/// Returns the range by which a figure is compared; `None` if it was not measured, or if it is not about chance. The upper end may be
/// infinite. What no probe measured, such as an increase or the time of an alert, has a range between two answers of a source: one run
/// says nothing about how another would be.
fn range(objective: &ObjectiveResult) -> Option<(f64, f64)> {
    if objective.probe.is_empty() {
        return None;
    }
    let measured = &objective.measured;
    if measured.value.is_none() && !measured.endless {
        return None;
    }
    let low = measured.low?;
    match measured.high {
        Some(high) => Some((low, high)),
        None if measured.unit == Unit::Share => None,
        None => Some((low, f64::INFINITY)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
