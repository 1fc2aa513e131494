//! Counts over many runs: the share of runs in which a scenario held, and the share whose verdict differs although the plan is the same.

use std::collections::{BTreeMap, HashSet};

use firedrill_judge::{
    score::format,
    verdict::{Exit, Verdict},
};
use firedrill_statistics::exact;
use serde::Serialize;

use crate::entry::Entry;

/// Exit codes of runs that were refused by an agent or stopped by a person. Their verdicts say nothing about the system.
const WITHOUT_RESULT: [u8; 2] = [Exit::Refused as u8, Exit::Stopped as u8];

/// The number of runs whose verdict differs from that of other runs of the same plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Flaky {
    /// Number of runs whose verdict is not the most frequent one of their plan.
    pub differing: usize,
    /// Number of runs whose plan was run more than once, including `differing`.
    pub of: usize,
    /// The share of `differing`, 0 to 1; `None` if no plan was run more than once.
    pub share: Option<f64>,
}

/// A text for people, such as `1 of 9 (11 %)`.
impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.share {
            Some(share) => write!(f, "{} of {} ({})", self.differing, self.of, format::percent(share)),
            None => f.write_str("no plan ran twice"),
        }
    }
}

/// The runs of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name.
    pub scenario: String,
    /// Number of all runs.
    pub runs: usize,
    /// Number of runs that held.
    pub held: usize,
    /// Number of runs that were violated.
    pub violated: usize,
    /// Number of runs that are unknown, without those that were refused or stopped.
    pub unknown: usize,
    /// Number of unknown runs that were refused or stopped.
    pub refused_or_stopped: usize,
    /// The range of the probability that a run holds, by exact bounds, from the runs that held or were violated. `None` if there are none.
    pub held_range: Option<(f64, f64)>,
    /// The verdicts that differ between runs of the same plan.
    pub flaky: Flaky,
    /// Start of the newest run, RFC 3339 UTC.
    pub last: Option<String>,
}

/// Returns each run once, sorted by time, the oldest first. Copies of a run's folder and damaged folders are left out.
#[must_use]
pub fn once_each(entries: &[Entry]) -> Vec<&Entry> {
    let mut seen = HashSet::new();
    let mut runs: Vec<&Entry> = entries.iter().filter(|entry| entry.damage.is_none()).collect();
    runs.sort_by(|left, right| (left.at_s, &left.folder).cmp(&(right.at_s, &right.folder)));
    runs.retain(|entry| entry.run.as_ref().is_none_or(|run| seen.insert(run)));
    runs
}

/// Counts the verdicts that differ between runs of the same plan. Runs that did not end, or were refused or stopped, do not count.
#[must_use]
pub fn flaky(runs: &[&Entry]) -> Flaky {
    // For each plan, the number of runs with each verdict.
    let mut plans = BTreeMap::<(&str, &str), BTreeMap<Verdict, usize>>::new();
    for entry in runs.iter().filter(|entry| entry.ended && !has_no_result(entry)) {
        if let (Some(scenario), Some(same), Some(verdict)) = (&entry.scenario, &entry.same, entry.verdict) {
            *plans.entry((scenario, same)).or_default().entry(verdict).or_default() += 1;
        }
    }
    let (mut differing, mut of) = (0, 0);
    for verdicts in plans.values() {
        let runs: usize = verdicts.values().sum();
        if runs > 1 {
            of += runs;
            differing += runs - verdicts.values().max().copied().unwrap_or(0);
        }
    }
    Flaky { differing, of, share: (of > 0).then(|| differing as f64 / of as f64) }
}

fn has_no_result(entry: &Entry) -> bool {
    entry.exit.is_some_and(|exit| WITHOUT_RESULT.contains(&exit))
}

/// Counts the runs of each scenario. The result is sorted by name.
#[must_use]
pub fn scenarios(entries: &[Entry]) -> Vec<Scenario> {
    by_scenario(&once_each(entries)).into_iter().map(|(sum, _)| sum).collect()
}

/// Counts the runs of each scenario, and returns the counts with the runs, which keep their order. The result is sorted by name.
pub(crate) fn by_scenario<'e>(runs: &[&'e Entry]) -> Vec<(Scenario, Vec<&'e Entry>)> {
    let mut by_name = BTreeMap::<&str, Vec<&Entry>>::new();
    for entry in runs {
        by_name.entry(entry.scenario.as_deref().unwrap_or_default()).or_default().push(entry);
    }
    by_name.into_iter().map(|(name, runs)| (scenario(name, &runs), runs)).collect()
}

fn scenario(name: &str, runs: &[&Entry]) -> Scenario {
    let count = |verdict: Verdict| runs.iter().filter(|entry| entry.verdict == Some(verdict)).count();
    let (held, violated) = (count(Verdict::Held), count(Verdict::Violated));
    let refused_or_stopped =
        runs.iter().filter(|entry| entry.verdict == Some(Verdict::Unknown) && has_no_result(entry)).count();
    let told = held + violated;
    Scenario {
        scenario: name.to_owned(),
        runs: runs.len(),
        held,
        violated,
        unknown: count(Verdict::Unknown) - refused_or_stopped,
        refused_or_stopped,
        held_range: (told > 0).then(|| exact(held as f64 / told as f64, told as f64)),
        flaky: flaky(runs),
        last: runs.last().and_then(|entry| entry.started.clone()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::times::Times;

    /// Returns the entry of a run that started in second `number`, with a plan of the digest `same`.
    pub(crate) fn entry(number: i64, same: &str, verdict: Verdict) -> Entry {
        Entry {
            folder: format!("run{number}"),
            at_s: number,
            damage: None,
            run: Some(format!("id{number}")),
            scenario: Some("friday".to_owned()),
            started: None,
            environment: None,
            operator: None,
            firedrill: None,
            attempt: 1,
            verdict: Some(verdict),
            exit: Some(0),
            score: None,
            times: Times::default(),
            violated: Vec::new(),
            plan: None,
            same: Some(same.to_owned()),
            files: None,
            ended: true,
            ran: 1,
            planned: 1,
        }
    }

    #[test]
    fn only_runs_of_the_same_plan_are_compared() {
        use Verdict::{Held, Unknown, Violated};
        let mut all = vec![
            entry(1, "a", Held),
            entry(2, "a", Held),
            entry(3, "a", Violated),
            entry(4, "a", Unknown),
            entry(5, "b", Violated),
            entry(6, "c", Violated),
            entry(7, "c", Violated),
        ];
        let found = scenarios(&all).remove(0);
        assert_eq!((found.flaky.differing, found.flaky.of), (2, 6), "b was run once");
        assert_eq!((found.held, found.violated, found.unknown), (2, 4, 1));
        all[3].exit = Some(Exit::Stopped as u8);
        all[2].ended = false;
        let found = scenarios(&all).remove(0);
        assert_eq!((found.flaky.differing, found.flaky.of), (0, 4), "stopped and cut runs do not count");
        assert_eq!((found.unknown, found.refused_or_stopped), (0, 1));
    }

    #[test]
    fn a_copy_of_a_run_counts_once_and_a_damaged_folder_not_at_all() {
        let one = entry(1, "a", Verdict::Held);
        let copy = Entry { folder: "copy".to_owned(), ..one.clone() };
        let damaged = Entry { damage: Some("cut".to_owned()), verdict: None, ..entry(2, "a", Verdict::Held) };
        let found = scenarios(&[one, copy, damaged]).remove(0);
        assert_eq!((found.runs, found.flaky.of, found.flaky.share), (1, 0, None));
        let (low, high) = found.held_range.expect("one run held");
        assert!(low < 0.03 && high >= 1.0, "one run shows nearly nothing: {low} {high}");
    }
}
