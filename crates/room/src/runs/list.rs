//! The list of runs, from the index over their folders. The index is brought up to date when a page asks and something may have changed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use firedrill_history::{Entry, Filter, History, HistoryError};

/// Time for which the index is taken as it is while no folder comes or goes.
const FRESH: Duration = Duration::from_secs(5);
/// Number of the newest runs among which those that go on are looked for.
const NEWEST: usize = 200;

/// The runs of a directory.
#[derive(Debug)]
pub(crate) struct Runs {
    reports: PathBuf,
    index: Mutex<Option<Index>>,
    begun: fn(usize),
}

#[derive(Debug)]
struct Index {
    history: History,
    at: Instant,
    changed: Option<SystemTime>,
}

/// Some runs of many.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The runs, the newest first; one more than were asked for if there are more.
    pub(crate) entries: Vec<Entry>,
    /// Number of all folders.
    pub(crate) folders: usize,
    /// Number of folders that cannot be read as runs.
    pub(crate) damaged: usize,
}

impl Runs {
    /// The runs in a directory, which may be made later. `begun` is told the number of logs before they are read.
    pub(crate) fn of(reports: &Path, begun: fn(usize)) -> Self {
        Self { reports: reports.to_owned(), index: Mutex::new(None), begun }
    }

    /// Returns the directory.
    pub(crate) fn reports(&self) -> &Path {
        &self.reports
    }

    /// Returns the runs that pass a filter.
    ///
    /// # Errors
    /// The directory cannot be listed, or its index cannot be used.
    pub(crate) fn page(&self, filter: &Filter) -> Result<Page, HistoryError> {
        self.with(|history| {
            let (folders, damaged) = history.count()?;
            Ok(Page { entries: history.runs(filter)?, folders, damaged })
        })
    }

    /// Returns the runs that go on, among the newest.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub(crate) fn going_on(&self) -> Result<Vec<Entry>, HistoryError> {
        let filter = Filter { limit: Some(NEWEST), ..Filter::default() };
        let mut entries = self.with(|history| history.runs(&filter))?;
        entries.retain(|entry| entry.is_running(&self.reports));
        Ok(entries)
    }

    /// Uses the history, up to date. Without a directory there are no runs.
    pub(crate) fn with<T: Default>(
        &self,
        ask: impl FnOnce(&mut History) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let Ok(folder) = fs::metadata(&self.reports) else { return Ok(T::default()) };
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = folder.modified().ok();
        if let Some(index) = index.as_mut() {
            if index.at.elapsed() > FRESH || index.changed != changed {
                index.history.refresh()?;
                (index.at, index.changed) = (Instant::now(), changed);
            }
            return ask(&mut index.history);
        }
        let history = History::open(&self.reports, self.begun)?;
        ask(&mut index.insert(Index { history, at: Instant::now(), changed }).history)
    }
}
