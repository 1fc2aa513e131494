//! The list of runs as JSON for programs, which `firedrill history --json` prints and the control room's API returns.

use serde::{Deserialize, Serialize};

use crate::{
    entry::Entry,
    error::HistoryError,
    filter::{Filter, Shown},
    finding::State,
    index::History,
};

/// The version of the format.
const SCHEMA: u32 = 1;

/// Runs of a directory, with its damaged folders and open findings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// The version of the format: 1.
    pub schema: u32,
    /// Number of folders.
    pub folders: usize,
    /// All folders that cannot be read as runs.
    pub damaged: Vec<Damaged>,
    /// The runs that pass the filter, the newest first.
    pub runs: Vec<Listed>,
    /// The ids of open findings; only those of the filter's scenario, if it has one. `None` if findings cannot be read.
    pub open_findings: Option<Vec<String>>,
}

/// A folder that cannot be read as a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Damaged {
    /// The folder's name.
    pub folder: String,
    /// The reason.
    pub why: Option<String>,
}

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// The facts about it.
    #[serde(flatten)]
    pub entry: Entry,
    /// Whether it goes on.
    pub running: bool,
}

/// The listing of a directory that does not exist: no runs.
impl Default for Listing {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            folders: 0,
            damaged: Vec::new(),
            runs: Vec::new(),
            open_findings: Some(Vec::new()),
        }
    }
}

impl Listing {
    /// Lists the runs of a directory. The second value is the reason why findings cannot be read; `None` if they can.
    ///
    /// # Errors
    /// The index cannot be used.
    pub fn of(history: &mut History, filter: &Filter) -> Result<(Self, Option<HistoryError>), HistoryError> {
        let entries = history.runs(filter)?;
        let damaged = history.runs(&Filter { shown: Some(Shown::Damaged), ..Filter::default() })?;
        let (open_findings, why) = match history.findings() {
            Ok(findings) => {
                let asked = findings.all.into_iter().filter(|finding| {
                    finding.state == State::Open
                        && filter.scenario.as_ref().is_none_or(|name| *name == finding.scenario)
                });
                (Some(asked.map(|finding| finding.id).collect()), None)
            }
            Err(error) => (None, Some(error)),
        };
        let (folders, _) = history.count()?;
        let listed = |entry: Entry| Listed { running: entry.is_running(history.reports()), entry };
        let runs = entries.into_iter().map(listed).collect();
        let damaged = damaged.into_iter().map(|entry| Damaged { folder: entry.folder, why: entry.damage });
        Ok((Self { schema: SCHEMA, folders, damaged: damaged.collect(), runs, open_findings }, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sample, sample};

    #[test]
    fn a_listing_is_read_back_as_it_was_written() {
        let reports = tempfile::tempdir().unwrap();
        sample(&reports.path().join("one"), &Sample { bad: 40, ..Sample::default() });
        sample(&reports.path().join("two"), &Sample::default());
        std::fs::create_dir(reports.path().join("three")).unwrap();
        let mut history = History::open(reports.path(), |_| {}).unwrap();
        let (listing, why) =
            Listing::of(&mut history, &Filter { limit: Some(2), ..Filter::default() }).unwrap();
        assert!(why.is_none() && listing.runs.len() == 2 && listing.folders == 3, "{listing:?}");
        assert_eq!(listing.damaged[0].folder, "three");
        assert_eq!(listing.open_findings.as_ref().map(Vec::len), Some(1));
        let text = serde_json::to_string(&listing).unwrap();
        let read: Listing = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(read.runs.iter().any(|listed| listed.entry.times.recovered_us.is_some()), "{text}");
        let other = Filter { scenario: Some("other".to_owned()), ..Filter::default() };
        let (listing, _) = Listing::of(&mut history, &other).unwrap();
        assert!(listing.runs.is_empty() && listing.open_findings == Some(Vec::new()));
    }
}
