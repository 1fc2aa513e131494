//! The courses (present states) of the runs that go on, for pages that ask from time to time. Each question reads only the lines that were
//! appended to a log since the last question.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use super::tail::Tail;
use crate::runs::{Course, is_written};

/// The logs that were read, by their paths.
#[derive(Debug, Default)]
pub(crate) struct Courses(Mutex<HashMap<PathBuf, Tail>>);

impl Courses {
    /// Reads the courses of runs. `runs` has each run with its log. Returns the results of `tell` for all logs that can be read. A log is forgotten
    /// if it is not in `runs` and no program writes it any more.
    pub(crate) fn of<R, T>(&self, runs: &[(R, PathBuf)], tell: impl Fn(&R, &Course) -> T) -> Vec<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|path, _| runs.iter().any(|(_, log)| log == path) || is_written(path));
        let told = runs.iter().filter_map(|(run, log)| {
            let tail = known.entry(log.clone()).or_insert_with(|| Tail::of(log));
            tail.read().ok().map(|_| tell(run, &tail.course))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use firedrill_judge::testing::Drill;

    use super::*;

    /// Returns the lines of a good run's log.
    fn lines() -> Vec<String> {
        let records = Drill::good().records();
        records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect()
    }

    #[test]
    fn a_log_is_read_once_and_forgotten_when_nobody_asks_for_it_or_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let lines = lines();
        fs::write(&path, &lines[0]).unwrap();
        let courses = Courses::default();
        let read =
            |path: PathBuf| courses.of(&[((), path)], |(), course| (course.seq, course.plan.is_some()));
        assert_eq!(read(path.clone()), [(1, true)]);
        // Blanks take the place of the first line, which has the plan. So the plan is known only if that line is not read again.
        fs::write(&path, " ".repeat(lines[0].len() - 1) + "\n" + &lines[1..].concat()).unwrap();
        assert_eq!(read(path), [(lines.len() as u64, true)]);
        assert_eq!(read(folder.path().join("none")), []);
        assert_eq!(courses.0.lock().unwrap().len(), 1, "the first log is forgotten");
    }

    #[test]
    fn a_log_that_is_still_written_is_not_forgotten_after_a_question_about_another() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        for path in [&one, &other] {
            fs::write(path, lines().concat()).unwrap();
        }
        let written = fs::File::open(&one).unwrap();
        written.lock().unwrap();
        let courses = Courses::default();
        let read = |path: &PathBuf| courses.of(&[((), path.clone())], |(), course| course.seq);
        read(&one);
        read(&other);
        assert_eq!(courses.0.lock().unwrap().len(), 2);
        drop(written);
        read(&other);
        assert_eq!(courses.0.lock().unwrap().len(), 1, "nobody writes it any more");
    }
}
