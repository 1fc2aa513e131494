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

/// Looks, and returns the bin so far. On a busy machine a look may take a second, and return a whole bin.
fn bin(follower: &mut Follower) -> LogBin {
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    follower.look(&bounds).unwrap_or_else(|| follower.counter.seal())
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
    assert_eq!(kept, ["ERROR two", "ERROR three password=*** ", "ERROR"]);
    assert!(bin.first_boot_us.unwrap() <= bin.last_boot_us.unwrap());
    place.write("ERROR without an end");
    assert_eq!(matched(&mut follower), 0);
    place.write("\nERROR after the last look\n");
    assert_eq!(follower.end().matched, 1, "what was read is counted, and nothing more is read");
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
fn a_rotated_file_that_was_quiet_is_still_read() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    let old = place.rename("app.log.1");
    place.write("ERROR 1\n");
    assert_eq!(matched(&mut follower), 1);
    // An hour ago.
    follower.swept_us = 0;
    follower.old[0].news_us = 0;
    assert_eq!(matched(&mut follower), 0);
    append(&old, "ERROR 2\n");
    assert_eq!(matched(&mut follower), 1);
    fs::remove_file(&old).unwrap();
    assert_eq!(matched(&mut follower), 0);
    follower.swept_us = 0;
    follower.old[0].news_us = 0;
    assert_eq!(matched(&mut follower), 0);
    assert!(follower.old.is_empty(), "no program can write to it any more");
}

#[test]
fn a_removed_file_that_a_program_has_open_is_still_read() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    let log = OpenOptions::new().append(true).open(&place.log).unwrap();
    let mut program = std::process::Command::new("sh")
        .args(["-c", "read line; echo $line"])
        .stdin(std::process::Stdio::piped())
        .stdout(log)
        .spawn()
        .unwrap();
    fs::remove_file(&place.log).unwrap();
    place.write("");
    assert_eq!(matched(&mut follower), 0);
    follower.swept_us = 0;
    follower.old[0].news_us = 0;
    assert_eq!(matched(&mut follower), 0);
    program.stdin.take().unwrap().write_all(b"ERROR 1\n").unwrap();
    program.wait().unwrap();
    assert_eq!(matched(&mut follower), 1);
}

#[test]
fn what_is_closed_for_want_of_room_is_said_for_good() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    place.write("ERROR begun");
    for round in 0..=OLD_MOST {
        assert_eq!(matched(&mut follower), 0, "{round}");
        place.rename(&format!("old-{round}"));
        place.write("");
    }
    let closed = bin(&mut follower);
    let first = closed.missed.unwrap();
    assert!(first.contains("more than 8 times"), "{first}");
    assert_eq!(closed.matched, 1, "the line that had begun");
    assert_eq!(bin(&mut follower).missed, Some(first), "programs may write there as long as they like");
    // The closed file gets its name back.
    place.rename("old-9");
    fs::rename(place.other("old-0"), &place.log).unwrap();
    place.write(" ERROR ended\nERROR 1\n");
    assert_eq!(bin(&mut follower).matched, 1, "nothing of it is read again, and no line is counted twice");
}

#[test]
fn a_name_that_is_back_is_the_file_that_was_read() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    let Opened { file, about, listed } =
        open(&follower.entries, place.log.to_str().unwrap(), None).ok().unwrap();
    // The name was gone when it was looked at, and is back when it is opened.
    assert!(!follower.take(Opened { file, about, listed }, boot_us()));
    assert_eq!(matched(&mut follower), 0);
}

#[test]
fn old_lines_of_a_file_that_is_renamed_into_place_are_not_counted() {
    let place = Place::new();
    place.write("ERROR before\n");
    let old = place.rename("app.log.1");
    place.write("");
    let mut follower = place.follow().unwrap();
    follower.times.shift(10_000_000);
    fs::rename(&old, &place.log).unwrap();
    let found = bin(&mut follower);
    assert_eq!(found.matched, 0);
    assert!(found.missed.unwrap().contains("older than the run"));
    place.write("ERROR 1\n");
    assert_eq!(matched(&mut follower), 1);
}

#[test]
fn a_change_without_growth_is_said() {
    let place = Place::new();
    place.write("ERROR 1\n");
    let mut follower = place.follow().unwrap();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let set = |text: &str, seconds| {
        fs::write(&place.log, text).unwrap();
        OpenOptions::new().write(true).open(&place.log).unwrap().set_modified(at(seconds)).unwrap();
    };
    set("ERROR 2\n", 1000);
    let other = bin(&mut follower);
    assert_eq!(other.matched, 1, "other lines of the same length are read");
    assert!(other.missed.unwrap().contains("truncated"));
    set("ERROR 2\n", 2000);
    assert_eq!(matched(&mut follower), 0, "it may grow at any moment");
    // Two seconds ago.
    follower.now.as_mut().unwrap().unsure_us = Some(0);
    let same = bin(&mut follower);
    assert_eq!(same.matched, 0);
    assert!(same.missed.unwrap().contains("did not grow"));
    assert_eq!(matched(&mut follower), 0);
    set("ERROR 2\n", 3000);
    assert_eq!(matched(&mut follower), 0);
    assert!(follower.end().missed.unwrap().contains("did not grow"), "at the end nothing is waited for");
}

/// As on a slow disk: the kernel sets the time of change when an append begins, and the length when it is done.
#[test]
fn an_append_that_takes_its_time_misses_nothing() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    assert_eq!(matched(&mut follower), 0);
    let (read_us, before_us) = (follower.counter.read_until_us, boot_us());
    let later = SystemTime::now() + Duration::from_secs(5);
    OpenOptions::new().write(true).open(&place.log).unwrap().set_modified(later).unwrap();
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    assert_eq!(follower.look(&bounds), None);
    assert_eq!(follower.counter.read_until_us, read_us, "nobody knows yet that all was read");
    place.write("ERROR one\n");
    let found = bin(&mut follower);
    assert_eq!((found.matched, found.missed), (1, None));
    assert!(found.first_boot_us.unwrap() <= before_us, "it may have been written while nothing was known");
}

#[test]
fn a_key_that_is_cut_off_hides_nothing_of_what_follows() {
    let place = Place::new();
    place.write("");
    let mut follower = place.follow().unwrap();
    place.write("-----BEGIN PRIVATE KEY-----\n");
    assert_eq!(matched(&mut follower), 0);
    OpenOptions::new().write(true).open(&place.log).unwrap().set_len(0).unwrap();
    place.write("ERROR\n");
    let after = bin(&mut follower);
    assert_eq!((after.matched, after.kept[0].text.as_str()), (1, "ERROR"));
}

#[test]
fn a_line_that_was_begun_earlier_may_have_been_written_then() {
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
fn a_file_that_was_refused_before_is_as_old_as_its_birth() {
    let place = Place::new();
    let mut follower = place.follow().unwrap();
    place.write("ERROR 1\n");
    let link = place.dir.path().join("link");
    fs::hard_link(&place.log, &link).unwrap();
    let refused = bin(&mut follower);
    assert!(refused.absent.unwrap().contains("hard links"));
    let looked = boot_us();
    fs::remove_file(&link).unwrap();
    let found = bin(&mut follower);
    assert!(found.matched == 1 && found.first_boot_us.unwrap() < looked, "{found:?}");
}

#[test]
fn a_file_between_two_looks_is_said() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    place.rename("app.log.2");
    place.write("ERROR between\n");
    place.rename("app.log.1");
    place.write("ERROR 1\n");
    let found = bin(&mut follower);
    assert_eq!(found.matched, 1);
    let missed = found.missed.unwrap();
    assert!(missed.contains("app.log.1 was not read"), "{missed}");
}

#[test]
fn another_directory_in_the_place_of_the_listed_one_is_refused() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    fs::rename(place.dir.path().join("logs"), place.dir.path().join("moved")).unwrap();
    fs::create_dir(place.dir.path().join("logs")).unwrap();
    place.write("ERROR of somebody else\n");
    let found = bin(&mut follower);
    assert_eq!(found.matched, 0);
    assert!(found.absent.unwrap().contains("became another directory"));
}

#[test]
fn files_and_links_of_root_and_of_others_are_told_apart() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let place = Place::new();
    place.write("ERROR before\n");
    chown(place.other(""), Some(12345), None).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("in a directory of user 12345"), "{refused}");
    chown(&place.log, Some(12345), None).unwrap();
    assert!(place.follow().is_ok());
    // Who may write to the directory above puts a link to another directory there.
    fs::rename(place.other(""), place.dir.path().join("moved")).unwrap();
    let link = place.dir.path().join("logs");
    symlink(place.dir.path().join("moved"), &link).unwrap();
    assert!(place.follow().is_ok(), "root may link");
    std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("only root's are followed"), "{refused}");
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
fn time_that_was_spent_between_two_looks_is_told_with_the_first_line_that_it_costs() {
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

#[test]
fn lines_of_a_copy_that_takes_the_name_are_not_counted_again() {
    let place = Place::new();
    place.write(&"ERROR an old line, which the copy has too\n".repeat(20));
    let mut follower = place.follow().unwrap();
    place.write("ERROR new\n");
    assert_eq!(matched(&mut follower), 1);
    // As `sed -i` does it, and editors, and rsync.
    let text = fs::read_to_string(&place.log).unwrap();
    fs::write(place.other("sedXYZ"), text.replace("new", "changed")).unwrap();
    fs::rename(place.other("sedXYZ"), &place.log).unwrap();
    let copied = bin(&mut follower);
    assert_eq!(copied.matched, 0);
    assert!(copied.missed.is_some_and(|why| why.contains("replaced by a copy")));
    place.write("ERROR after\n");
    assert_eq!(matched(&mut follower), 1);
}
