//! The scenarios and fleets that a control room shows: their files, their checks and plans, and the last answers of hosts. Asks hosts only
//! when a person wants it.

mod asked;
mod cached;
mod checked;
mod known;
mod preview;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use firedrill_room::{
    Check, FleetFacts, FleetRow, Fleets, HostRow, Inventory, Later, ParamRow, ScenarioFacts, ScenarioRow,
    Scenarios, TextFile,
};
use firedrill_wire::hide::HIDDEN;
use jiff::Timestamp;
use tokio::time::timeout;

pub(in crate::cli) use self::known::FOLDER;
use self::{
    asked::AllAsked,
    cached::{Cached, Made, WRONG},
    checked::{Against, Checked, Checks, Plans, check, choices, told, used_by},
    known::{FleetFile, Folders, Known, Scenario},
};
use crate::{
    cli::{args::IdentityArgs, hosts::reachable},
    diagnostic::Sink,
    fleet::{Fleet, FleetSource},
    link::Identity,
    plan::model::Host,
};

/// The longest time for which a request to ask hosts waits for their answers. The hosts go on being asked afterwards.
const PATIENCE: Duration = Duration::from_secs(8);

/// The scenarios and fleets of a control room. The content is shared with threads that outlive a request.
#[derive(Debug)]
pub(super) struct Stock(Arc<Shelf>);

/// The content of a [`Stock`].
#[derive(Debug)]
struct Shelf {
    folders: Folders,
    checks: Checks,
    plans: Plans,
    fleets: Cached<PathBuf, Read>,
    asked: AllAsked,
    /// The certificate with which hosts are asked, or the reason why they are not.
    identity: Result<IdentityArgs, String>,
}

/// A fleet that was read.
#[derive(Debug)]
struct Read {
    hosts: Vec<Host>,
    /// Entries that cannot be asked, each with the reason.
    wrong: Vec<(String, String)>,
    /// The number of errors in the file.
    errors: usize,
    /// The problems, formatted for people.
    told: String,
}

impl Stock {
    /// Creates a stock of the scenarios and fleets in folders of game days and scenarios. Reads nothing yet. `identity` is the certificate to
    /// ask hosts with, or the reason why they are not asked.
    pub(super) fn of(gamedays: &Path, scenarios: &[PathBuf], identity: Result<IdentityArgs, String>) -> Self {
        Self(Arc::new(Shelf {
            folders: Folders::of(gamedays, scenarios),
            checks: Checks::default(),
            plans: Plans::default(),
            fleets: Cached::default(),
            asked: AllAsked::default(),
            identity,
        }))
    }
}

impl Shelf {
    /// Returns the check of a scenario against a fleet, parameters and seed; with `whole` also its plan and texts. Both are cached.
    fn check(&self, scenario: &Scenario, against: &Against, whole: bool) -> Arc<Checked> {
        let key = (scenario.path.clone(), against.clone());
        let make = || check(&scenario.path, against, whole);
        if whole { self.plans.get(key, make) } else { self.checks.get(key, make) }
    }

    /// Returns the row of a scenario, with its checks for all game days that name it in one; without a fleet if no game day names it.
    fn row(&self, scenario: &Scenario, now: Timestamp) -> ScenarioRow {
        let mut against = used_by(scenario, now);
        if against.is_empty() {
            against.push(Against::default());
        }
        let results: Vec<_> = against.iter().map(|against| self.check(scenario, against, false)).collect();
        let most =
            |count: fn(&Check) -> usize| results.iter().map(|result| count(&result.check)).max().unwrap_or(0);
        let told: BTreeSet<&str> = results.iter().map(|result| result.check.told.as_str()).collect();
        let first = results.first();
        let check = Check {
            partly: results.iter().any(|result| result.check.partly),
            errors: most(|check| check.errors),
            warnings: most(|check| check.warnings),
            told: told.into_iter().collect(),
            summary: first.map(|result| result.check.summary.clone()).unwrap_or_default(),
        };
        let name = first.map(|result| result.outline.name.clone()).unwrap_or_default();
        row(scenario, name, check)
    }

    /// Returns a fleet as it was read last; reads it anew if its file has changed.
    fn read(&self, fleet: &FleetFile) -> Arc<Read> {
        self.fleets.get(fleet.path.clone(), || read(&fleet.path))
    }

    /// Returns the row of a fleet.
    fn fleet_row(&self, fleet: &FleetFile) -> FleetRow {
        let read = self.read(fleet);
        let values_of = |label: &str| {
            let values = read.hosts.iter().filter_map(|host| host.labels.get(label).cloned());
            values.collect::<BTreeSet<String>>().into_iter().collect()
        };
        let roles: BTreeSet<&String> = read.hosts.iter().flat_map(|host| &host.roles).collect();
        FleetRow {
            id: fleet.id.clone(),
            file: fleet.path.display().to_string(),
            gamedays: fleet.gamedays.clone(),
            hosts: read.hosts.len() + read.wrong.len(),
            providers: values_of("provider"),
            roles: roles.into_iter().cloned().collect(),
            errors: read.errors,
            told: read.told.clone(),
            asked: self.asked.last(&fleet.path),
        }
    }

    /// Returns the fleet with this id; `None` if there is none, or if no game day names it.
    fn find(&self, id: &str) -> Option<FleetFile> {
        let fleets = self.folders.look().fleets;
        fleets.into_iter().find(|fleet| fleet.id == id && !fleet.gamedays.is_empty())
    }

    /// Returns what is needed to ask the hosts of a fleet: the fleet's file, its hosts, and the certificate. The error is the reason why they
    /// cannot be asked.
    fn to_ask(&self, id: &str) -> Result<(PathBuf, Vec<Host>, Identity), String> {
        let identity = self.identity.as_ref().map_err(Clone::clone)?;
        let fleet = self.find(id).ok_or("there is no such fleet")?;
        let hosts = self.read(&fleet).hosts.clone();
        if hosts.is_empty() {
            return Err("no entry of the fleet is a valid host".to_owned());
        }
        Ok((fleet.path, hosts, identity.load().map_err(|failure| failure.to_string())?))
    }
}

/// Returns the texts of a scenario's files; none if it has errors.
fn files(checked: &Checked) -> Vec<TextFile> {
    if checked.check.errors > 0 { Vec::new() } else { checked.files.clone() }
}

/// Returns the row of a scenario with this name and check.
fn row(scenario: &Scenario, name: String, check: Check) -> ScenarioRow {
    let mut gamedays: Vec<String> = scenario.used.iter().map(|(gameday, _)| gameday.name.clone()).collect();
    gamedays.dedup();
    let file = scenario.path.display().to_string();
    ScenarioRow { id: scenario.id.clone(), file, name, gamedays, check }
}

/// Reads a fleet's file, with all entries that are valid.
fn read(path: &Path) -> Made<Read> {
    let mut sink = Sink::default();
    let fleet = Fleet::salvage(&FleetSource::File(path.to_owned()), &mut sink).unwrap_or_default();
    let report = sink.into_report();
    let mut hosts = fleet.hosts;
    let (more, wrong) = reachable(fleet.wrong);
    hosts.extend(more);
    let (errors, _) = report.counts();
    let value = Read { hosts, wrong, errors, told: told(&report) };
    Made { value, files: vec![path.to_owned()], fresh: (errors > 0).then_some(WRONG) }
}

impl Inventory for Stock {
    fn scenarios(&self) -> Scenarios {
        let Known { scenarios, problems, .. } = self.0.folders.look();
        let now = Timestamp::now();
        let all = scenarios.iter().map(|scenario| self.0.row(scenario, now)).collect();
        Scenarios { all, problems: problems.join("\n") }
    }

    fn scenario(&self, id: &str, choice: Option<&str>) -> Option<Arc<ScenarioFacts>> {
        let known = self.0.folders.look();
        let scenario = known.scenarios.into_iter().find(|scenario| scenario.id == id)?;
        let with_against = choices(&scenario, &known.fleets, Timestamp::now());
        let place = match choice {
            Some(wanted) => Some(with_against.iter().position(|(choice, _)| choice.id == wanted)?),
            None => (!with_against.is_empty()).then_some(0),
        };
        let against = place.map(|place| with_against[place].1.clone()).unwrap_or_default();
        let choices: Vec<_> = with_against.into_iter().map(|(choice, _)| choice).collect();
        let checked = self.0.check(&scenario, &against, true);
        // Texts are shown only without errors. They come from a check without the fleet, so that errors about the fleet do not hide them.
        let alone = Against { params: against.params.clone(), ..Against::default() };
        let texts = self.0.check(&scenario, &alone, true);
        let given = |name: &str| {
            // Only a plan tells which values are secrets. Without one, all values are hidden.
            let shown = checked.values.get(name).map_or(HIDDEN, String::as_str);
            against.params.iter().any(|(given, _)| given == name).then(|| shown.to_owned())
        };
        let params = checked.outline.params.iter().map(|param| ParamRow {
            name: param.name.clone(),
            kind: param.kind.to_owned(),
            default: param.default.clone(),
            given: given(&param.name),
            about: param.about.clone(),
        });
        Some(Arc::new(ScenarioFacts {
            row: row(&scenario, checked.outline.name.clone(), checked.check.clone()),
            hypothesis: checked.outline.hypothesis.clone(),
            files: files(&texts),
            params: params.collect(),
            objectives: checked.outline.objectives.clone(),
            chosen: place.and_then(|place| choices.get(place).cloned()),
            choices,
            preview: checked.preview.clone(),
        }))
    }

    fn fleets(&self) -> Fleets {
        let Known { fleets, problems, .. } = self.0.folders.look();
        let named = fleets.iter().filter(|fleet| !fleet.gamedays.is_empty());
        Fleets { all: named.map(|fleet| self.0.fleet_row(fleet)).collect(), problems: problems.join("\n") }
    }

    fn fleet(&self, id: &str) -> Option<FleetFacts> {
        let fleet = self.0.find(id)?;
        let read = self.0.read(&fleet);
        let known = self.0.asked.known(&fleet.path, &read.hosts);
        let wrong = read.wrong.iter().map(|(name, why)| HostRow {
            name: name.clone(),
            known: Some(firedrill_room::Known { unknown: Some(why.clone()), ..Default::default() }),
            ..HostRow::default()
        });
        let hosts = read.hosts.iter().zip(known).map(|(host, known)| HostRow {
            name: host.name.clone(),
            addresses: host.addresses.iter().map(ToString::to_string).collect(),
            labels: host.labels.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            roles: host.roles.clone(),
            known,
        });
        Some(FleetFacts {
            hosts: hosts.chain(wrong).collect(),
            row: self.0.fleet_row(&fleet),
            unasked: self.0.identity.as_ref().err().cloned(),
        })
    }

    fn ask<'a>(&'a self, id: &'a str, by: &'a str) -> Later<'a, Result<String, String>> {
        Box::pin(async move {
            let (shelf, id) = (Arc::clone(&self.0), id.to_owned());
            let found = tokio::task::spawn_blocking(move || shelf.to_ask(&id)).await;
            let (fleet, hosts, identity) = found.map_err(|error| error.to_string())??;
            if let Some(task) = self.0.asked.ask(&fleet, hosts, Arc::new(identity), by) {
                // After the timeout the task goes on, and the page shows its progress.
                let _late = timeout(PATIENCE, task).await;
            }
            let last = self.0.asked.last(&fleet).unwrap_or_default();
            let answered = format!("{} of {} hosts answered", last.answered, last.of);
            Ok(if last.goes_on {
                let open = last.of - last.answered;
                format!("{answered} so far, {open} are still being asked or did not")
            } else {
                format!("{answered}, {} did not", last.unknown)
            })
        })
    }
}
