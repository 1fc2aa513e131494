//! The list of runs, from the index over their folders. The index is brought up to date when a page asks and something may have changed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use firedrill_history::{Entry, Filter, History, HistoryError};

/// Time for which the index is taken as it is while no folder comes or goes. After it, runs without an end are looked at before an answer,
/// and all others after it: what has ended changes only when somebody collects it again.
const FRESH: Duration = Duration::from_secs(5);
/// Number of the newest runs among which those that go on are looked for.
const NEWEST: usize = 200;

/// The runs of a directory.
#[derive(Debug)]
pub(crate) struct Runs {
    reports: PathBuf,
    index: Arc<Mutex<Option<Index>>>,
    begun: fn(usize),
    fresh: Duration,
}

#[derive(Debug)]
struct Index {
    history: History,
    at: Instant,
    changed: Option<SystemTime>,
    /// Whether one of the newest runs has no end, so that its log may have grown.
    grows: bool,
}

impl Index {
    fn of(history: History, changed: Option<SystemTime>) -> Result<Self, HistoryError> {
        let mut index = Self { history, at: Instant::now(), changed, grows: true };
        index.look()?;
        Ok(index)
    }

    fn look(&mut self) -> Result<(), HistoryError> {
        let newest = self.history.runs(&Filter { limit: Some(NEWEST), ..Filter::default() })?;
        self.grows = newest.iter().any(|entry| !entry.ended);
        self.at = Instant::now();
        Ok(())
    }

    fn refresh(&mut self, changed: Option<SystemTime>) -> Result<(), HistoryError> {
        self.history.refresh()?;
        self.changed = changed;
        self.look()
    }
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
        Self { reports: reports.to_owned(), index: Arc::default(), begun, fresh: FRESH }
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
            let old = index.at.elapsed() > self.fresh;
            if index.changed != changed || old && index.grows {
                index.refresh(changed)?;
            } else if old {
                index.at = Instant::now();
                self.refresh_later(changed);
            }
            return ask(&mut index.history);
        }
        let history = History::open(&self.reports, self.begun)?;
        ask(&mut index.insert(Index::of(history, changed)?).history)
    }

    /// Brings the index up to date once its lock is free. What fails is told by the request after that.
    fn refresh_later(&self, changed: Option<SystemTime>) {
        let index = Arc::clone(&self.index);
        std::thread::spawn(move || {
            if let Some(index) = index.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                let _ = index.refresh(changed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use firedrill_judge::testing::Drill;

    use super::*;

    #[test]
    fn a_run_without_an_end_is_looked_at_before_each_answer() {
        let reports = tempfile::tempdir().unwrap();
        let folder = reports.path().join("20261120-1402-friday-7f3a");
        let lines: Vec<String> = Drill::good()
            .records()
            .iter()
            .map(|record| serde_json::to_string(record).unwrap() + "\n")
            .collect();
        fs::create_dir(&folder).unwrap();
        let mut log = fs::File::create(folder.join("events.jsonl")).unwrap();
        log.write_all(lines[..lines.len() - 1].concat().as_bytes()).unwrap();
        let runs = Runs { fresh: Duration::ZERO, ..Runs::of(reports.path(), |_| {}) };
        let ended = || runs.page(&Filter::default()).unwrap().entries[0].ended;
        assert!(!ended() && runs.going_on().unwrap().is_empty(), "nobody writes it");
        log.lock().unwrap();
        assert_eq!(runs.going_on().unwrap().len(), 1);
        log.write_all(lines[lines.len() - 1].as_bytes()).unwrap();
        log.unlock().unwrap();
        assert!(ended() && runs.going_on().unwrap().is_empty());
        // A folder that comes is seen at once, whatever else is in the directory.
        fs::create_dir(reports.path().join("another")).unwrap();
        assert_eq!(runs.page(&Filter::default()).unwrap().folders, 2);
    }
}
