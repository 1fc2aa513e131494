//! The result of the check of one file: what the file is, and its problems.

use std::{collections::HashSet, path::Path};

use firedrill_notify::is_channels;
use firedrill_wire::identity::Person;

use crate::{
    cli::days::{Day, WIDTH},
    diagnostic::{JsonProblem, Report, Sink},
    fleet::{Fleet, FleetSource, is_fleet},
    plan::{Inspection, inspect_as},
};

/// The result of one file's check.
pub(super) enum Found {
    Scenario(Box<Inspection>),
    Fleet { hosts: Vec<String>, report: Report },
    Gameday(Box<Day>),
    Channels { names: Vec<String>, report: Report },
}

impl Found {
    /// Checks a scenario, a fleet, or a file of channels.
    pub(super) fn of(
        file: &Path,
        fleet: Option<&FleetSource>,
        person: Option<&Person>,
        params: &[(String, String)],
        seed: u64,
    ) -> Self {
        if is_channels(file) {
            let mut sink = Sink::default();
            let names = firedrill_notify::read(file, &mut sink).into_iter().flatten().map(|(name, _)| name);
            return Self::Channels { names: names.collect(), report: sink.into_report() };
        }
        if !is_fleet(file) {
            let found = inspect_as(person, file, fleet, params, Some(seed));
            return Self::Scenario(Box::new(found));
        }
        let mut sink = Sink::default();
        let read = Fleet::load(&FleetSource::File(file.to_owned()), &mut sink);
        let hosts = read.into_iter().flat_map(|fleet| fleet.hosts).map(|host| host.name).collect();
        Self::Fleet { hosts, report: sink.into_report() }
    }

    /// Formats the problems for people. A scenario that several game days name is shown once: `told` has the texts that were shown.
    pub(super) fn render(&self, told: &mut HashSet<String>) -> String {
        match self {
            Self::Scenario(found) => found.report.render(true, WIDTH),
            Self::Fleet { report, .. } | Self::Channels { report, .. } => report.render(true, WIDTH),
            Self::Gameday(day) => day.render(told),
        }
    }

    /// Whether there are errors.
    pub(super) fn failed(&self) -> bool {
        self.counts().0 > 0
    }

    /// Returns the numbers of errors and warnings.
    pub(super) fn counts(&self) -> (usize, usize) {
        match self {
            Self::Scenario(found) => found.report.counts(),
            Self::Fleet { report, .. } | Self::Channels { report, .. } => report.counts(),
            Self::Gameday(day) => day.counts(),
        }
    }

    /// Returns the problems for machines.
    pub(super) fn items(&self) -> Vec<JsonProblem> {
        match self {
            Self::Scenario(found) => found.report.items(),
            Self::Fleet { report, .. } | Self::Channels { report, .. } => report.items(),
            Self::Gameday(day) => day.items(),
        }
    }
}
