//! Files that are changed in place: truncated, or written without growth.

use super::*;

#[test]
fn a_file_that_is_truncated_is_read_from_its_beginning() {
    let place = Place::new();
    place.write("ERROR before\nERROR before\n");
    let mut follower = place.follow().unwrap();
    place.write("ERROR 1\n");
    assert_eq!(matched(&mut follower), 1);
    for text in ["ERROR 2\n", &"ERROR longer than the whole file was before\n".repeat(4)] {
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
fn a_change_without_growth_is_reported() {
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
    // As if the change was more than two seconds ago.
    follower.now.as_mut().unwrap().unsure_us = Some(0);
    let same = bin(&mut follower);
    assert_eq!(same.matched, 0);
    assert!(same.missed.unwrap().contains("did not grow"));
    assert_eq!(matched(&mut follower), 0);
    set("ERROR 2\n", 3000);
    assert_eq!(matched(&mut follower), 0);
    assert!(follower.end().missed.unwrap().contains("did not grow"), "at the end the follower does not wait");
}

/// On a slow disk the kernel sets the time of change when an append begins, and the length much later, when it is done.
#[test]
fn no_line_of_a_slow_append_is_missed() {
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
    assert_eq!(follower.counter.read_until_us, read_us, "it is not certain yet that everything was read");
    place.write("ERROR one\n");
    let found = bin(&mut follower);
    assert_eq!((found.matched, found.missed), (1, None));
    assert!(
        found.first_boot_us.unwrap() <= before_us,
        "it may have been written since the last certain read"
    );
}

#[test]
fn an_unfinished_key_in_a_truncated_file_hides_no_later_line() {
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
