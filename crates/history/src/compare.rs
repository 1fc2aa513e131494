//! Compares two runs, objective by objective.
//!
//! A difference is beyond chance if the ranges that the verdicts rest on do not overlap. Each end of a range errs in at most
//! 2.5 % of cases. Of two equal systems one is called worse only if the upper end of one range or the lower end of the other errs:
//! in at most 5 %, and mostly far less. It is about these two runs: systems whose failures come in bursts differ between runs
//! though nothing changed.

use std::collections::BTreeSet;

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

use crate::baseline::{AttackResult, ObjectiveResult, Results};

/// How an objective changed from one run to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Worse, beyond chance.
    Worse,
    /// Better, beyond chance.
    Better,
    /// No difference beyond chance.
    Same,
    /// The figures cannot be compared.
    Unknown,
    /// It was judged only in the later run.
    Added,
    /// It was judged only in the earlier run.
    Removed,
}

impl Change {
    /// Returns the word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Same => "no difference shown",
            Self::Unknown => "unknown",
            Self::Added => "new",
            Self::Removed => "gone",
        }
    }
}

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
}

/// Two runs, side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether they had the same plan.
    pub plans: Plans,
    /// All objectives of both, in the order of the later run; those of the earlier one alone come last.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Returns the number of objectives with a change.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.rows.iter().filter(|row| row.change == change).count()
    }
}

/// Compares an earlier run with a later one.
#[must_use]
pub fn compare(before: &Results, after: &Results) -> Comparison {
    let mut rows = Vec::new();
    let mut matched = BTreeSet::new();
    for (attack, objective) in objectives(after) {
        let key = (attack.name.as_str(), objective.name.as_str());
        matched.insert(key);
        let earlier = objectives(before).find(|(one, other)| (one.name.as_str(), other.name.as_str()) == key);
        rows.push(match earlier {
            Some((_, earlier)) => both(attack, earlier, objective),
            None => Row {
                before: None,
                change: Change::Added,
                why: Some("it was not judged in the earlier run".to_owned()),
                ..row(attack, objective)
            },
        });
    }
    for (attack, objective) in objectives(before) {
        if matched.contains(&(attack.name.as_str(), objective.name.as_str())) {
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
    Comparison { plans: plans(before, after), rows }
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
