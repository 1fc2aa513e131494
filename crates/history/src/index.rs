//! The index over the folders of runs: brought up to date by reading what is new or has changed, and asked.

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

/// Number of logs that are read before they are put into the index together: an interrupted rebuild goes on from there.
const TOGETHER: usize = 500;

/// A log that changed within this time before it was read is read again the next time: file systems tell times apart only
/// coarsely.
const SETTLE: Duration = Duration::from_secs(2);

/// The work that brought an index up to date.
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
    /// The reason why the file beside the runs does not have them.
    pub why_not_kept: Option<String>,
}

/// The history of the runs in one directory.
#[derive(Debug)]
pub struct History {
    reports: PathBuf,
    /// `None` only while it is made anew.
    place: Option<Place>,
    settle: Duration,
    begun: fn(usize),
    /// The work that was done when the history was opened.
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

    /// Whether the runs of a directory were listed before: their index or their findings are there.
    #[must_use]
    pub fn is_there(reports: &Path) -> bool {
        place::is_there(reports) || file::path(reports).exists()
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

    /// Returns the run of a folder.
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
    /// The file cannot be read as findings, or the index cannot be used although it is not damaged. A file that cannot be written is told
    /// by [`Findings::why_not_kept`].
    pub fn findings(&mut self) -> Result<Findings, HistoryError> {
        // Where this program cannot lock, it cannot write: a lock is not needed then.
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

    /// Changes what people write in a finding. Its id may be cut short, as long as it names only one.
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

    /// Writes down what a person found in the run of a folder. Returns the finding, and whether it is new: the same words of the same person
    /// about the same run are one.
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
        store.change(&read(some, settle), &[])?;
    }
    Ok(done)
}

/// Reads runs on all cores.
fn read(found: &[&Found], settle: Duration) -> Vec<Row> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(found.len())));
    let work = || {
        while let Some(folder) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
            // The stamp is older than what is read: a change in between is seen the next time.
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
