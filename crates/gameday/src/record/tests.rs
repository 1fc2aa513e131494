use std::{collections::BTreeMap, fs, sync::Barrier, thread};

use firedrill_wire::Span;
use jiff::Timestamp;

use super::*;
use crate::file::GoNoGo;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const SLOT: &str = "2026-12-04T14:00";

fn ended(exit: u8) -> Event {
    Event::Ended { exit, why: None }
}

#[test]
fn of_all_who_claim_a_slot_at_once_one_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(8);
    let claimed = thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    Writer::claim(home.path(), "friday", SLOT).is_ok()
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).filter(|claimed| *claimed).count()
    });
    assert_eq!(claimed, 1);
    assert!(matches!(Writer::claim(home.path(), "friday", SLOT), Err(NotClaimed::Taken)));
    assert!(Writer::claim(home.path(), "friday", "2026-12-11T14:00").is_ok(), "another slot");
    assert!(Writer::claim(home.path(), "monday", SLOT).is_ok(), "another game day");
}

#[test]
fn a_record_goes_on_until_its_writer_ends_it_or_dies() {
    let home = tempfile::tempdir().unwrap();
    let state = |slot: &str| of_slot(home.path(), "friday", slot).unwrap().map(|record| record.state);
    assert_eq!(state(SLOT), None);
    let mut writer = Writer::claim(home.path(), "friday", SLOT).unwrap();
    assert_eq!(state(SLOT), Some(State::GoesOn));
    let begun = Event::Begun { by: "room".to_owned(), file: "friday.toml".to_owned(), agreed: Vec::new() };
    writer.write(at("2026-12-04T13:00:00.25Z"), begun).unwrap();
    let run = |run: &str| Event::RunBegun { scenario: 1, name: "kill".to_owned(), run: run.to_owned() };
    writer.write(at("2026-12-04T13:00:01Z"), run("run-1")).unwrap();
    writer.write(at("2026-12-04T13:05:01Z"), run("run-2")).unwrap();
    assert_eq!(state(SLOT), Some(State::GoesOn));
    drop(writer);
    assert_eq!(state(SLOT), Some(State::Died));
    // The last line of a program that died may be torn.
    let path = folder(home.path(), "friday", SLOT).unwrap().join(FILE);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole, b"{\"at\":\"2026".as_slice()].concat()).unwrap();
    let record = of_slot(home.path(), "friday", SLOT).unwrap().unwrap();
    assert_eq!(record.runs().collect::<Vec<_>>(), ["run-1", "run-2"]);
    assert_eq!((record.at(), &record.state), ("2026-12-04T13:00:00.250Z", &State::Died));

    let mut other = Writer::claim(home.path(), "friday", "2026-12-11T14:00").unwrap();
    other.write(at("2026-12-11T13:00:00Z"), ended(3)).unwrap();
    assert_eq!(state("2026-12-11T14:00"), Some(State::Ended(3)), "also before its writer is gone");
}

#[test]
fn records_come_the_newest_first_and_not_all_of_them() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(all(home.path(), 10).unwrap(), []);
    for day in 1..=5 {
        let slot = format!("2026-12-0{day}T14:00");
        let mut writer = Writer::claim(home.path(), "daily", &slot).unwrap();
        writer.write(at(&format!("2026-12-0{day}T13:00:00Z")), ended(0)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000 + day);
        fs::File::open(writer.path()).unwrap().set_modified(time).unwrap();
    }
    // An agreement alone is no record.
    agree(home.path(), ("daily", "2026-12-09T14:00"), ("alice", true), at("2026-12-01T00:00:00Z")).unwrap();
    fs::write(home.path().join(FOLDER).join("stray"), "").unwrap();
    let slots: Vec<String> = all(home.path(), 2).unwrap().into_iter().map(|record| record.slot).collect();
    assert_eq!(slots, ["2026-12-05T14:00", "2026-12-04T14:00"]);
    assert_eq!(all(home.path(), 10).unwrap().len(), 5);
}

#[test]
fn names_that_lead_elsewhere_are_no_slots() {
    let home = tempfile::tempdir().unwrap();
    for (gameday, slot) in
        [("..", SLOT), ("friday", "../../etc"), ("a/b", SLOT), ("", SLOT), ("friday", ".x")]
    {
        let refused = folder(home.path(), gameday, slot).unwrap_err();
        assert!(refused.contains("names no slot"), "{refused}");
        assert!(Writer::claim(home.path(), gameday, slot).is_err());
        assert!(agree(home.path(), (gameday, slot), ("a", true), at("2026-12-01T00:00:00Z")).is_err());
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");
}

/// Returns who has agreed to a start at 14:00, where two of three people are asked for within 30 minutes.
fn agreed(words: &[(&str, &str, bool)]) -> Go {
    let wanted = GoNoGo {
        people: 2,
        of: ["commander", "oncall", "scribe"].map(str::to_owned).to_vec(),
        expires: Span::secs(1800),
    };
    let roles: BTreeMap<String, String> =
        [("commander", "alice"), ("oncall", "carol"), ("scribe", "bob"), ("guest", "eve")]
            .map(|(role, person)| (role.to_owned(), person.to_owned()))
            .into();
    let home = tempfile::tempdir().unwrap();
    for (time, person, go) in words {
        agree(home.path(), ("friday", SLOT), (person, *go), at(&format!("2026-12-04T{time}Z"))).unwrap();
    }
    let read = agreements(home.path(), "friday", SLOT).unwrap();
    assert_eq!(read.len(), words.len());
    go(&wanted, &roles, &read, at("2026-12-04T14:00:00Z"))
}

#[test]
fn agreements_count_by_role_and_time_and_each_persons_last_word() {
    let go = agreed(&[("13:40:00", "alice", true), ("13:50:00", "bob", true)]);
    assert!(go.is_go(), "{go:?}");
    assert_eq!(go.words(), "2 of 2 agreed (alice, bob)");
    let early = agreed(&[("13:29:59", "alice", true), ("13:30:00", "bob", true)]);
    assert!(!early.is_go());
    assert_eq!(early.words(), "1 of 2 agreed (bob); missing: alice (commander), carol (oncall)");
    assert!(!agreed(&[("13:40:00", "alice", true), ("14:00:01", "bob", true)]).is_go(), "after the start");
    assert!(!agreed(&[("13:40:00", "alice", true), ("13:41:00", "eve", true)]).is_go(), "another role");
    assert!(!agreed(&[("13:40:00", "alice", true), ("13:41:00", "alice", true)]).is_go(), "one person");
    let back = [("13:40:00", "alice", true), ("13:41:00", "bob", true), ("13:50:00", "bob", false)];
    assert_eq!(agreed(&back).agreed, ["alice"]);
    let again = [("13:20:00", "bob", true), ("13:40:00", "alice", true), ("13:55:00", "bob", true)];
    assert!(agreed(&again).is_go(), "an agreement that would have expired is given again");
}
