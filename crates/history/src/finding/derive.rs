//! Derives findings from runs: a pure function of the findings in the file and the outcomes of the runs. Reads and writes no file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use firedrill_judge::verdict::Verdict;

use super::{Finding, Key, State, id::id};
use crate::{
    outcome::{Outcome, Told},
    time::{moment, seconds},
};

/// The facts about a run that findings need.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its start, in seconds since 1970.
    pub(crate) at_s: i64,
    /// The name of its folder.
    pub(crate) folder: String,
    pub(crate) scenario: String,
    pub(crate) told: Told,
}

impl Seen {
    /// Returns its id, or the name of its folder if the id is not known.
    fn run(&self) -> &str {
        self.told.run.as_deref().unwrap_or(&self.folder)
    }
}

/// A verdict on the objective of a key: `held` or `violated`.
#[derive(Clone, Debug)]
struct Point {
    /// The start of the run, in seconds since 1970.
    at_s: i64,
    run: String,
    violated: bool,
    goal: String,
    measured: String,
}

/// Consecutive violations of an objective: it held in no run between them.
#[derive(Debug)]
struct Episode {
    first: Point,
    last: Point,
    /// Number of runs that violated the objective.
    runs: usize,
    /// The next verdict `held`, if there is one.
    closed: Option<Point>,
}

/// For [`Point::violated`]: the run violated the objective.
const VIOLATED: bool = true;
/// For [`Point::violated`]: the objective held.
const HELD: bool = false;

/// Returns the findings: first the open ones, then the closed, then the withdrawn; in each state the newest first. `known` are the findings in the
/// file.
///
/// If the folder of a run is gone, the findings in the file still count as its verdicts. If the folder exists, only the run itself counts.
pub(crate) fn derive(known: Vec<Finding>, mut runs: Vec<Seen>) -> Vec<Finding> {
    runs.sort_by(|left, right| (left.at_s, &left.folder).cmp(&(right.at_s, &right.folder)));
    let mut ids = HashSet::new();
    // Of several copies of a run's folder only the first is used.
    runs.retain(|seen| ids.insert(seen.run().to_owned()));
    let mut points = BTreeMap::<Key, Vec<Point>>::new();
    // Each run with each key on which it has a verdict.
    let mut judged = HashSet::new();
    for seen in &runs {
        for (key, point) in of_run(seen) {
            judged.insert((point.run.clone(), key.clone()));
            points.entry(key).or_default().push(point);
        }
    }
    // What people found says nothing about an objective, and no run closes it.
    let (by_people, known): (Vec<Finding>, Vec<Finding>) = known.into_iter().partition(Finding::is_by_person);
    let mut before = BTreeMap::<Key, Vec<Finding>>::new();
    for finding in known {
        let key = finding.key();
        let has_verdict = |run: &str| judged.contains(&(run.to_owned(), key.clone()));
        let kept = of_finding(&finding, &ids, has_verdict);
        points.entry(key.clone()).or_default().extend(kept);
        before.entry(key).or_default().push(finding);
    }
    let mut taken: BTreeSet<String> =
        before.values().flatten().chain(&by_people).map(|finding| finding.id.clone()).collect();
    let mut findings = by_people;
    for (key, mut points) in points {
        points.sort_by(|left, right| (left.at_s, &left.run).cmp(&(right.at_s, &right.run)));
        points.dedup_by(|left, right| left.run == right.run && left.violated == right.violated);
        let mut in_file = before.remove(&key).unwrap_or_default();
        in_file.sort_by_key(|finding| seconds(&finding.opened));
        for episode in episodes(points) {
            findings.push(adopt(&mut in_file, &key, &episode, &mut taken));
        }
        // No run shows the remaining findings of the file. They are kept only if people wrote something into them.
        let written = in_file.into_iter().filter(Finding::has_words);
        findings.extend(written.map(|finding| Finding { state: State::Withdrawn, ..finding }));
    }
    sort(&mut findings);
    findings
}

/// Sorts findings by their state, the open ones first. In each state the newest come first.
pub(crate) fn sort(all: &mut [Finding]) {
    all.sort_by(|one, other| {
        let place = |finding: &Finding| (finding.state, std::cmp::Reverse(seconds(&finding.seen)));
        place(one)
            .cmp(&place(other))
            .then_with(|| one.key().cmp(&other.key()))
            .then_with(|| (&one.found, &one.id).cmp(&(&other.found, &other.id)))
    });
}

/// Returns the verdict of a run on each key. Of several attacks with the same name, the worst verdict counts.
fn of_run(seen: &Seen) -> Vec<(Key, Point)> {
    let mut worst = HashMap::<(&str, &str), &Outcome>::new();
    for outcome in &seen.told.outcomes {
        let so_far = worst.entry((&outcome.attack, &outcome.objective)).or_insert(outcome);
        if outcome.verdict > so_far.verdict {
            *so_far = outcome;
        }
    }
    let key = |outcome: &Outcome| {
        let (attack, objective) = (outcome.attack.clone(), outcome.objective.clone());
        (seen.scenario.clone(), seen.told.environment.clone(), attack, objective)
    };
    let point = |outcome: &Outcome| Point {
        at_s: seen.at_s,
        run: seen.run().to_owned(),
        violated: outcome.verdict == Verdict::Violated,
        goal: outcome.goal.clone(),
        measured: outcome.measured.clone(),
    };
    worst.into_values().map(|outcome| (key(outcome), point(outcome))).collect()
}

/// Returns the verdicts that only a finding in the file has. A violation counts unless its run itself has a verdict on this key (`has_verdict`). A
/// verdict `held` counts only if its run is not among the `existing` ones: if the run exists and has no verdict, its verdict is unknown now.
fn of_finding(
    finding: &Finding,
    existing: &HashSet<String>,
    has_verdict: impl Fn(&str) -> bool,
) -> Vec<Point> {
    let point = |at: &str, run: &str, violated: bool| Point {
        at_s: seconds(at),
        run: run.to_owned(),
        violated,
        goal: finding.goal.clone(),
        measured: finding.measured.clone(),
    };
    let mut points = Vec::new();
    for (at, run) in [(&finding.opened, &finding.opened_in), (&finding.seen, &finding.seen_in)] {
        if finding.state != State::Withdrawn && !has_verdict(run) {
            points.push(point(at, run, VIOLATED));
        }
    }
    if let (Some(at), Some(run)) = (&finding.closed, &finding.closed_in)
        && !existing.contains(run)
    {
        let goal = finding.closed_by_goal.clone().unwrap_or_else(|| finding.goal.clone());
        points.push(Point { goal, ..point(at, run, HELD) });
    }
    points
}

/// Joins verdicts, which are sorted by time, into episodes.
fn episodes(points: Vec<Point>) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for point in points {
        let open = episodes.last_mut().filter(|episode| episode.closed.is_none());
        match (open, point.violated) {
            (Some(episode), true) => {
                episode.runs += usize::from(episode.last.run != point.run);
                episode.last = point;
            }
            (Some(episode), false) => episode.closed = Some(point),
            (None, true) => {
                episodes.push(Episode { first: point.clone(), last: point, runs: 1, closed: None });
            }
            (None, false) => {}
        }
    }
    episodes
}

/// Makes the finding of an episode. It gets the id and the texts of the findings in the file that are about the same time; those are removed from
/// `in_file`. `taken` has the ids that are used already.
fn adopt(in_file: &mut Vec<Finding>, key: &Key, episode: &Episode, taken: &mut BTreeSet<String>) -> Finding {
    let same_time = |finding: &mut Finding| {
        seconds(&finding.opened) <= episode.last.at_s && episode.first.at_s <= seconds(&finding.seen)
    };
    let mut old: Vec<Finding> = in_file.extract_if(.., same_time).collect();
    let mut finding = if old.is_empty() { new(key, episode, taken) } else { old.remove(0) };
    for other in old {
        // Several findings become one if the verdict of the run that separated them is unknown now. Their texts are joined.
        finding.severity = finding.severity.max(other.severity);
        for (text, other_text) in [
            (&mut finding.owner, other.owner),
            (&mut finding.ticket, other.ticket),
            (&mut finding.follow_up, other.follow_up),
        ] {
            if text.is_empty() {
                *text = other_text;
            }
        }
        if !other.note.is_empty() && other.note != finding.note {
            let gap = if finding.note.is_empty() { "" } else { "\n" };
            finding.note += &format!("{gap}{}", other.note);
        }
        finding.runs = finding.runs.max(other.runs);
        other.more.into_iter().for_each(|(name, value)| _ = finding.more.entry(name).or_insert(value));
    }
    let Episode { first, last, closed, .. } = episode;
    finding.state = if closed.is_some() { State::Closed } else { State::Open };
    finding.runs = finding.runs.max(episode.runs);
    (finding.opened, finding.opened_in) = (moment(first.at_s), first.run.clone());
    (finding.seen, finding.seen_in) = (moment(last.at_s), last.run.clone());
    (finding.goal, finding.measured) = (last.goal.clone(), last.measured.clone());
    finding.closed = closed.as_ref().map(|point| moment(point.at_s));
    finding.closed_in = closed.as_ref().map(|point| point.run.clone());
    finding.closed_by_goal =
        closed.as_ref().filter(|point| point.goal != last.goal).map(|point| point.goal.clone());
    finding
}

/// Makes a finding with a new id. The id is computed from the key and the first run. So the finding gets the same id again if the file is lost.
fn new(key: &Key, episode: &Episode, taken: &mut BTreeSet<String>) -> Finding {
    let (scenario, environment, attack, objective) = key.clone();
    let parts =
        [&scenario, environment.as_deref().unwrap_or_default(), &attack, &objective, &episode.first.run];
    let id = id(&parts, taken);
    Finding { id, scenario, environment, attack, objective, ..Finding::empty() }
}
