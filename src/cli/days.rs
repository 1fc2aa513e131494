//! Game days for commands: reads them, checks their scenarios and fleets, and compares game days with each other. Asks no host.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use firedrill_gameday::{
    Gameday, Undrawable,
    overlap::{Occupied, Overlap, overlaps},
};
use firedrill_wire::{Span, identity::Person};
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZoneDatabase};

use crate::{
    alike,
    diagnostic::{JsonProblem, Place, Problem, Report, Severity, Sink, plural, suggest},
    fleet::FleetSource,
    plan::{Inspection, inspect_as, print, refuse_lacking},
};

/// Width of the formatted text, in columns; also where no terminal tells its own.
pub(super) const WIDTH: usize = 110;
/// The seed for the check of a scenario without a seed in the game day, which each run replaces by a new one. `check` uses the same.
pub(super) const ANY_SEED: u64 = 0;

/// A game day's file, and what was found in it.
pub(super) struct Day {
    /// The game day, if the file has no errors of its own.
    pub(super) gameday: Option<Gameday>,
    /// The problems of the file itself.
    pub(super) report: Report,
    /// The results of the checks of its scenarios, in the order of the file.
    pub(super) drills: Vec<Inspection>,
}

/// A game day while it is checked.
struct Draft {
    gameday: Option<Gameday>,
    sink: Sink,
    drills: Vec<Inspection>,
}

/// Reads a game day, without its scenarios and its fleet.
pub(super) fn read(file: &Path, zones: &TimeZoneDatabase, now: Timestamp) -> (Option<Gameday>, Report) {
    let mut sink = Sink::default();
    let gameday = firedrill_gameday::read(file, zones, now, &mut sink);
    (gameday, sink.into_report())
}

/// Reads game days, checks their scenarios with their fleets, and compares the game days with each other.
pub(super) fn inspect(files: &[&Path], person: Option<&Person>, now: Timestamp) -> Vec<Day> {
    let zones = firedrill_gameday::zones();
    let mut drafts: Vec<Draft> = files.iter().map(|file| draft(file, person, &zones, now)).collect();
    for (index, problem) in names(&drafts).into_iter().chain(compared(&drafts, now)) {
        problem.add(&mut drafts, index);
    }
    let finished = drafts.into_iter().map(|draft| Day {
        gameday: draft.gameday,
        report: draft.sink.into_report(),
        drills: draft.drills,
    });
    finished.collect()
}

/// Reads a game day, and checks its channels, its scenarios and its draw. It is not compared with others yet.
fn draft(file: &Path, person: Option<&Person>, zones: &TimeZoneDatabase, now: Timestamp) -> Draft {
    let mut sink = Sink::default();
    let gameday = firedrill_gameday::read(file, zones, now, &mut sink);
    if let Some(gameday) = &gameday {
        channels_of(gameday, &mut sink);
    }
    let mut drills = Vec::new();
    for (index, drill) in gameday.iter().flat_map(|gameday| gameday.drills.iter().enumerate()) {
        let Some(gameday) = &gameday else { continue };
        let fleet = FleetSource::File(gameday.fleet.clone());
        let seed = Some(drill.seed.unwrap_or_else(|| next_seed(gameday, now)));
        let found = inspect_as(person, &drill.file, Some(&fleet), &drill.params, seed);
        let (errors, _) = found.report.counts();
        if errors > 0 {
            let message = format!("`{}` cannot be run as it is named here", drill.file.display());
            let label = format!("{errors} error{}", plural(errors));
            sink.push(Problem::error(message).at(gameday.place_of_scenario(index), label).help(
                "its errors are shown below; paths are relative to the folder that has the folder `gamedays`, or else to the game \
                 day's own",
            ));
        }
        if let (Some(monkey), Some(plan)) = (&gameday.monkey, &found.plan)
            && let Err(Undrawable { key, message, help }) = monkey.refuse(plan)
        {
            let place = gameday.place_of_monkey(key);
            sink.push(Problem::error(message).at(place, "nothing can be drawn").help(help));
        }
        drills.push(found);
    }
    // Variables and files of sources that this machine lacks are warnings only: game days may be started on another machine.
    for source in gameday.iter().flat_map(Gameday::sources) {
        refuse_lacking(&source, Severity::Warning, &mut sink);
    }
    Draft { gameday, sink, drills }
}

/// Returns the seed for the check of a scenario that has no seed in the game day: the seed of the next slot if the game day draws its
/// drill, else [`ANY_SEED`].
pub(super) fn next_seed(gameday: &Gameday, now: Timestamp) -> u64 {
    let next = gameday.monkey.as_ref().and_then(|_| gameday.schedule.upcoming(now).next());
    next.map_or(ANY_SEED, |slot| gameday.seed_of(&slot.civil_text()))
}

/// Checks the channels that a game day names.
fn channels_of(gameday: &Gameday, sink: &mut Sink) {
    if gameday.notify.is_empty() {
        return;
    }
    let Some(channels) = firedrill_notify::read(&gameday.channels, sink) else { return };
    let missing = gameday.notify.iter().enumerate().filter(|(_, name)| !channels.contains_key(*name));
    for (index, name) in missing {
        let message = format!("{} has no channel `{name}`", gameday.channels.display());
        let help = suggest(name, channels.keys().map(String::as_str), "channels");
        sink.push(Problem::error(message).at(gameday.place_of_channel(index), "not there").help(help));
    }
}

/// A problem between two game days.
struct Between {
    /// The problem, with its place in the file of the game day that it is reported for.
    problem: Problem,
    /// The index of the other game day.
    other: usize,
    /// The place in the other game day's file, and its label.
    place: Place,
    label: String,
}

impl Between {
    /// Adds the problem to those of the game day with the index `index`.
    fn add(self, drafts: &mut [Draft], index: usize) {
        let other = drafts.get(self.other).and_then(|draft| {
            let gameday = draft.gameday.as_ref()?;
            Some((gameday.file.display().to_string(), gameday.text.clone()))
        });
        let Some(draft) = drafts.get_mut(index) else { return };
        let also = match other {
            // A game day that overlaps itself: the problem's own place says all.
            Some(_) if self.other == index => None,
            Some((name, text)) => Some(Place { file: draft.sink.add_source(name, text), ..self.place }),
            None => None,
        };
        draft.sink.push(match also {
            Some(place) => self.problem.also(place, self.label),
            None => self.problem,
        });
    }
}

/// Finds game days with the name of an earlier one, whose slots could not be told apart. Returns the index of each, with the problem.
fn names(drafts: &[Draft]) -> Vec<(usize, Between)> {
    let mut known: BTreeMap<&str, (usize, &Gameday)> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        let Some(gameday) = &draft.gameday else { continue };
        match known.get(gameday.name.as_str()) {
            // The same file twice on the command line.
            Some((_, other)) if other.file == gameday.file => {}
            Some((other_index, other)) => {
                let message = format!("the name `{}` is that of another game day", gameday.name);
                let problem = Problem::error(message).at(gameday.place_of_name(), "again here").help(
                    "the name and the civil time identify a slot, so each game day needs a name of its own",
                );
                let (place, label) = (other.place_of_name(), "first here".to_owned());
                found.push((index, Between { problem, other: *other_index, place, label }));
            }
            None => _ = known.insert(&gameday.name, (index, gameday)),
        }
    }
    found
}

/// Finds game days that would touch the same hosts at the same time. Returns the index of the later of the two, with the problem.
fn compared(drafts: &[Draft], now: Timestamp) -> Vec<(usize, Between)> {
    let mut seen = HashSet::new();
    // `indexes[n]` is the draft of `occupied[n]`.
    let (mut indexes, mut occupied) = (Vec::new(), Vec::new());
    for (index, draft) in drafts.iter().enumerate() {
        let Some(gameday) = &draft.gameday else { continue };
        let plans = draft.drills.iter().filter(|drill| drill.plan.is_some()).count();
        // Without all plans the hosts and times are unknown. A second game day of the same name is an error already.
        if plans < gameday.drills.len() || !seen.insert(gameday.name.as_str()) {
            continue;
        }
        let fleet = gameday.fleet.canonicalize().unwrap_or_else(|_| gameday.fleet.clone());
        let lasts = signed(longest(&draft.drills));
        occupied.push(Occupied { gameday, fleet, hosts: may_touch(&draft.drills), lasts });
        indexes.push(index);
    }
    overlaps(&occupied, now).iter().map(|overlap| problem_of(overlap, &occupied, &indexes)).collect()
}

/// Returns the problem of an overlap, and the index of the game day that it is reported for: the one whose slot starts later.
fn problem_of(overlap: &Overlap, occupied: &[Occupied<'_>], indexes: &[usize]) -> (usize, Between) {
    let (first, second) = (&occupied[overlap.of.0], &occupied[overlap.of.1]);
    let (slot, next) = (&overlap.slots.0, &overlap.slots.1);
    let hosts = alike::names(&overlap.hosts);
    let lasts = Span(first.lasts.unsigned_abs());
    let is_itself = overlap.of.0 == overlap.of.1;
    let message = if is_itself {
        format!("`{}` may still run when it is due again, on {hosts}", first.gameday.name)
    } else {
        let (one, other) = (&first.gameday.name, &second.gameday.name);
        format!("`{one}` and `{other}` may touch the same hosts at the same time: {hosts}")
    };
    let problem = if overlap.is_fixed { Problem::error(message) } else { Problem::warning(message) };
    let starts = format!("starts {}", local(&next.starts()));
    let label = if is_itself {
        format!("starts {} and takes up to {lasts}, then {starts}", local(&slot.starts()))
    } else {
        starts
    };
    let help = if overlap.is_fixed {
        "both have this slot only: move one of them, or give it other hosts"
    } else {
        "move one of them, or give it other hosts; other slots were not compared beyond the first that overlap"
    };
    let problem = problem.at(second.gameday.place_of_schedule(), label).help(help);
    let label = format!("starts {} and takes up to {lasts}", local(&slot.starts()));
    let place = first.gameday.place_of_schedule();
    (indexes[overlap.of.1], Between { problem, other: indexes[overlap.of.0], place, label })
}

/// Returns all hosts that scenarios may touch.
pub(super) fn may_touch(drills: &[Inspection]) -> BTreeSet<String> {
    drills.iter().flat_map(|drill| drill.may_touch.iter().cloned()).collect()
}

/// Returns the longest time that scenarios may take one after another.
pub(super) fn longest(drills: &[Inspection]) -> Span {
    drills.iter().filter_map(|drill| drill.plan.as_ref()).map(print::longest).sum()
}

/// Returns the time that scenarios take one after another if the system settles at once after each attack.
pub(super) fn total(drills: &[Inspection]) -> Span {
    drills.iter().filter_map(|drill| drill.plan.as_ref()).map(print::total).sum()
}

/// Returns a length of time for arithmetic with moments.
pub(super) fn signed(span: Span) -> SignedDuration {
    SignedDuration::try_from(span.0).unwrap_or(SignedDuration::MAX)
}

/// Formats a local time: `Fri 2026-12-04 14:00 +01:00`, with seconds unless they are zero.
pub(super) fn local(at: &Zoned) -> String {
    format!("{} {} {}", at.strftime("%a %Y-%m-%d"), clock(at), at.strftime("%:z"))
}

/// Formats a time of day: `14:00`, with seconds unless they are zero.
pub(super) fn clock(at: &Zoned) -> String {
    at.strftime(if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string()
}

impl Day {
    /// Whether there are errors, also in its scenarios and its fleet.
    pub(super) fn failed(&self) -> bool {
        self.reports().any(Report::failed)
    }

    /// Returns its report, and those of its scenarios with their fleet.
    pub(super) fn reports(&self) -> impl Iterator<Item = &Report> {
        std::iter::once(&self.report).chain(self.drills.iter().map(|drill| &drill.report))
    }

    /// Returns the numbers of errors and warnings, also of its scenarios and its fleet.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.reports().map(Report::counts).fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    }

    /// Formats the problems for people, in colours. Reports whose text is in `told` are left out, and the others are added to it: game days
    /// share scenarios and fleets, whose problems are shown once.
    pub(super) fn render(&self, told: &mut HashSet<String>) -> String {
        self.rendered(true, told)
    }

    /// As [`Self::render`], without colours.
    pub(super) fn plain(&self, told: &mut HashSet<String>) -> String {
        self.rendered(false, told)
    }

    fn rendered(&self, coloured: bool, told: &mut HashSet<String>) -> String {
        self.reports()
            .map(|report| report.render(coloured, WIDTH))
            .filter(|text| told.insert(text.clone()))
            .collect()
    }

    /// Returns the problems for machines, each once.
    pub(super) fn items(&self) -> Vec<JsonProblem> {
        let mut items = self.report.items();
        for item in self.drills.iter().flat_map(|drill| drill.report.items()) {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        items
    }
}
