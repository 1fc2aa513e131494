//! Checks scenarios for the pages of a control room, each with the fleet and the values of a game day, with a fleet, or without one. Asks
//! no host.

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

/// The fleet and the values with which a scenario is checked. Without a fleet the check is partial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Against {
    pub(super) fleet: Option<PathBuf>,
    pub(super) params: Vec<(String, String)>,
    pub(super) seed: u64,
    /// Whether each run has a new random seed; `seed` is then only an example.
    pub(super) any_seed: bool,
    /// Number of attacks that the game day draws from the scenario; `None` runs all of them.
    pub(super) draws: Option<usize>,
}

/// A scenario that was checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) outline: Outline,
    pub(super) check: Check,
    /// The values of parameters, with secrets hidden; empty without a plan.
    pub(super) values: BTreeMap<String, String>,
    /// The texts of its files, without the fleet's file; empty unless the check was for a single page (`whole`).
    pub(super) files: Vec<TextFile>,
    /// The plan in words; `None` unless the check was for a single page, or if the scenario has errors.
    pub(super) preview: Option<Preview>,
}

/// Checks for the list of scenarios, without plans and texts, by the file and the values of the check.
pub(super) type Checks = Cached<(PathBuf, Against), Checked>;
/// As [`Checks`], but with plans and texts. They may be large, so fewer are kept.
pub(super) type Plans = Cached<(PathBuf, Against), Checked, 50>;

/// Returns the fleet and the values that each game day of a scenario uses.
pub(super) fn used_by(scenario: &Scenario, now: Timestamp) -> Vec<Against> {
    let against = |(gameday, index): &(std::sync::Arc<firedrill_gameday::Gameday>, usize)| {
        let drill = gameday.drills.get(*index)?;
        Some(Against {
            fleet: Some(gameday.fleet.clone()),
            params: drill.params.clone(),
            seed: drill.seed.unwrap_or_else(|| next_seed(gameday, now)),
            any_seed: drill.seed.is_none(),
            draws: gameday.monkey.as_ref().map(|monkey| monkey.attacks),
        })
    };
    scenario.used.iter().filter_map(against).collect()
}

/// Returns the game days and fleets that a page offers to plan a scenario for, each with the values of the check.
pub(super) fn choices(scenario: &Scenario, fleets: &[FleetFile], now: Timestamp) -> Vec<(Choice, Against)> {
    let mut seen = BTreeSet::new();
    let of_gamedays = scenario.used.iter().zip(used_by(scenario, now)).map(|((gameday, index), against)| {
        // A game day that runs the scenario several times is offered once for each.
        let which = if seen.insert(gameday.name.clone()) {
            String::new()
        } else {
            format!(", its scenario {}", index + 1)
        };
        let label = format!("game day {}{which} ({})", gameday.name, gameday.fleet.display());
        (Choice { id: format!("{}-{index}", id(&gameday.file)), label }, against)
    });
    let mut choices: Vec<_> = of_gamedays.collect();
    choices.extend(fleets.iter().map(|fleet| {
        let against =
            Against { fleet: Some(fleet.path.clone()), seed: ANY_SEED, any_seed: true, ..Against::default() };
        (Choice { id: fleet.id.clone(), label: format!("fleet {}", fleet.path.display()) }, against)
    }));
    choices
}

/// Checks a scenario. With `whole` its texts and its plan are part of the result.
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
    let texts = found.report.files().filter(|(name, _)| fleet.as_deref() != Some(*name));
    let texts = texts.map(|(name, text)| TextFile { file: name.to_owned(), text: clean_lines(text) });
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
        files: if whole { texts.collect() } else { Vec::new() },
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

/// Formats the problems of files as in a terminal, but without colours.
pub(super) fn told(report: &Report) -> String {
    report.render(false, WIDTH)
}
