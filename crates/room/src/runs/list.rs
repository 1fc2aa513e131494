//! The list of runs, read from the index over their folders. A request brings the index up to date first if something may have changed.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use firedrill_history::{Entry, Filter, History, HistoryError};
use firedrill_judge::log::is_written;

use super::folder::{LOG, find};

/// Time after a refresh for which the index is fresh. A stale index is refreshed before the answer if one of the newest runs has no end. Otherwise it is
/// refreshed after the answer, because runs that have ended change only when a person collects their logs again. Once a folder has come or gone, or a run
/// has ended, even a fresh index is refreshed before the answer.
const FRESH: Duration = Duration::from_secs(5);
/// The runs that go on are searched among this number of the newest runs.
const NEWEST: usize = 200;

/// The runs of a directory.
#[derive(Debug)]
pub(crate) struct Runs {
    reports: PathBuf,
    index: Arc<Mutex<Option<Index>>>,
    /// Called with the number of logs before they are read.
    begun: fn(usize),
    /// [`FRESH`], or another time in tests.
    fresh: Duration,
}

/// The open index, with what is known of its age.
#[derive(Debug)]
struct Index {
    history: History,
    /// The time of the last refresh, or that at which one was begun in a thread.
    at: Instant,
    /// The directory's modification time at the last refresh.
    changed: Option<SystemTime>,
    /// Among the newest runs without an end: the logs that a program was writing at the last refresh.
    going_on: Vec<PathBuf>,
    /// Among the newest runs without an end: the logs that no program was writing. They may still grow, because a person may complete them.
    dead: HashSet<PathBuf>,
}

impl Index {
    fn of(history: History, changed: Option<SystemTime>) -> Result<Self, HistoryError> {
        let (going_on, dead) = (Vec::new(), HashSet::new());
        let mut index = Self { history, at: Instant::now(), changed, going_on, dead };
        index.find_open()?;
        Ok(index)
    }

    /// Returns true if one of the newest runs has no end. Its log may have grown.
    fn grows(&self) -> bool {
        !self.going_on.is_empty() || !self.dead.is_empty()
    }

    /// Returns true if a run that went on at the last refresh has ended or lost its program since.
    fn is_behind(&self) -> bool {
        self.going_on.iter().any(|log| !is_written(log))
    }

    /// Finds the runs without an end. If one of them has newly lost its program, its end may have been written after the index read
    /// its log. So the index is refreshed once more.
    fn find_open(&mut self) -> Result<(), HistoryError> {
        let before = std::mem::take(&mut self.dead);
        self.sort_open()?;
        if !self.dead.is_subset(&before) {
            self.history.refresh()?;
            self.sort_open()?;
        }
        self.at = Instant::now();
        Ok(())
    }

    /// Sorts the newest runs without an end into `going_on` and `dead`.
    fn sort_open(&mut self) -> Result<(), HistoryError> {
        let newest = self.history.runs(&Filter { limit: Some(NEWEST), ..Filter::default() })?;
        let reports = self.history.reports();
        let open = newest.iter().filter(|entry| !entry.ended);
        let (going_on, dead): (Vec<PathBuf>, Vec<PathBuf>) =
            open.map(|entry| reports.join(&entry.folder).join(LOG)).partition(|log| is_written(log));
        (self.going_on, self.dead) = (going_on, dead.into_iter().collect());
        Ok(())
    }

    /// Brings the index up to date. `changed` is the directory's modification time before the refresh.
    fn refresh(&mut self, changed: Option<SystemTime>) -> Result<(), HistoryError> {
        let before = count(self.history.reports());
        self.history.refresh()?;
        self.find_open()?;
        // The index lies in the directory of runs, so a refresh that writes it changes the directory's modification time. If no folder came or
        // went, only the refresh has changed that time, and the new time is kept. Otherwise the old one is kept, so the next request looks again.
        let unchanged = before.is_some() && count(self.history.reports()) == before;
        self.changed = if unchanged { changed_at(self.history.reports()) } else { changed };
        Ok(())
    }
}

/// Returns the number of files and folders in a directory that are not hidden; `None` if it cannot be read.
fn count(reports: &Path) -> Option<usize> {
    let entries = fs::read_dir(reports).ok()?.flatten();
    Some(entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")).count())
}

/// Returns the modification time of a directory: the last time at which a file or folder in it was made, renamed or removed.
fn changed_at(reports: &Path) -> Option<SystemTime> {
    fs::metadata(reports).ok()?.modified().ok()
}

/// A part of the list of runs.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The runs that pass the filter, the newest first.
    pub(crate) entries: Vec<Entry>,
    /// Number of all folders.
    pub(crate) folders: usize,
    /// Number of folders that cannot be read as runs.
    pub(crate) damaged: usize,
}

impl Runs {
    /// Makes a list for a directory, which need not exist yet. `begun` is called with the number of logs before they are read.
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

    /// Returns the runs that go on, among the newest, each with its log.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub(crate) fn going_on(&self) -> Result<Vec<(Entry, PathBuf)>, HistoryError> {
        let filter = Filter { limit: Some(NEWEST), ..Filter::default() };
        let entries = self.with(|history| history.runs(&filter))?.into_iter();
        let going_on = entries.filter(|entry| entry.is_running(&self.reports)).filter_map(|entry| {
            let log = find(&self.reports, &entry.folder)?.join(LOG);
            Some((entry, log))
        });
        Ok(going_on.collect())
    }

    /// Calls `ask` with the history. Before that, the index is brought up to date if [`FRESH`] asks for it. If the directory does not exist, `ask` is not
    /// called, and the default value is returned, as for no runs.
    ///
    /// # Errors
    /// As [`Self::page`], and those of `ask`.
    pub(crate) fn with<T: Default>(
        &self,
        ask: impl FnOnce(&mut History) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let folder = match fs::metadata(&self.reports) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            Err(source) => return Err(HistoryError::List { path: self.reports.clone(), source }),
        };
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = folder.modified().ok();
        if let Some(index) = index.as_mut() {
            let is_stale = index.at.elapsed() > self.fresh;
            if index.changed != changed || index.is_behind() || is_stale && index.grows() {
                index.refresh(changed)?;
            } else if is_stale {
                // The time is set now, so that other requests do not start a refresh, too.
                index.at = Instant::now();
                drop(self.refresh_later(changed));
            }
            return ask(&mut index.history);
        }
        let history = History::open(&self.reports, self.begun)?;
        ask(&mut index.insert(Index::of(history, changed)?).history)
    }

    /// Brings the index up to date in a thread, once the index's lock is free. After a failure the next request refreshes it before its answer, and
    /// returns the error.
    fn refresh_later(&self, changed: Option<SystemTime>) -> JoinHandle<()> {
        let index = Arc::clone(&self.index);
        std::thread::spawn(move || {
            if let Some(index) = index.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
                && index.refresh(changed).is_err()
            {
                index.changed = None;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use firedrill_judge::testing::Drill;

    use super::*;

    /// Writes a run without its last record. Returns its log, and that record.
    fn half_a_run(reports: &Path) -> (fs::File, String) {
        let records = Drill::good().records();
        let mut lines: Vec<String> =
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        let last = lines.pop().unwrap();
        let folder = reports.join("20261120-1402-friday-7f3a");
        fs::create_dir(&folder).unwrap();
        let mut log = fs::File::create(folder.join(LOG)).unwrap();
        log.write_all(lines.concat().as_bytes()).unwrap();
        (log, last)
    }

    #[test]
    fn the_end_of_a_run_is_seen_at_once() {
        let reports = tempfile::tempdir().unwrap();
        let (mut log, last) = half_a_run(reports.path());
        let runs = Runs { fresh: Duration::MAX, ..Runs::of(reports.path(), |_| {}) };
        let ended = || runs.page(&Filter::default()).unwrap().entries[0].ended;
        log.lock().unwrap();
        assert!(!ended());
        log.write_all(last.as_bytes()).unwrap();
        log.unlock().unwrap();
        assert!(ended());
    }

    #[test]
    fn an_index_that_was_refreshed_is_fresh_while_a_run_goes_on() {
        let reports = tempfile::tempdir().unwrap();
        let (mut log, last) = half_a_run(reports.path());
        log.lock().unwrap();
        let runs = Runs { fresh: Duration::MAX, ..Runs::of(reports.path(), |_| {}) };
        let read = |runs: &Runs| {
            runs.page(&Filter::default()).unwrap();
            runs.index.lock().unwrap().as_ref().unwrap().at
        };
        read(&runs);
        // A folder comes, and the log has grown: both are in the index at once.
        fs::create_dir(reports.path().join("another")).unwrap();
        log.write_all(last.as_bytes()).unwrap();
        let refreshed = read(&runs);
        assert_eq!(read(&runs), refreshed, "nothing has changed since the refresh");
        log.unlock().unwrap();
    }

    #[test]
    fn with_a_run_without_an_end_a_stale_index_is_refreshed_before_each_answer() {
        let reports = tempfile::tempdir().unwrap();
        let (mut log, last) = half_a_run(reports.path());
        let runs = Runs { fresh: Duration::ZERO, ..Runs::of(reports.path(), |_| {}) };
        let ended = || runs.page(&Filter::default()).unwrap().entries[0].ended;
        assert!(!ended() && runs.going_on().unwrap().is_empty(), "no program writes the log");
        log.lock().unwrap();
        assert_eq!(runs.going_on().unwrap().len(), 1);
        log.write_all(last.as_bytes()).unwrap();
        log.unlock().unwrap();
        assert!(ended() && runs.going_on().unwrap().is_empty());
        // A folder that comes is seen at once, whatever else is in the directory.
        fs::create_dir(reports.path().join("another")).unwrap();
        assert_eq!(runs.page(&Filter::default()).unwrap().folders, 2);
    }

    #[test]
    fn a_failure_after_an_answer_is_told_by_the_next_request() {
        let home = tempfile::tempdir().unwrap();
        let (reports, away) = (home.path().join("reports"), home.path().join("away"));
        fs::create_dir(&reports).unwrap();
        let runs = Runs { fresh: Duration::MAX, ..Runs::of(&reports, |_| {}) };
        assert_eq!(runs.page(&Filter::default()).unwrap().folders, 0);
        // A file takes the place of the directory and gets its modification time. So the next request has only the failure as a reason to refresh.
        let changed = fs::metadata(&reports).unwrap().modified().ok();
        runs.index.lock().unwrap().as_mut().unwrap().changed = changed;
        fs::rename(&reports, &away).unwrap();
        fs::write(&reports, "").unwrap();
        fs::File::open(&reports).unwrap().set_modified(changed.unwrap()).unwrap();
        runs.refresh_later(changed).join().unwrap();
        let told = runs.page(&Filter::default()).unwrap_err().to_string();
        assert!(told.contains("cannot list the runs in"), "{told}");
        fs::remove_file(&reports).unwrap();
        fs::rename(&away, &reports).unwrap();
        assert_eq!(runs.page(&Filter::default()).unwrap().folders, 0);
    }

    #[test]
    fn only_a_directory_that_is_missing_has_no_runs() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let folders = |path: &str| {
            let page = Runs::of(&home.path().join(path), |_| {}).page(&Filter::default());
            page.map(|page| page.folders).map_err(|error| error.to_string())
        };
        assert_eq!(folders("missing"), Ok(0));
        assert!(folders("file/reports").is_err_and(|error| error.contains("cannot list the runs in")));
    }
}
