//! The index over the folders of runs. It is brought up to date by reading only folders that are new or have changed, and then answers questions about
//! runs and findings. It never changes a run's folder.

mod place;
mod store;
#[cfg(test)]
mod tests;
mod trouble;

use std::{
    collections::{HashMap, HashSet},
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
    store::{Row, Store, is_damage},
    trouble::Trouble,
};
use crate::{
    entry::Entry,
    error::HistoryError,
    filter::Filter,
    finding::{
        Finding, NewFinding,
        derive::{derive, sort},
        file,
    },
    scan::{Found, Stamp, scan},
};

/// Number of logs that are written into the index in one transaction. After an interruption, a rebuild continues with the next ones.
const TOGETHER: usize = 500;

/// A log that changed less than this time before it was read is read once more at the next refresh. File systems have coarse times, so a later change
/// may have the same time.
const SETTLE: Duration = Duration::from_secs(2);

/// The amount of work that a refresh of the index took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Number of logs that were read.
    pub read: usize,
    /// Number of folders that are gone.
    pub removed: usize,
}

/// The findings of the runs in one directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// All of them, the open ones first.
    pub all: Vec<Finding>,
    /// The reason why the file beside the runs could not be brought up to date; `None` if it is.
    pub why_not_kept: Option<String>,
}

/// The history of the runs in one directory.
#[derive(Debug)]
pub struct History {
    reports: PathBuf,
    /// The open index; `None` only while it is made anew.
    place: Option<Place>,
    /// [`SETTLE`], or another time in tests.
    settle: Duration,
    /// Called with the number of logs before they are read.
    begun: fn(usize),
    /// The work that was done when the history was opened.
    pub refreshed: Refreshed,
}

impl History {
    /// Opens the history of a directory of runs, and brings its index up to date. `begun` is called with the number of logs before they are
    /// read, because many logs take a while.
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

    /// Whether the runs of a directory were listed before: an index or a file of findings exists.
    #[must_use]
    pub fn is_there(reports: &Path) -> bool {
        place::is_there(reports) || file::path(reports).exists()
    }

    /// Returns the directory.
    #[must_use]
    pub fn reports(&self) -> &Path {
        &self.reports
    }

    /// Returns the reason why the index is only in memory, so that all runs are read each time; `None` if it is a file.
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

    /// Returns the run in the folder with this name; `None` if there is none.
    ///
    /// # Errors
    /// The index cannot be used although it is not damaged.
    pub fn run(&mut self, folder: &str) -> Result<Option<Entry>, HistoryError> {
        self.attempt(|store| Ok(store.one(folder)?))
    }

    /// Returns the number of all folders, and that of damaged ones.
    ///
    /// # Errors
    /// The index cannot be used although it is not damaged.
    pub fn count(&mut self) -> Result<(usize, usize), HistoryError> {
        self.attempt(|store| Ok(store.count()?))
    }

    /// Returns the findings, the open ones first, and brings their file up to date with the runs.
    ///
    /// # Errors
    /// The file cannot be read as findings, or the index cannot be used although it is not damaged. If the file cannot be written,
    /// [`Findings::why_not_kept`] says why.
    pub fn findings(&mut self) -> Result<Findings, HistoryError> {
        // An error is handled only where the file is written: a program without the lock can still read.
        let lock = file::lock(&self.reports);
        let known = file::read(&self.reports)?;
        let (changes, found) = self.attempt(|store| Ok(store.changes()?))?;
        let in_file = self.why_memory().is_none();
        if let Some(all) = &known
            && changes == found
            && in_file
        {
            return Ok(Findings { all: all.clone(), why_not_kept: None });
        }
        let known = known.unwrap_or_default();
        let mut scenarios: Vec<&str> = known.iter().map(|finding| finding.scenario.as_str()).collect();
        scenarios.sort_unstable();
        scenarios.dedup();
        let names: HashSet<(String, String)> =
            known.iter().map(|finding| (finding.attack.clone(), finding.objective.clone())).collect();
        let seen = self.attempt(|store| Ok(store.seen(&scenarios, names.clone())?))?;
        let all = derive(known, seen);
        let why_not_kept = match lock {
            Ok(_held) => file::write(&self.reports, &all).err().map(|error| error.to_string()),
            Err(error) => Some(format!("the directory cannot be written: {error}")),
        };
        if why_not_kept.is_none() && in_file {
            self.attempt(|store| Ok(store.found(changes)?))?;
        }
        Ok(Findings { all, why_not_kept })
    }

    /// Changes a finding by `edit`, which may change only the texts that people write. `id` may be the beginning of an id, if only one finding has it.
    ///
    /// # Errors
    /// There is no such finding, or more than one; or the file cannot be read or written.
    pub fn edit_finding(
        &mut self,
        id: &str,
        edit: impl FnOnce(&mut Finding),
    ) -> Result<Finding, HistoryError> {
        self.findings()?;
        let path = file::path(&self.reports);
        let failed = |why: String| HistoryError::Findings { path: path.clone(), why };
        let _held =
            file::lock(&self.reports).map_err(|error| failed(format!("it cannot be locked: {error}")))?;
        let mut all = file::read(&self.reports)?.unwrap_or_default();
        let mut named: Vec<&mut Finding> =
            all.iter_mut().filter(|finding| finding.id.starts_with(id)).collect();
        if named.len() > 1 {
            named.retain(|finding| finding.id == id);
        }
        let [finding] = named.as_mut_slice() else {
            return Err(HistoryError::NoFinding { id: id.to_owned(), path });
        };
        edit(finding);
        let edited = finding.clone();
        file::write(&self.reports, &all)?;
        Ok(edited)
    }

    /// Adds the finding that a person reports about the run in a folder. Returns the finding, and whether it is new. The same text of the same person
    /// about the same run is one finding.
    ///
    /// # Errors
    /// There is no such run; or the file of findings cannot be read or written.
    pub fn add_finding(
        &mut self,
        folder: &str,
        new: &NewFinding<'_>,
    ) -> Result<(Finding, bool), HistoryError> {
        self.refresh()?;
        let entry = self.attempt(|store| Ok(store.one(folder)?))?;
        let Some(mut finding) = entry.and_then(|entry| Finding::by_person(&entry, new)) else {
            return Err(HistoryError::NoRun { folder: folder.to_owned(), reports: self.reports.clone() });
        };
        self.findings()?;
        let path = file::path(&self.reports);
        let failed = |why: String| HistoryError::Findings { path: path.clone(), why };
        let _held =
            file::lock(&self.reports).map_err(|error| failed(format!("it cannot be locked: {error}")))?;
        let mut all = file::read(&self.reports)?.unwrap_or_default();
        if let Some(known) = all.iter().find(|known| {
            (&known.by, &known.found, &known.opened_in) == (&finding.by, &finding.found, &finding.opened_in)
        }) {
            return Ok((known.clone(), false));
        }
        finding.name(&all);
        all.push(finding.clone());
        sort(&mut all);
        file::write(&self.reports, &all)?;
        Ok((finding, true))
    }

    /// Calls `ask` with the index. If the index turns out to be damaged, it is removed and made anew from the folders, and `ask` is called once more.
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

/// Brings a store up to date with the folders that were found.
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
    for chunk in fresh.chunks(TOGETHER) {
        store.change(&read(chunk, settle), &[])?;
    }
    Ok(done)
}

/// Reads and judges runs on all cores.
fn read(found: &[&Found], settle: Duration) -> Vec<Row> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(found.len())));
    let work = || {
        while let Some(folder) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
            // The stamp was taken before the log is read: if the log changes in between, the next refresh sees a newer stamp.
            let stamp = folder.stamp.kept(SystemTime::now(), settle);
            let (entry, told) = Entry::read(&folder.path, &folder.name);
            rows.lock().unwrap_or_else(PoisonError::into_inner).push(Row { entry, told, stamp });
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(found.len());
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| (0..threads).for_each(|_| _ = scope.spawn(work)));
    }
    rows.into_inner().unwrap_or_else(PoisonError::into_inner)
}
