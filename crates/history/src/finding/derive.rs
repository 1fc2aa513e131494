//! Derives findings from runs: a pure function of the findings in the file and of the outcomes of the runs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use firedrill_judge::verdict::Verdict;

use super::{Finding, Key, State, id::id};
use crate::{
    outcome::{Outcome, Told},
    time::{moment, seconds},
};

/// One run, as far as findings need it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at_s: i64,
    pub(crate) folder: String,
    pub(crate) scenario: String,
    pub(crate) told: Told,
}

impl Seen {
    fn run(&self) -> &str {
        self.told.run.as_deref().unwrap_or(&self.folder)
    }
}

/// One verdict on the objective of a key.
#[derive(Clone, Debug)]
struct Point {
    at_s: i64,
    run: String,
    violated: bool,
    goal: String,
    measured: String,
}

/// Violations of one objective, without a run between them in which it held.
#[derive(Debug)]
struct Episode {
    first: Point,
    last: Point,
    runs: usize,
    closed: Option<Point>,
}

/// Returns the findings, the open ones first, then by their time, the newest first.
///
/// Runs whose folders are gone stay in the findings that they opened or closed; runs that are there speak for themselves.
pub(crate) fn derive(known: Vec<Finding>, mut runs: Vec<Seen>) -> Vec<Finding> {
    runs.sort_by(|one, other| (one.at_s, &one.folder).cmp(&(other.at_s, &other.folder)));
    let mut ids = HashSet::new();
    // Copies of a folder are left out.
    runs.retain(|seen| ids.insert(seen.run().to_owned()));
    let mut points = BTreeMap::<Key, Vec<Point>>::new();
    let mut told = HashSet::new();
    for seen in &runs {
        for (key, point) in of_run(seen) {
            told.insert((point.run.clone(), key.clone()));
            points.entry(key).or_default().push(point);
        }
    }
    // What people found says nothing about an objective, and no run closes it.
    let (by_people, known): (Vec<Finding>, Vec<Finding>) = known.into_iter().partition(Finding::is_by_person);
    let mut before = BTreeMap::<Key, Vec<Finding>>::new();
    for finding in known {
        let key = finding.key();
        let kept = of_finding(&finding, &ids, |run| told.contains(&(run.to_owned(), key.clone())));
        points.entry(key.clone()).or_default().extend(kept);
        before.entry(key).or_default().push(finding);
    }
    let mut taken: BTreeSet<String> =
        before.values().flatten().chain(&by_people).map(|finding| finding.id.clone()).collect();
    let mut all = by_people;
    for (key, mut points) in points {
        points.sort_by(|one, other| (one.at_s, &one.run).cmp(&(other.at_s, &other.run)));
        points.dedup_by(|one, other| one.run == other.run && one.violated == other.violated);
        let mut mine = before.remove(&key).unwrap_or_default();
        mine.sort_by_key(|finding| seconds(&finding.opened));
        for episode in episodes(points) {
            let finding = adopt(&mut mine, &key, &episode, &mut taken);
            all.push(finding);
        }
        // No run shows the remaining findings.
        let words = mine.into_iter().filter(Finding::has_words);
        all.extend(words.map(|finding| Finding { state: State::Withdrawn, ..finding }));
    }
    sort(&mut all);
    all
}

/// Sorts findings: the open ones first, then by their time, the newest first.
pub(crate) fn sort(all: &mut [Finding]) {
    all.sort_by(|one, other| {
        let place = |finding: &Finding| (finding.state, std::cmp::Reverse(seconds(&finding.seen)));
        place(one)
            .cmp(&place(other))
            .then_with(|| one.key().cmp(&other.key()))
            .then_with(|| (&one.found, &one.id).cmp(&(&other.found, &other.id)))
    });
}

/// Returns the verdict of a run on each key. Of several attacks with one name, the worst counts.
fn of_run(seen: &Seen) -> Vec<(Key, Point)> {
    let mut worst = HashMap::<(&str, &str), &Outcome>::new();
    for one in &seen.told.outcomes {
        let place = worst.entry((&one.attack, &one.objective)).or_insert(one);
        if one.verdict > place.verdict {
            *place = one;
        }
    }
    let key = |one: &Outcome| {
        (seen.scenario.clone(), seen.told.environment.clone(), one.attack.clone(), one.objective.clone())
    };
    let point = |one: &Outcome| Point {
        at_s: seen.at_s,
        run: seen.run().to_owned(),
        violated: one.verdict == Verdict::Violated,
        goal: one.goal.clone(),
        measured: one.measured.clone(),
    };
    worst.into_values().map(|one| (key(one), point(one))).collect()
}

/// Returns the verdicts that a finding of the file has beyond those of the runs. A violation counts until its run is judged differently. A
/// verdict `held` counts only if its run is gone, because an unknown verdict closes nothing.
fn of_finding(finding: &Finding, there: &HashSet<String>, told: impl Fn(&str) -> bool) -> Vec<Point> {
    let point = |at: &str, run: &str, violated: bool| Point {
        at_s: seconds(at),
        run: run.to_owned(),
        violated,
        goal: finding.goal.clone(),
        measured: finding.measured.clone(),
    };
    let mut points = Vec::new();
    for (at, run) in [(&finding.opened, &finding.opened_in), (&finding.seen, &finding.seen_in)] {
        if finding.state != State::Withdrawn && !told(run) {
            points.push(point(at, run, true));
        }
    }
    if let (Some(at), Some(run)) = (&finding.closed, &finding.closed_in)
        && !there.contains(run)
    {
        let goal = finding.closed_by_goal.clone().unwrap_or_else(|| finding.goal.clone());
        points.push(Point { goal, ..point(at, run, false) });
    }
    points
}

fn episodes(points: Vec<Point>) -> Vec<Episode> {
    let mut all: Vec<Episode> = Vec::new();
    for point in points {
        let open = all.last_mut().filter(|episode| episode.closed.is_none());
        match (open, point.violated) {
            (Some(episode), true) => {
                episode.runs += usize::from(episode.last.run != point.run);
                episode.last = point;
            }
            (Some(episode), false) => episode.closed = Some(point),
            (None, true) => all.push(Episode { first: point.clone(), last: point, runs: 1, closed: None }),
            (None, false) => {}
        }
    }
    all
}

/// Makes the finding of an episode, with the id and the texts of the findings of the same time in the file.
fn adopt(mine: &mut Vec<Finding>, key: &Key, episode: &Episode, taken: &mut BTreeSet<String>) -> Finding {
    let same_time = |finding: &mut Finding| {
        seconds(&finding.opened) <= episode.last.at_s && episode.first.at_s <= seconds(&finding.seen)
    };
    let mut old: Vec<Finding> = mine.extract_if(.., same_time).collect();
    let mut finding = if old.is_empty() { new(key, episode, taken) } else { old.remove(0) };
    for other in old {
        // A run between two findings is unknown now, so that they become one.
        finding.severity = finding.severity.max(other.severity);
        for (word, more) in [
            (&mut finding.owner, other.owner),
            (&mut finding.ticket, other.ticket),
            (&mut finding.follow_up, other.follow_up),
        ] {
            if word.is_empty() {
                *word = more;
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

fn new(key: &Key, episode: &Episode, taken: &mut BTreeSet<String>) -> Finding {
    let (scenario, environment, attack, objective) = key.clone();
    let parts =
        [&scenario, environment.as_deref().unwrap_or_default(), &attack, &objective, &episode.first.run];
    let id = id(&parts, taken);
    Finding { id, scenario, environment, attack, objective, ..Finding::empty() }
}
