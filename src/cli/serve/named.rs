//! Reads the game days of a folder that can be started: those without errors, whose name no other file has. Starts none.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use firedrill_gameday::Gameday;
use jiff::{Timestamp, tz::TimeZoneDatabase};

use crate::cli::{calendar::found, days, failure::Result};

/// The game days of a folder.
pub(super) struct Named {
    /// The game days without errors whose name no other file has.
    pub(super) all: Vec<Gameday>,
    /// The files with errors.
    pub(super) failed: Vec<PathBuf>,
    /// The files without errors whose game days have the same name, by that name.
    pub(super) same: BTreeMap<String, Vec<PathBuf>>,
}

impl Named {
    /// Reads the game days of a folder.
    pub(super) fn of(folder: &Path, zones: &TimeZoneDatabase, now: Timestamp) -> Result<Self> {
        let mut failed = Vec::new();
        let mut by_name: BTreeMap<String, Vec<Gameday>> = BTreeMap::new();
        for file in found(&[folder.to_owned()])? {
            let (gameday, report) = days::read(&file, zones, now);
            match gameday.filter(|_| !report.failed()) {
                Some(gameday) => by_name.entry(gameday.name.clone()).or_default().push(gameday),
                None => failed.push(file),
            }
        }
        let (own, same): (BTreeMap<_, _>, BTreeMap<_, _>) =
            by_name.into_iter().partition(|(_, gamedays)| gamedays.len() == 1);
        let files = |gamedays: Vec<Gameday>| gamedays.into_iter().map(|gameday| gameday.file).collect();
        Ok(Self {
            all: own.into_values().flatten().collect(),
            failed,
            same: same.into_iter().map(|(name, gamedays)| (name, files(gamedays))).collect(),
        })
    }
}

/// Describes the problem of files whose game days have the same name.
pub(super) fn told(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let none = if files.len() == 2 { "neither" } else { "none of them" };
    format!("{} have the same name, so {none} is started", files.join(" and "))
}
