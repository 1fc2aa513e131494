//! Files that are renamed, rotated, removed, or replaced by a copy.

use super::*;

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
    assert_eq!(matched(&mut follower), 2, "a program may still write to the old file");
    fs::rename(&old, &place.log).unwrap();
    place.write("ERROR 7\n");
    assert_eq!(matched(&mut follower), 1, "nothing of it is read again");
}

#[test]
fn a_rotated_file_that_was_quiet_is_still_read() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    let old = place.rename("app.log.1");
    place.write("ERROR 1\n");
    assert_eq!(matched(&mut follower), 1);
    // As if the last search and the last new bytes were long ago.
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
fn a_file_that_is_closed_because_there_are_too_many_is_reported_in_all_later_bins() {
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
    assert_eq!(bin(&mut follower).missed, Some(first), "programs may write to the closed file at any time");
    // The closed file gets its name back.
    place.rename("old-9");
    fs::rename(place.other("old-0"), &place.log).unwrap();
    place.write(" ERROR ended\nERROR 1\n");
    assert_eq!(bin(&mut follower).matched, 1, "nothing of it is read again, and no line is counted twice");
}

#[test]
fn a_file_whose_name_is_back_is_not_read_again() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    let Opened { file, about, listed } =
        open(&follower.entries, place.log.to_str().unwrap(), None).ok().unwrap();
    // As if the name was gone at the look, and is back when the file is opened.
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
fn a_file_that_had_the_name_only_between_two_looks_is_reported() {
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
fn lines_of_a_copy_that_takes_the_name_are_not_counted_again() {
    let place = Place::new();
    place.write(&"ERROR an old line, which the copy has too\n".repeat(20));
    let mut follower = place.follow().unwrap();
    place.write("ERROR new\n");
    assert_eq!(matched(&mut follower), 1);
    // `sed -i`, editors and rsync replace a file in this way.
    let text = fs::read_to_string(&place.log).unwrap();
    fs::write(place.other("sedXYZ"), text.replace("new", "changed")).unwrap();
    fs::rename(place.other("sedXYZ"), &place.log).unwrap();
    let copied = bin(&mut follower);
    assert_eq!(copied.matched, 0);
    assert!(copied.missed.is_some_and(|why| why.contains("replaced by a copy")));
    place.write("ERROR after\n");
    assert_eq!(matched(&mut follower), 1);
}
