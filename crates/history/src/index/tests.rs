//! Tests that the index agrees with the folders after any change to either.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use super::*;
use crate::{
    filter::Shown,
    scan::LOG,
    testing::{Sample, sample},
};

/// Opens a history that reads no log again only because it has just changed. The tests give each change another time, so none is overlooked.
fn open(reports: &Path) -> History {
    History::with(reports, Duration::ZERO, |_| {}, Place::open(reports)).unwrap()
}

fn all(history: &mut History) -> Vec<Entry> {
    history.runs(&Filter::default()).unwrap()
}

/// Returns the entries of the folders, without an index.
fn truth(reports: &Path) -> Vec<Entry> {
    all(&mut History::in_memory(reports).unwrap())
}

/// Returns a run without measurements, which is made fast.
fn quick(number: u64) -> Sample {
    Sample {
        run: format!("20261120-1402-friday-{number:04x}"),
        wall: format!("2026-11-20T14:02:{:02}Z", number % 60),
        measured: false,
        ..Sample::default()
    }
}

#[test]
fn only_new_logs_are_read() {
    let reports = tempfile::tempdir().unwrap();
    let folder = |name: &str| reports.path().join(name);
    sample(&folder("one"), &quick(1));
    let mut history = open(reports.path());
    assert_eq!(history.refreshed, Refreshed { read: 1, removed: 0 });
    assert_eq!(history.refresh().unwrap(), Refreshed::default());
    drop(history);
    sample(&folder("two"), &quick(2));
    let mut history = open(reports.path());
    assert_eq!(history.refreshed, Refreshed { read: 1, removed: 0 });
    fs::remove_dir_all(folder("one")).unwrap();
    assert_eq!(history.refresh().unwrap(), Refreshed { read: 0, removed: 1 });
    assert_eq!(all(&mut history).len(), 1);
}

#[test]
fn filters_are_by_scenario_verdict_time_and_number() {
    let reports = tempfile::tempdir().unwrap();
    for number in 0..3 {
        sample(&reports.path().join(format!("run{number}")), &quick(number));
    }
    fs::create_dir(reports.path().join("hurt")).unwrap();
    let mut history = open(reports.path());
    let mut names = |filter: Filter| -> Vec<String> {
        history.runs(&filter).unwrap().into_iter().map(|entry| entry.folder).collect()
    };
    let named = Filter { scenario: Some("friday".to_owned()), ..Filter::default() };
    assert_eq!(names(named.clone()), ["run2", "run1", "run0"], "the newest first");
    assert_eq!(names(Filter { limit: Some(1), ..named.clone() }), ["run2"]);
    assert_eq!(names(Filter { limit: Some(1), skip: 1, ..named.clone() }), ["run1"]);
    assert_eq!(names(Filter { skip: 9, ..named.clone() }), Vec::<String>::new());
    let at = humantime::parse_rfc3339("2026-11-20T14:02:01Z").unwrap();
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(names(Filter { since_s: i64::try_from(at).ok(), ..named }), ["run2", "run1"]);
    assert_eq!(names(Filter { shown: Some(Shown::Damaged), ..Filter::default() }), ["hurt"]);
    assert_eq!(names(Filter { shown: Some(Shown::Held), ..Filter::default() }), Vec::<String>::new());
    assert_eq!(history.count().unwrap(), (4, 1));
}

#[test]
fn an_index_that_is_damaged_or_of_another_version_is_made_anew() {
    let reports = tempfile::tempdir().unwrap();
    sample(&reports.path().join("one"), &quick(1));
    let wanted = truth(reports.path());
    let index = reports.path().join(".history.sqlite");
    assert_eq!(all(&mut open(reports.path())), wanted);
    let whole = fs::read(&index).unwrap();
    let mut torn = whole.clone();
    torn[4096..].fill(0xa5);
    for bytes in [&b"this is no database"[..], &whole[..whole.len() / 2], &torn, b""] {
        fs::write(&index, bytes).unwrap();
        assert_eq!(all(&mut open(reports.path())), wanted);
    }
    let other = rusqlite::Connection::open(&index).unwrap();
    other.execute_batch("UPDATE index_state SET build = '0.0.1'").unwrap();
    drop(other);
    let mut history = open(reports.path());
    assert_eq!(history.refreshed.read, 1, "another version's judgement is not taken over");
    assert_eq!(all(&mut history), wanted);
}

#[test]
fn an_entry_that_cannot_be_read_back_is_damage() {
    let reports = tempfile::tempdir().unwrap();
    sample(&reports.path().join("one"), &quick(1));
    let mut history = open(reports.path());
    let wanted = all(&mut history);
    let other = rusqlite::Connection::open(reports.path().join(".history.sqlite")).unwrap();
    other.execute_batch("UPDATE runs SET entry = '{}'").unwrap();
    drop(other);
    assert_eq!(all(&mut history), wanted, "it was read from the folder again");
}

#[test]
fn without_a_file_for_the_index_all_runs_are_read_into_memory_and_the_reason_is_known() {
    let reports = tempfile::tempdir().unwrap();
    sample(&reports.path().join("one"), &quick(1));
    // A directory in place of the lock file works for root, too, who may write anywhere.
    fs::create_dir(reports.path().join(".history.lock")).unwrap();
    let mut history = open(reports.path());
    assert_eq!(all(&mut history).len(), 1);
    assert!(history.why_memory().unwrap().contains(".history.lock"), "{:?}", history.why_memory());
}

#[test]
fn a_program_of_another_version_that_has_the_index_open_blocks_nobody() {
    let reports = tempfile::tempdir().unwrap();
    sample(&reports.path().join("one"), &quick(1));
    let wanted = truth(reports.path());
    let mut ours = open(reports.path());
    let foreign = File::open(reports.path().join(".history.lock")).unwrap();
    foreign.lock_shared().unwrap();
    let index = rusqlite::Connection::open(reports.path().join(".history.sqlite")).unwrap();
    index.execute_batch("UPDATE index_state SET build = '0.0.1'").unwrap();
    // A separate thread, so that the test fails and does not hang if the program waits for the lock.
    let (opened, told) = std::sync::mpsc::channel();
    let folder = reports.path().to_owned();
    std::thread::spawn(move || {
        let mut history = open(&folder);
        let found = all(&mut history);
        opened.send((found, history.why_memory().unwrap_or_default().to_owned())).unwrap();
    });
    let (found, why) = told.recv_timeout(Duration::from_secs(30)).expect("it waits for the other program");
    assert_eq!(found, wanted);
    assert!(why.contains("of another version has the index open; restart it"), "{why}");
    let before = fs::metadata(reports.path().join(".history.sqlite")).unwrap();
    let again = ours.place.take().unwrap().again(reports.path()).unwrap();
    assert!(again.why_memory.unwrap().contains("a running program has the index open"));
    let after = fs::metadata(reports.path().join(".history.sqlite")).unwrap();
    assert_eq!(before.ino(), after.ino(), "the other program keeps its file");
    drop((foreign, index));
    let mut history = open(reports.path());
    assert_eq!((all(&mut history), history.why_memory()), (wanted, None));
}

#[test]
fn two_programs_may_use_it_at_once() {
    let reports = tempfile::tempdir().unwrap();
    for number in 0..12 {
        sample(&reports.path().join(format!("run{number}")), &quick(number));
    }
    let wanted = truth(reports.path());
    // Threads with separate histories share only the files, as programs do.
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (reports, wanted) = (reports.path(), &wanted);
            scope.spawn(move || {
                for round in 0..5 {
                    let mut history = open(reports);
                    assert_eq!(history.why_memory(), None);
                    assert_eq!(all(&mut history), *wanted);
                    if number == 0 && round % 2 == 0 {
                        // It tries to remove the index that others have open.
                        let place = history.place.take().unwrap().again(reports).unwrap();
                        let why = place.why_memory.unwrap_or_default();
                        assert!(why.is_empty() || why.contains("has the index open"), "{why}");
                    }
                }
            });
        }
    });
}

/// A change to the folders.
#[derive(Clone, Debug)]
enum Deed {
    Add,
    Remove(usize),
    /// Overwrites some bytes in the middle; the size stays.
    Scratch(usize),
    /// Cuts the log.
    Cut(usize),
    /// Removes the log and leaves the folder.
    Strip(usize),
    /// Removes the index.
    Forget,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let which = 0..100_usize;
    let deed = prop_oneof![
        4 => Just(Deed::Add),
        1 => which.clone().prop_map(Deed::Remove),
        2 => which.clone().prop_map(Deed::Scratch),
        1 => which.clone().prop_map(Deed::Cut),
        1 => which.prop_map(Deed::Strip),
        1 => Just(Deed::Forget),
    ];
    proptest::collection::vec(deed, 1..12)
}

/// Makes the change, and gives a changed log a modification time that no earlier change had.
fn act(reports: &Path, deed: &Deed, number: u64) {
    let mut folders: Vec<PathBuf> = scan(reports).unwrap().into_iter().map(|found| found.path).collect();
    folders.sort();
    let pick = |which: usize| folders.get(which % folders.len().max(1));
    let changed = match deed {
        Deed::Add => {
            let folder = reports.join(format!("run{number:04}"));
            sample(&folder, &quick(number));
            Some(folder)
        }
        Deed::Remove(which) => {
            pick(*which).iter().for_each(|folder| fs::remove_dir_all(folder).unwrap());
            None
        }
        Deed::Strip(which) => {
            pick(*which).iter().for_each(|folder| _ = fs::remove_file(folder.join(LOG)));
            None
        }
        Deed::Scratch(which) | Deed::Cut(which) => {
            let folder = pick(*which).filter(|folder| folder.join(LOG).exists()).cloned();
            if let Some(folder) = &folder {
                let mut bytes = fs::read(folder.join(LOG)).unwrap();
                let middle = bytes.len() / 2;
                if matches!(deed, Deed::Cut(_)) {
                    bytes.truncate(middle);
                } else {
                    bytes[middle..].iter_mut().take(8).for_each(|byte| *byte = b'#');
                }
                fs::write(folder.join(LOG), bytes).unwrap();
            }
            folder
        }
        Deed::Forget => {
            let _ = fs::remove_file(reports.join(".history.sqlite"));
            None
        }
    };
    if let Some(folder) = changed {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + number);
        File::options().write(true).open(folder.join(LOG)).unwrap().set_modified(time).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn index_and_folders_always_agree(deeds in deeds()) {
        let reports = tempfile::tempdir().unwrap();
        for (deed, number) in deeds.iter().zip(1..) {
            act(reports.path(), deed, number);
            let mut history = open(reports.path());
            let found = scan(reports.path()).unwrap().len();
            prop_assert_eq!(history.count().unwrap().0, found, "each folder is listed");
            prop_assert_eq!(all(&mut history), truth(reports.path()));
        }
    }
}
