//! Compares a run with one or several earlier runs, objective by objective.
//!
//! Each figure has a range, on which its verdict is based. Chance does not explain a difference if the two ranges do not overlap. Each end of a range
//! is wrong in at most 2.5 % of cases. So of two equal systems one is called worse in at most 5 % of cases, and mostly far less often: either the
//! upper end of the lower range or the lower end of the upper range has to be wrong. The comparison is about these two runs only: a system whose
//! failures come in bursts differs between runs although nothing changed. Five or more earlier runs show usual figures ([`crate::usual`]). With two to
//! four, a figure is worse if it is worse than that of each of them.

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
    /// They are equal, except for the seed and the paths of files.
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
    /// Returns the figure with its range, such as `99.2 % (98.7 % to 99.6 %)`.
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
    /// The goal, in words: that of the later run if it has this objective, otherwise that of the earlier run.
    pub goal: String,
    /// The result in the earlier run; `None` if it was not judged there.
    pub before: Option<Side>,
    /// The result in the later run; `None` if it was not judged there.
    pub after: Option<Side>,
    /// The change.
    pub change: Change,
    /// The reason of the change, if the figures do not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether both figures are known, but neither has a range that describes chance. This holds for figures of metric sources, alerts and logs; they
    /// cannot be compared.
    #[serde(skip)]
    pub without_ranges: bool,
    /// The earlier runs, if there are several. With enough of them, `before` has the usual figure. The range of that figure has the limits beyond
    /// which a figure is better or worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<UsualOf>,
}

/// The earlier runs with which a figure was compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UsualOf {
    /// Number of runs in which the figure is known.
    pub runs: usize,
    /// Whether there are enough runs to know the usual figure. If not, a figure is worse if it is worse than that of each run by more than chance
    /// explains.
    pub enough: bool,
    /// The margin, as a part of the usual figure. A figure that is worse by less than the margin is not called worse.
    pub margin: f64,
}

/// A run beside one or several earlier runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether they had the same plan. With several earlier runs: whether all of them had it.
    pub plans: Plans,
    /// Number of earlier runs.
    pub runs: usize,
    /// All objectives of both, in the order of the later run. Objectives that only the earlier run has come last.
    pub rows: Vec<Row>,
    /// The times of the attacks that both have.
    pub times: Vec<TimesRow>,
}

/// The times of an attack in both runs. They have no ranges, so they are shown and not compared. To compare a time, a scenario needs an objective
/// about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimesRow {
    /// The attack's name.
    pub attack: String,
    /// The times in the earlier run; with several, in the newest of them.
    pub before: Times,
    /// The times in the later run.
    pub after: Times,
}

impl Comparison {
    /// Returns the number of objectives with a change.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.rows.iter().filter(|row| row.change == change).count()
    }
}

/// Compares several earlier runs with a later one. `earlier` is sorted by time, the newest last. `margin` is a part of the usual figure: a figure
/// that is worse than usual by less than that is not called worse. A single earlier run is compared as by [`compare`].
#[must_use]
pub fn compare_with(earlier: &[Results], after: &Results, margin: f64) -> Comparison {
    let Some((newest, older)) = earlier.split_last() else {
        return Comparison { plans: Plans::Unknown, runs: 0, rows: Vec::new(), times: Vec::new() };
    };
    let mut comparison = compare(newest, after);
    comparison.runs = earlier.len();
    for results in older {
        comparison.plans = match (comparison.plans, plans(results, after)) {
            (Plans::Differ, _) | (_, Plans::Differ) => Plans::Differ,
            (Plans::Unknown, _) | (_, Plans::Unknown) => Plans::Unknown,
            (Plans::Same, Plans::Same) => Plans::Same,
        };
    }
    if older.is_empty() {
        return comparison;
    }
    let (now_by_name, then_by_name) = (by_name(after), earlier.iter().map(by_name).collect::<Vec<_>>());
    for row in &mut comparison.rows {
        let name = (row.attack.as_str(), row.objective.as_str());
        let Some(now) = now_by_name.get(&name).copied() else { continue };
        let then = then_by_name.iter().filter_map(|results| results.get(&name).copied());
        let known: Vec<&ObjectiveResult> =
            then.filter(|then| then.verdict != Verdict::Unknown && is_same(then, now)).collect();
        let Some(last) = known.last() else { continue };
        if now.verdict == Verdict::Unknown {
            continue;
        }
        let figures: Vec<Measured> = known.iter().map(|objective| objective.measured).collect();
        // A figure without a probe comes from a source, and its range does not describe chance. Only if it is a time, the differences between runs
        // show what is usual.
        let has_usual = !now.probe.is_empty() || now.measured.unit == Unit::Time;
        let usual = if known.len() >= ENOUGH && has_usual {
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

/// Compares a figure with each of a few earlier ones. It is worse (or better) only if it is worse (or better) than all of them. The error is the
/// reason why it cannot be compared with one of them.
fn with_each(known: &[&ObjectiveResult], now: &ObjectiveResult) -> Result<Change, String> {
    let mut changes =
        known.iter().map(|then| change(then, now)).collect::<Result<Vec<Change>, String>>()?.into_iter();
    let first = changes.next().unwrap_or(Change::Same);
    Ok(if changes.all(|change| change == first) { first } else { Change::Same })
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
        let not_run = after.attacks.iter().any(|later| later.name == attack.name && later.verdict.is_none());
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
    let times = after.attacks.iter().filter_map(|later| {
        let earlier = before.attacks.iter().find(|earlier| earlier.name == later.name)?;
        Some(TimesRow { attack: later.name.clone(), before: earlier.times, after: later.times })
    });
    Comparison { plans: plans(before, after), runs: 1, rows, times: times.collect() }
}

/// Compares the plans of two runs by their digests.
fn plans(before: &Results, after: &Results) -> Plans {
    // `None` if one of the digests is not known.
    let equal = |left: &Option<String>, right: &Option<String>| Some(left.as_ref()? == right.as_ref()?);
    match (equal(&before.same, &after.same), equal(&before.plan, &after.plan)) {
        (Some(true), _) | (None, Some(true)) => Plans::Same,
        (Some(false), _) => Plans::Differ,
        // Only the digests `plan` are known. They cover the seeds, too, so different digests do not show that the plans differ.
        (None, _) => Plans::Unknown,
    }
}

/// Returns all objectives of a run, each with its attack.
fn objectives(results: &Results) -> impl Iterator<Item = (&AttackResult, &ObjectiveResult)> {
    results
        .attacks
        .iter()
        .flat_map(|attack| attack.objectives.iter().map(move |objective| (attack, objective)))
}

/// Returns the objectives by the names of attack and objective. Of several with the same names, the first counts.
fn by_name(results: &Results) -> HashMap<(&str, &str), &ObjectiveResult> {
    let mut named = HashMap::new();
    for (attack, objective) in objectives(results) {
        named.entry((attack.name.as_str(), objective.name.as_str())).or_insert(objective);
    }
    named
}

fn side(objective: &ObjectiveResult) -> Side {
    Side { verdict: objective.verdict, measured: objective.measured }
}

/// Returns the row of an objective that only the later run has. Callers replace the fields that differ for other objectives.
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

/// Returns the row of an objective that both runs have.
fn both(attack: &AttackResult, before: &ObjectiveResult, after: &ObjectiveResult) -> Row {
    let (change, why) = match change(before, after) {
        Ok(change) => (change, None),
        Err(why) => (Change::Unknown, Some(why)),
    };
    let is_known_without_range = |objective: &ObjectiveResult| {
        let has_figure = objective.measured.value.is_some() || objective.measured.endless;
        objective.verdict != Verdict::Unknown && has_figure && range(objective).is_none()
    };
    let without_ranges =
        is_same(before, after) && is_known_without_range(before) && is_known_without_range(after);
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
    // If a fault did not take effect, the verdict is unknown, and the good figures mean nothing.
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

/// Whether two results are about the same goal, probe and question. Baselines of earlier versions have no question (`asked`); it is not compared then.
fn is_same(before: &ObjectiveResult, after: &ObjectiveResult) -> bool {
    let same_question = before.asked == after.asked || before.asked.is_empty() || after.asked.is_empty();
    before.goal == after.goal && before.probe == after.probe && same_question
}

/// Returns the range by which a figure is compared; `None` if it was not measured, or if its range does not describe chance. The upper end may be
/// infinite. A figure without a probe, such as an increase of a metric or the time of an alert, has a range between two answers of a source. That
/// range does not say how much runs differ by chance.
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
