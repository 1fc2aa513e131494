use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::PathBuf,
};

use firedrill_wire::logs::LINE_MOST;
use tempfile::TempDir;

use super::*;
use crate::logs::count::BYTES_MOST;

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
        Follower::start(spec, entries, "boot".to_owned())
    }
}

fn append(path: &PathBuf, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Looks, and returns the bin so far. On a busy machine a look may take a second, and return a whole bin.
fn bin(follower: &mut Follower) -> LogBin {
    follower.look().unwrap_or_else(|| follower.counter.seal())
}

fn matched(follower: &mut Follower) -> u64 {
    let bin = bin(follower);
    assert_eq!((bin.missed, bin.absent), (None, None));
    bin.matched
}

#[test]
fn what_is_appended_is_counted_once() {
    let place = Place::new();
    place.write("ERROR before\nERROR begun before");
    let mut follower = place.follow().unwrap();
    place.write(" and ended\nERROR one\nfine\nERROR t");
    assert_eq!(matched(&mut follower), 1);
    place.write("wo\nERROR three password=hunter2 \u{1b}[0m\nERROR\nERROR\n");
    let bin = bin(&mut follower);
    assert_eq!((bin.lines, bin.matched, bin.cut), (4, 4, 0));
    let kept: Vec<&str> = bin.kept.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(kept, ["ERROR two", "ERROR three password=*** ␛[0m", "ERROR"]);
    assert!(bin.start_boot_us <= bin.first_boot_us.unwrap() && bin.first_boot_us <= bin.last_boot_us);
    place.write("ERROR without an end");
    let last = follower.end();
    assert_eq!(last.iter().map(|bin| bin.matched).sum::<u64>(), 1);
}

#[test]
fn a_file_that_is_renamed_is_read_to_its_end() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    place.write("ERROR 1\n");
    let old = place.dir.path().join("logs/app.log.1");
    fs::rename(&place.log, &old).unwrap();
    append(&old, "ERROR 2\n");
    assert_eq!(matched(&mut follower), 2);
    append(&old, "ERROR 3\nERROR the last");
    place.write("ERROR 4\n");
    append(&old, "\n");
    assert_eq!(matched(&mut follower), 3);
    append(&old, "ERROR 5\n");
    place.write("ERROR 6\n");
    assert_eq!(matched(&mut follower), 2, "a program may write on in the old file");
    fs::rename(&old, &place.log).unwrap();
    place.write("ERROR 7\n");
    assert_eq!(matched(&mut follower), 1, "nothing of it is read again");
}

#[test]
fn a_file_that_is_truncated_is_read_from_its_beginning() {
    let place = Place::new();
    place.write("ERROR before\nERROR before\n");
    let mut follower = place.follow().unwrap();
    place.write("ERROR 1\n");
    assert_eq!(matched(&mut follower), 1);
    for text in ["ERROR 2\n", &"ERROR longer than all that stood there before\n".repeat(4)] {
        OpenOptions::new().write(true).open(&place.log).unwrap().set_len(0).unwrap();
        place.write(text);
        let bin = bin(&mut follower);
        assert_eq!(bin.matched, text.lines().count() as u64);
        let missed = bin.missed.unwrap();
        assert!(missed.contains("truncated"), "{missed}");
    }
    place.write("ERROR 3\n");
    assert_eq!(matched(&mut follower), 1);
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
fn links_lead_nowhere() {
    let place = Place::new();
    let secret = place.dir.path().join("secret");
    fs::write(&secret, "ERROR root's\n").unwrap();
    symlink(&secret, &place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("is a symbolic link"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    fs::hard_link(&secret, &place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("hard links"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    fs::create_dir(place.dir.path().join("logs/real")).unwrap();
    let real = place.dir.path().join("logs/real/app.log");
    append(&real, "ERROR before\n");
    symlink(&real, &place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("name the file that it leads to"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    // Somebody who may write to the directory swaps the file while it is read.
    fs::remove_file(&place.log).unwrap();
    symlink(&secret, &place.log).unwrap();
    append(&secret, "ERROR of somebody else\n");
    let bin = bin(&mut follower);
    assert_eq!(bin.matched, 0);
    assert!(bin.absent.unwrap().contains("is a symbolic link"));
}

#[test]
fn only_regular_files_are_read() {
    let place = Place::new();
    nix::unistd::mkfifo(&place.log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("not a regular file"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    fs::create_dir(&place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("not a regular file"), "{refused}");
}

#[test]
fn long_lines_and_floods_are_said() {
    let place = Place::new();
    place.write("");
    let mut follower = place.follow().unwrap();
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
