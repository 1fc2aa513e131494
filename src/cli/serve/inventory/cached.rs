//! A cache of values that are made from files. A value is kept until one of its files changes.

use std::{
    collections::HashMap,
    fs,
    hash::Hash,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// Time for which a value with errors is kept. The errors may be about a missing file, whose creation the cache does not notice.
pub(super) const WRONG: Duration = Duration::from_secs(5);
/// Time after a change of a file in which a second change may leave the same modification time.
const UNSETTLED: Duration = Duration::from_secs(1);

/// The state of a file: modification time, size in bytes, inode, and change time (seconds and nanoseconds); `None` if it cannot be read.
type Stamp = Option<(SystemTime, u64, u64, (i64, i64))>;

/// A value, and the files that it was made from.
#[derive(Debug)]
struct Kept<V> {
    files: Vec<(PathBuf, Stamp)>,
    /// The end of its time; `None` if it has none.
    until: Option<Instant>,
    value: Arc<V>,
}

/// A new value, and how long it may be kept.
pub(super) struct Made<V> {
    pub(super) value: V,
    /// The files that it was made from.
    pub(super) files: Vec<PathBuf>,
    /// The longest time for which it is kept; `None` if only changes of the files end it.
    pub(super) fresh: Option<Duration>,
}

/// Values by their keys, at most `MOST`. When there would be more, all are forgotten.
#[derive(Debug)]
pub(super) struct Cached<K, V, const MOST: usize = 2_000>(Mutex<HashMap<K, Kept<V>>>);

impl<K, V, const MOST: usize> Default for Cached<K, V, MOST> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Returns the state of a file.
fn stamp(path: &PathBuf) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino(), (meta.ctime(), meta.ctime_nsec())))
}

impl<K: Eq + Hash, V, const MOST: usize> Cached<K, V, MOST> {
    /// Returns the value of a key. Makes it if there is none, if a file was changed, or if its time is over. The cache is not locked while
    /// the value is made, so that requests for other keys do not wait.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> Made<V>) -> Arc<V> {
        let kept =
            self.lock().get(&key).map(|kept| (kept.files.clone(), kept.until, Arc::clone(&kept.value)));
        if let Some((files, until, value)) = kept
            && until.is_none_or(|until| Instant::now() < until)
            && files.iter().all(|(path, was)| stamp(path) == *was)
        {
            return value;
        }
        let begun = SystemTime::now();
        let Made { value, files, fresh } = make();
        let value = Arc::new(value);
        let files: Vec<_> = files.into_iter().map(|path| (stamp(&path), path)).collect();
        // The stamps were taken after the files were read. A file that changed shortly before may have changed in between.
        let is_settled = |stamp: &Stamp| {
            stamp.is_none_or(|(modified, ..)| {
                begun.duration_since(modified).is_ok_and(|since| since > UNSETTLED)
            })
        };
        let mut values = self.lock();
        if files.iter().all(|(stamp, _)| is_settled(stamp)) {
            if values.len() >= MOST {
                values.clear();
            }
            let files = files.into_iter().map(|(stamp, path)| (path, stamp)).collect();
            let until = fresh.map(|fresh| Instant::now() + fresh);
            values.insert(key, Kept { files, until, value: Arc::clone(&value) });
        } else {
            values.remove(&key);
        }
        value
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Kept<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_anew_when_a_file_was_changed_or_its_time_is_over() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("one.toml");
        let old = SystemTime::now() - Duration::from_secs(60);
        let write = |text: &str, at: SystemTime| {
            fs::write(&file, text).unwrap();
            fs::File::open(&file).unwrap().set_modified(at).unwrap();
        };
        let cached: Cached<_, _> = Cached::default();
        let made = std::cell::Cell::new(0);
        let get = |fresh: Option<Duration>| {
            let value = cached.get("one", || {
                made.set(made.get() + 1);
                Made { value: fs::read_to_string(&file).unwrap(), files: vec![file.clone()], fresh }
            });
            (value.as_str().to_owned(), made.get())
        };
        write("a", old);
        assert_eq!((get(None).1, get(None).1), (1, 1), "kept");
        write("b", old + Duration::from_secs(1));
        assert_eq!(get(None), ("b".to_owned(), 2), "the same length at another time");
        write("c", SystemTime::now());
        assert_eq!((get(None).1, get(None).1), (3, 4), "not kept while it may still change");
        write("d", old);
        assert_eq!((get(Some(Duration::ZERO)).1, get(None).1), (5, 6), "its time is over");
        fs::remove_file(&file).unwrap();
        let gone =
            cached.get("one", || Made { value: "gone".to_owned(), files: vec![file.clone()], fresh: None });
        assert_eq!(*gone, "gone");
    }
}
