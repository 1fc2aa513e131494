//! Scenarios as they were checked, each against a game day, a fleet, or neither.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use firedrill_room::{Check, Choice, Preview, TextFile};
use firedrill_wire::text::clean_lines;
use jiff::Timestamp;

use super::{
    cached::{Cached, Made, WRONG},
    known::{FleetFile, Scenario, id},
    preview::preview,
};
use crate::{
    cli::days::{ANY_SEED, WIDTH, next_seed},
    diagnostic::Report,
    fleet::FleetSource,
    plan::{Outline, inspect_as, print},
};

/// The fleet and the values with which a scenario is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Against {
    pub(super) fleet: Option<PathBuf>,
    pub(super) params: Vec<(String, String)>,
    pub(super) seed: u64,
    /// Whether each run draws another seed.
    pub(super) any_seed: bool,
    /// Number of attacks that the game day draws from the scenario; `None` runs all of them.
    pub(super) draws: Option<usize>,
}

/// A scenario that was checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) outline: Outline,
    pub(super) check: Check,
    /// The values of parameters, secrets covered; empty without a plan.
    pub(super) values: BTreeMap<String, String>,
    /// Its files, without that of the fleet; empty unless its plan was wanted.
    pub(super) files: Vec<TextFile>,
    /// Its plan; `None` unless it was wanted.
    pub(super) preview: Option<Preview>,
}

/// Scenarios without plans, by their files and what they were checked against.
pub(super) type Checks = Cached<(PathBuf, Against), Checked>;
/// As [`Checks`], with their plans and texts, which may be large.
pub(super) type Plans = Cached<(PathBuf, Against), Checked, 50>;

/// Returns the fleets and values with which a scenario is checked in the list: those of each of its game days.
pub(super) fn used_by(scenario: &Scenario, now: Timestamp) -> Vec<Against> {
    let of = |(gameday, index): &(std::sync::Arc<firedrill_gameday::Gameday>, usize)| {
        let drill = gameday.drills.get(*index)?;
        Some(Against {
            fleet: Some(gameday.fleet.clone()),
            params: drill.params.clone(),
            seed: drill.seed.unwrap_or_else(|| next_seed(gameday, now)),
            any_seed: drill.seed.is_none(),
            draws: gameday.monkey.as_ref().map(|monkey| monkey.attacks),
        })
    };
    scenario.used.iter().filter_map(of).collect()
}

/// Returns the game days and fleets that the plan of a scenario can be made for.
pub(super) fn choices(scenario: &Scenario, fleets: &[FleetFile], now: Timestamp) -> Vec<(Choice, Against)> {
    let mut seen = BTreeSet::new();
    let of_gamedays = scenario.used.iter().zip(used_by(scenario, now)).map(|((gameday, index), against)| {
        let own = if seen.insert(gameday.name.clone()) {
            String::new()
        } else {
            format!(", its scenario {}", index + 1)
        };
        let label = format!("game day {}{own} ({})", gameday.name, gameday.fleet.display());
        (Choice { id: format!("{}-{index}", id(&gameday.file)), label }, against)
    });
    let mut all: Vec<_> = of_gamedays.collect();
    all.extend(fleets.iter().map(|fleet| {
        let against =
            Against { fleet: Some(fleet.path.clone()), seed: ANY_SEED, any_seed: true, ..Against::default() };
        (Choice { id: fleet.id.clone(), label: format!("fleet {}", fleet.path.display()) }, against)
    }));
    all
}

/// Checks a scenario. With `whole` its texts and its plan are wanted, too.
pub(super) fn check(file: &Path, against: &Against, whole: bool) -> Made<Checked> {
    let fleet = against.fleet.clone().map(FleetSource::File);
    let found = inspect_as(None, file, fleet.as_ref(), &against.params, Some(against.seed));
    let (errors, warnings) = found.report.counts();
    let summary = match &found.plan {
        Some(plan) => print::summary(plan),
        None if found.unchecked.is_empty() => String::new(),
        None => format!("Not checked without a fleet: {}", found.unchecked.join("; ")),
    };
    let read: Vec<PathBuf> = found.report.files().map(|(name, _)| PathBuf::from(name)).collect();
    let fleet = against.fleet.as_ref().map(|fleet| fleet.display().to_string());
    let own = found.report.files().filter(|(name, _)| fleet.as_deref() != Some(*name));
    let own = own.map(|(name, text)| TextFile { file: name.to_owned(), text: clean_lines(text) });
    let value = Checked {
        outline: found.outline,
        check: Check {
            errors,
            warnings,
            partly: against.fleet.is_none(),
            told: told(&found.report),
            summary,
        },
        values: found.plan.as_ref().map(|plan| plan.params.clone()).unwrap_or_default(),
        files: if whole { own.collect() } else { Vec::new() },
        preview: found
            .plan
            .as_ref()
            .filter(|_| whole)
            .map(|plan| preview(plan, against.any_seed, against.draws)),
    };
    let named = [Some(file.to_owned()), against.fleet.clone()].into_iter().flatten();
    let files: BTreeSet<PathBuf> = named.chain(read).collect();
    Made { value, files: files.into_iter().collect(), fresh: (errors > 0).then_some(WRONG) }
}

/// Returns the problems of files as people see them in a terminal, without colours.
pub(super) fn told(report: &Report) -> String {
    report.render(false, WIDTH)
}
