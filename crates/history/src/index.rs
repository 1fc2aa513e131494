//! The index over the folders of runs: brought up to date by reading what is new or has changed, and asked.

mod place;
mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use self::{
    place::Place,
    store::{Store, is_damage},
};
use crate::{
    entry::Entry,
    error::HistoryError,
    filter::Filter,
    scan::{Found, Stamp, scan},
};

/// Number of logs that are read before they are put into the index together: an interrupted rebuild goes on from there.
const TOGETHER: usize = 500;

/// A log that changed within this time before it was read is read again the next time: file systems tell times apart only
/// coarsely.
const SETTLE: Duration = Duration::from_secs(2);

/// What was done to bring an index up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Number of logs that were read.
    pub read: usize,
    /// Number of folders that are gone.
    pub removed: usize,
}

/// The history of the runs in one directory.
#[derive(Debug)]
pub struct History {
    reports: PathBuf,
    /// `None` only while it is made anew.
    place: Option<Place>,
    settle: Duration,
    begun: fn(usize),
    /// What was done when the history was opened.
    pub refreshed: Refreshed,
}

impl History {
    /// Opens the history of a directory of runs, and brings its index up to date. `begun` is told the number of logs before they
    /// are read, which takes a while if they are many.
    ///
    /// # Errors
    /// The directory cannot be listed, or the index cannot be used although it is not damaged.
    pub fn open(reports: &Path, begun: fn(usize)) -> Result<Self, HistoryError> {
        Self::with(reports, SETTLE, begun, Place::open(reports))
    }

    /// Reads the runs of a directory without an index beside them.
    #[cfg(test)]
    pub(crate) fn in_memory(reports: &Path) -> Result<Self, HistoryError> {
        Self::with(reports, SETTLE, |_| {}, Place::memory(None))
    }

    fn with(
        reports: &Path,
        settle: Duration,
        begun: fn(usize),
        place: rusqlite::Result<Place>,
    ) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Index { path: reports.to_owned(), source };
        let place = Some(place.map_err(failed)?);
        let reports = reports.to_owned();
        let mut history = Self { reports, place, settle, begun, refreshed: Refreshed::default() };
        history.refreshed = history.refresh()?;
        Ok(history)
    }

    /// Returns the directory.
    #[must_use]
    pub fn reports(&self) -> &Path {
        &self.reports
    }

    /// Returns the reason why there is no index beside the runs, so that all of them are read each time.
    #[must_use]
    pub fn why_memory(&self) -> Option<&str> {
        self.place.as_ref()?.why_memory.as_deref()
    }

    /// Brings the index up to date: reads logs that are new or have changed, and forgets folders that are gone.
    ///
    /// # Errors
    /// The directory cannot be listed, or the index cannot be used although it is not damaged.
    pub fn refresh(&mut self) -> Result<Refreshed, HistoryError> {
        let list = |source| HistoryError::List { path: self.reports.clone(), source };
        let found = scan(&self.reports).map_err(list)?;
        let (settle, begun) = (self.settle, self.begun);
        self.attempt(|store| up_to_date(store, &found, settle, begun))
    }

    /// Returns the runs that pass a filter, the newest first.
    ///
    /// # Errors
    /// The index cannot be used although it is not damaged.
    pub fn runs(&mut self, filter: &Filter) -> Result<Vec<Entry>, HistoryError> {
        self.attempt(|store| Ok(store.select(filter)?))
    }

    /// Returns the number of all folders, and that of damaged ones.
    ///
    /// # Errors
    /// The index cannot be used although it is not damaged.
    pub fn count(&mut self) -> Result<(usize, usize), HistoryError> {
        self.attempt(|store| Ok(store.count()?))
    }

    /// Asks the index. One that turns out to be damaged is thrown away, made anew from the folders, and asked once more.
    fn attempt<T>(&mut self, ask: impl Fn(&mut Store) -> Result<T, Trouble>) -> Result<T, HistoryError> {
        let failed = |reports: &Path, trouble: Trouble| match trouble {
            Trouble::Store(source) => HistoryError::Index { path: reports.to_owned(), source },
            Trouble::Encode(source) => HistoryError::Encode(source),
        };
        let first = match &mut self.place {
            Some(place) => ask(&mut place.store),
            None => Err(Trouble::Store(rusqlite::Error::InvalidQuery)),
        };
        match first {
            Err(Trouble::Store(error)) if is_damage(&error) => {}
            other => return other.map_err(|trouble| failed(&self.reports, trouble)),
        }
        let place = match self.place.take() {
            Some(place) => place.again(&self.reports),
            None => Place::open(&self.reports),
        };
        let place = place.map_err(|error| failed(&self.reports, error.into()))?;
        let place = self.place.insert(place);
        let found = scan(&self.reports)
            .map_err(|source| HistoryError::List { path: self.reports.clone(), source })?;
        up_to_date(&mut place.store, &found, self.settle, self.begun)
            .and_then(|_| ask(&mut place.store))
            .map_err(|trouble| failed(&self.reports, trouble))
    }
}

/// An error below [`HistoryError`].
#[derive(Debug)]
enum Trouble {
    Store(rusqlite::Error),
    Encode(serde_json::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

fn up_to_date(
    store: &mut Store,
    found: &[Found],
    settle: Duration,
    begun: fn(usize),
) -> Result<Refreshed, Trouble> {
    let mut known: HashMap<String, Stamp> = store.stamps()?;
    let fresh: Vec<&Found> =
        found.iter().filter(|folder| known.remove(&folder.name) != Some(folder.stamp)).collect();
    let gone: Vec<String> = known.into_keys().collect();
    let done = Refreshed { read: fresh.len(), removed: gone.len() };
    if !gone.is_empty() {
        store.change(&[], &gone)?;
    }
    begun(fresh.len());
    for some in fresh.chunks(TOGETHER) {
        let rows = read(some, settle).map_err(Trouble::Encode)?;
        store.change(&rows, &[])?;
    }
    Ok(done)
}

/// Reads runs on all cores.
fn read(found: &[&Found], settle: Duration) -> Result<Vec<(Entry, String, Stamp)>, serde_json::Error> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(found.len())));
    let work = || {
        while let Some(folder) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
            // The stamp is older than what is read: a change in between is seen the next time.
            let stamp = folder.stamp.kept(SystemTime::now(), settle);
            let entry = Entry::read(&folder.path, &folder.name);
            let row = serde_json::to_string(&entry).map(|json| (entry, json, stamp));
            rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(found.len());
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| (0..threads).for_each(|_| _ = scope.spawn(work)));
    }
    rows.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
}
