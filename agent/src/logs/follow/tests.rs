//! Tests of the follower of a log file: lines that are appended, bounds, and times.

mod refused;
mod replaced;
mod rewritten;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{chown, symlink},
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use firedrill_wire::logs::LINE_MOST;
use tempfile::TempDir;

use super::*;
use crate::logs::{bounds::Reader, count::BYTES_MOST};

/// A directory of logs, as the policy lists it, and one log in it.
struct Place {
    dir: TempDir,
    log: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let log = dir.path().join("logs/app.log");
        Self { dir, log }
    }

    fn write(&self, text: &str) {
        append(&self.log, text);
    }

    fn follow(&self) -> Result<Follower, String> {
        let spec = LogSpec {
            name: "app".to_owned(),
            file: self.log.to_str().unwrap().to_owned(),
            matches: "ERROR".to_owned(),
            lines: 3,
        };
        let entries = vec![format!("{}/logs/*", self.dir.path().display())];
        Follower::start(spec, entries, "boot".to_owned(), 1)
    }

    fn other(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    /// Renames the log.
    fn rename(&self, name: &str) -> PathBuf {
        let to = self.other(name);
        fs::rename(&self.log, &to).unwrap();
        to
    }
}

fn append(path: &PathBuf, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Looks once, and returns the bin so far. On a busy machine the look may last until the end of the bin, and then returns it itself.
fn bin(follower: &mut Follower) -> LogBin {
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    follower.look(&bounds).unwrap_or_else(|| follower.counter.seal())
}

/// Looks once, and returns the number of lines that match. Nothing may be missing.
fn matched(follower: &mut Follower) -> u64 {
    let bin = bin(follower);
    assert_eq!((bin.missed, bin.absent), (None, None));
    bin.matched
}

#[test]
fn appended_lines_are_counted_once() {
    let place = Place::new();
    place.write("ERROR before\nERROR begun before");
    let mut follower = place.follow().unwrap();
    place.write(" and ended\nERROR one\nfine\nERROR t");
    assert_eq!(matched(&mut follower), 1);
    place.write("wo\nERROR three password=hunter2 \u{1b}[0m\nERROR\nERROR\n");
    let bin = bin(&mut follower);
    assert_eq!((bin.lines, bin.matched, bin.cut), (4, 4, 0));
    let kept: Vec<&str> = bin.kept.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(kept, ["ERROR two", "ERROR three password=*** ", "ERROR"]);
    assert!(bin.first_boot_us.unwrap() <= bin.last_boot_us.unwrap());
    place.write("ERROR without an end");
    assert_eq!(matched(&mut follower), 0);
    place.write("\nERROR after the last look\n");
    assert_eq!(follower.end().matched, 1, "a line that was read is counted, and nothing more is read");
}

#[test]
fn a_file_that_comes_later_is_read_from_its_beginning() {
    let place = Place::new();
    let mut follower = place.follow().unwrap();
    let absent = bin(&mut follower).absent.unwrap();
    assert!(absent.contains("there is no file"), "{absent}");
    place.write("ERROR 1\n");
    assert_eq!(matched(&mut follower), 1);
    fs::remove_file(&place.log).unwrap();
    assert_eq!(matched(&mut follower), 0, "a program may still write to it");
}

#[test]
fn long_lines_and_skipped_bytes_are_reported() {
    let place = Place::new();
    place.write("");
    let mut follower = place.follow().unwrap();
    follower.counter.work_most = Duration::from_secs(600);
    let long = "x".repeat(2 * LINE_MOST);
    place.write(&format!("ERROR {long}\n{long} ERROR\nERROR short\n"));
    let long = bin(&mut follower);
    assert_eq!((long.lines, long.matched, long.cut, long.missed), (3, 2, 1, None));
    let line = "ERROR of a flood\n";
    let much = usize::try_from(BYTES_MOST).unwrap() / line.len() + 1000;
    place.write(&line.repeat(much));
    let flood = bin(&mut follower);
    assert_eq!(flood.lines, BYTES_MOST / line.len() as u64);
    assert!(flood.missed.unwrap().contains("bytes were skipped"));
    place.write("ERROR after\n");
    assert_eq!(matched(&mut follower), 1, "it goes on at the end");
}

#[test]
fn a_line_counts_from_the_time_at_which_it_may_have_begun() {
    let place = Place::new();
    place.write("");
    let mut follower = place.follow().unwrap();
    let began = follower.times.began_us();
    place.write("ERROR be");
    assert_eq!(matched(&mut follower), 0);
    let read = follower.counter.read_until_us;
    assert_eq!(matched(&mut follower), 0);
    place.write("gun\nERROR whole\n");
    let both = bin(&mut follower);
    assert_eq!(both.matched, 2);
    let first = both.first_boot_us.unwrap();
    assert!(first >= began && first <= read && first < both.start_boot_us, "{first} {read}");
}

#[test]
fn a_stop_and_a_costly_pattern_end_the_reading_of_a_file() {
    let place = Place::new();
    place.write("");
    let mut follower = place.follow().unwrap();
    place.write(&"ERROR of a flood\n".repeat(10_000));
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    reader.stop();
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    assert_eq!(follower.look(&bounds), None);
    assert_eq!(follower.counter.seal().lines, 0, "after a halt nothing is read");
    follower.counter.work_most = Duration::ZERO;
    let costly = bin(&mut follower);
    assert!(costly.lines < 10_000);
    assert!(costly.missed.unwrap().contains("processor's time"));
    follower.counter.work_most = Duration::from_secs(600);
    place.write("ERROR after\n");
    assert_eq!(matched(&mut follower), 1, "it goes on at the end");
}

#[test]
fn time_that_was_spent_between_two_looks_is_reported_with_the_first_line_that_is_skipped() {
    let place = Place::new();
    place.write("");
    let mut follower = place.follow().unwrap();
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    follower.counter.work_most = Duration::ZERO;
    // Two looks of one bin; on a busy machine a bin may end between them.
    let mut look = || {
        place.write("ERROR of few bytes\n");
        follower.look(&bounds).is_none()
    };
    while !(look() && look()) {}
    let costly = follower.counter.seal();
    assert_eq!((costly.lines, costly.matched), (1, 1), "the second line is not counted");
    assert!(costly.missed.is_some_and(|why| why.contains("processor's time")));
}
