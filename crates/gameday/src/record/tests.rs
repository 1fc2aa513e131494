use std::{collections::BTreeMap, fs, sync::Barrier, thread};

use firedrill_wire::Span;
use jiff::Timestamp;

use super::*;
use crate::file::GoNoGo;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const SLOT: &str = "2026-12-04T14:00";
/// For [`agree`]: the person agrees.
const GO: bool = true;
/// For [`agree`]: the person withdraws an agreement.
const NO_GO: bool = false;

fn ended(exit: u8) -> Event {
    Event::Ended { exit, why: None }
}

fn begun(by: &str) -> Event {
    let (agreed, unasked) = (Vec::new(), Vec::new());
    Event::Begun { by: by.to_owned(), file: String::new(), agreed, unasked, drawn: None }
}

#[test]
fn the_words_of_reasons_are_those_in_records_and_docs() {
    let page = include_str!("../../../../docs/serve.md");
    let all = [
        Reason::Closed,
        Reason::Skipped,
        Reason::NoGo,
        Reason::Promotion,
        Reason::Budget,
        Reason::Busy,
        Reason::Incident,
        Reason::Unasked,
        Reason::Other,
    ];
    for (index, reason) in all.into_iter().enumerate() {
        assert_eq!(reason as usize, index, "the list has all reasons, in order");
        assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.word()));
        assert!(page.contains(&format!("`{}`", reason.word())), "docs/serve.md lacks {}", reason.word());
    }
}

#[test]
fn of_eight_claims_at_once_one_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(8);
    let claimed = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    Writer::claim(home.path(), "friday", SLOT).is_ok()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|claimed| *claimed).count()
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
    let touched_nothing = || of_slot(home.path(), "friday", SLOT).unwrap().unwrap().touched_nothing();
    assert!(touched_nothing());
    writer.write(at("2026-12-04T13:00:00.25Z"), begun("room")).unwrap();
    assert!(!touched_nothing(), "the line of a run may be lost");
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
fn the_newest_records_are_returned_first_up_to_the_maximum() {
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
    agree(home.path(), ("daily", "2026-12-09T14:00"), ("alice", GO), at("2026-12-01T00:00:00Z")).unwrap();
    fs::write(home.path().join(FOLDER).join("stray"), "").unwrap();
    let slots: Vec<String> = all(home.path(), 2).unwrap().into_iter().map(|record| record.slot).collect();
    assert_eq!(slots, ["2026-12-05T14:00", "2026-12-04T14:00"]);
    assert_eq!(all(home.path(), 10).unwrap().len(), 5);
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for (gameday, slot) in
        [("..", SLOT), ("friday", "../../etc"), ("a/b", SLOT), ("", SLOT), ("friday", ".x")]
    {
        let refused = folder(home.path(), gameday, slot).unwrap_err().to_string();
        assert!(refused.contains("names no slot"), "{refused}");
        assert!(Writer::claim(home.path(), gameday, slot).is_err());
        assert!(agree(home.path(), (gameday, slot), ("a", GO), at("2026-12-01T00:00:00Z")).is_err());
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");
}

/// Writes lines of agreement (time, person, [`GO`] or [`NO_GO`]) and counts them for a start at 14:00. Two of three people have to agree; an
/// agreement counts for 30 minutes.
fn agreed(lines: &[(&str, &str, bool)]) -> Go {
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
    for (time, person, is_go) in lines {
        agree(home.path(), ("friday", SLOT), (person, *is_go), at(&format!("2026-12-04T{time}Z"))).unwrap();
    }
    let read = agreements(home.path(), "friday", SLOT).unwrap();
    assert_eq!(read.len(), lines.len());
    go(&wanted, &roles, &read, at("2026-12-04T14:00:00Z"))
}

#[test]
fn agreements_count_by_role_time_and_the_last_line_of_each_person() {
    let go = agreed(&[("13:40:00", "alice", GO), ("13:50:00", "bob", GO)]);
    assert!(go.is_go(), "{go:?}");
    assert_eq!(go.words(), "2 of 2 agreed (alice, bob)");
    let early = agreed(&[("13:29:59", "alice", GO), ("13:30:00", "bob", GO)]);
    assert!(!early.is_go());
    assert_eq!(early.words(), "1 of 2 agreed (bob); missing: alice (commander), carol (oncall)");
    assert!(!agreed(&[("13:40:00", "alice", GO), ("14:00:01", "bob", GO)]).is_go(), "after the start");
    assert!(!agreed(&[("13:40:00", "alice", GO), ("13:41:00", "eve", GO)]).is_go(), "another role");
    assert!(!agreed(&[("13:40:00", "alice", GO), ("13:41:00", "alice", GO)]).is_go(), "one person");
    let back = [("13:40:00", "alice", GO), ("13:41:00", "bob", GO), ("13:50:00", "bob", NO_GO)];
    assert_eq!(agreed(&back).agreed, ["alice"]);
    let again = [("13:20:00", "bob", GO), ("13:40:00", "alice", GO), ("13:55:00", "bob", GO)];
    assert!(agreed(&again).is_go(), "an agreement that would have expired is given again");
}

#[test]
fn only_a_missed_slot_can_be_claimed_late_and_only_once() {
    let home = tempfile::tempdir().unwrap();
    let state = || of_slot(home.path(), "friday", SLOT).unwrap().unwrap().state;
    let now = at("2026-12-04T14:10:00Z");
    let why = || "no control room ran".to_owned();
    Writer::claim(home.path(), "friday", SLOT).unwrap().write(now, Event::Missed { why: why() }).unwrap();
    assert!(matches!(Writer::claim(home.path(), "friday", SLOT), Err(NotClaimed::Taken)));
    let mut late = Writer::claim_late(home.path(), "friday", SLOT).unwrap();
    assert!(
        matches!(Writer::claim_late(home.path(), "friday", SLOT), Err(NotClaimed::Taken)),
        "somebody holds it"
    );
    assert_eq!(state(), State::GoesOn, "somebody starts it late");
    late.write(now, begun("ann")).unwrap();
    assert_eq!(state(), State::GoesOn);
    late.write(now, ended(1)).unwrap();
    drop(late);
    assert_eq!(state(), State::Ended(1));
    assert!(matches!(Writer::claim_late(home.path(), "friday", SLOT), Err(NotClaimed::Taken)), "it was held");
    let mut skipped = Writer::claim_late(home.path(), "monday", SLOT).unwrap();
    skipped.write(now, Event::not_held(Reason::Other, why())).unwrap();
    drop(skipped);
    assert!(
        matches!(Writer::claim_late(home.path(), "monday", SLOT), Err(NotClaimed::Taken)),
        "it was skipped"
    );
}

#[test]
fn records_that_cannot_be_read_are_reported_and_do_not_block() {
    let home = tempfile::tempdir().unwrap();
    let path = |slot: &str| {
        let folder = folder(home.path(), "friday", slot).unwrap();
        fs::create_dir_all(&folder).unwrap();
        folder.join(FILE)
    };
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", path("link")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("large"), "x".repeat(2 << 20)).unwrap();
    fs::write(path("bytes"), b"\xff\xfe\n").unwrap();
    fs::write(path("newer"), "{\"v\":2,\"at\":\"2027-01-01T00:00:00Z\",\"event\":\"ended\",\"exit\":0}\n")
        .unwrap();
    let records = all(home.path(), 10).unwrap();
    assert_eq!(records.len(), 6);
    for record in records {
        let unreadable = matches!(record.state, State::Unreadable(_));
        assert_eq!(
            unreadable,
            ["pipe", "link", "folder", "large"].contains(&record.slot.as_str()),
            "{record:?}"
        );
        assert!(!record.touched_nothing(), "it is not certain: {record:?}");
    }
    fs::write(path("clean"), "{\"v\":1,\"at\":\"a\",\"event\":\"missed\",\"why\":\"\\u001b[31m\\u202e\"}\n")
        .unwrap();
    let State::Missed(why) = of_slot(home.path(), "friday", "clean").unwrap().unwrap().state else {
        panic!()
    };
    assert!(!why.contains(['\u{1b}', '\u{202e}']), "{why:?}");
}

#[test]
fn an_agreement_after_an_unfinished_line_counts_and_one_to_a_start_by_hand_counts_once() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path(), "friday", NOW).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(AGREED), b"\xff{\"v\":1,\"at\":\"2026").unwrap();
    let now = at("2026-12-04T13:00:00Z");
    agree(home.path(), ("friday", NOW), ("alice", GO), now).unwrap();
    let given = || agreements(home.path(), "friday", NOW).unwrap().len();
    assert_eq!(given(), 1);
    let mut record = Writer::claim(home.path(), "friday", "by-hand-20261204T130500.000Z").unwrap();
    assert_eq!(given(), 1, "it has not begun");
    record.write(at("2026-12-04T13:05:00Z"), begun("ann")).unwrap();
    assert_eq!(given(), 0, "it was for that start");
    agree(home.path(), ("friday", NOW), ("alice", GO), at("2026-12-04T13:06:00Z")).unwrap();
    assert_eq!(given(), 1);
}

#[test]
fn an_unfinished_line_is_left_out_and_long_names_work() {
    let home = tempfile::tempdir().unwrap();
    let long = "n".repeat(150);
    let mut record = Writer::claim(home.path(), &long, SLOT).unwrap();
    record.write(at("2026-12-04T13:00:00Z"), ended(0)).unwrap();
    assert_eq!(
        of_slot(home.path(), &long, SLOT).unwrap().unwrap().state,
        State::Ended(0),
        "as long as names may be"
    );
    assert_eq!(
        read::lines("{\"v\":1,\"at\"\n\n{\"v\":1,\"at\":\"a\",\"event\":\"ended\",\"exit\":6}\n").1,
        1
    );
}

#[test]
fn a_skip_names_the_person_and_its_reason_in_one_line() {
    let skipped = |why: &str| Event::skipped("bob", why);
    let held = |why: &str| Event::not_held(Reason::Skipped, why.to_owned());
    assert_eq!(skipped(" "), held("skipped by bob"));
    assert_eq!(skipped("a release\nis late"), held("skipped by bob: a release is late"));
    let Event::NotHeld { why, .. } = skipped("freeze \u{202e}") else { panic!("a skip") };
    assert!(!why.contains('\u{202e}'), "{why:?}");
}

#[test]
fn the_reason_and_the_alerts_of_a_slot_that_was_not_held_are_kept_and_earlier_records_have_none() {
    let home = tempfile::tempdir().unwrap();
    let firing = Firing {
        source: "am".to_owned(),
        alert: "Down {zone=\"\u{202e}a\"}".to_owned(),
        since: Some("2026-12-04T12:40:00Z".to_owned()),
        hushed: Some("silenced (silence 1)".to_owned()),
    };
    assert_eq!(
        Firing { alert: "Down".to_owned(), ..firing.clone() }.words(),
        "Down since 2026-12-04T12:40:00Z, silenced (silence 1) (source am)"
    );
    let event = Event::NotHeld {
        why: "an incident is running".to_owned(),
        reason: Reason::Incident,
        firing: vec![firing],
    };
    let mut record = Writer::claim(home.path(), "friday", SLOT).unwrap();
    record.write(at("2026-12-04T13:00:00Z"), event).unwrap();
    let text = fs::read_to_string(record.path()).unwrap();
    assert!(text.contains("\"reason\":\"incident\""), "{text}");
    let read = of_slot(home.path(), "friday", SLOT).unwrap().unwrap();
    assert_eq!(read.reason(), Some(Reason::Incident));
    let Event::NotHeld { firing, .. } = &read.lines[0].event else { panic!("{read:?}") };
    assert_eq!(firing[0].since.as_deref(), Some("2026-12-04T12:40:00Z"));
    assert!(!firing[0].alert.contains('\u{202e}'), "{firing:?}");
    // Records of other versions: without a kind, and with one that is not known here.
    let line = |rest: &str| format!("{{\"v\":1,\"at\":\"a\",\"event\":\"not-held\",\"why\":\"w\"{rest}}}\n");
    for rest in ["", ",\"reason\":\"eclipse\""] {
        fs::write(record.path(), line(rest)).unwrap();
        let read = of_slot(home.path(), "friday", SLOT).unwrap().unwrap();
        assert_eq!((read.reason(), read.left_out), (Some(Reason::Other), 0), "{rest}");
    }
}

#[test]
fn drills_that_began_or_may_have_begun_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let claim = |slot: &str| Writer::claim(home.path(), "chaos", slot).unwrap();
    let now = at("2026-12-06T00:00:10Z");
    let counted = |but: &str| {
        let mut drills = beginnings(home.path(), "chaos", but, now).unwrap();
        drills.sort_by(|left, right| left.slot.cmp(&right.slot));
        drills
    };
    assert_eq!(counted(""), [], "there is no folder");
    let begun = || Event::Begun {
        by: "room".to_owned(),
        file: "chaos.toml".to_owned(),
        agreed: Vec::new(),
        unasked: Vec::new(),
        drawn: Some(Draw { seed: 7, of: 3, attacks: vec!["stop".to_owned()] }),
    };
    let (early, late) = (at("2026-12-03T10:00:00Z"), at("2026-12-04T10:00:00Z"));
    claim("2026-12-01T10:00").write(early, Event::not_held(Reason::Budget, "used up".to_owned())).unwrap();
    claim("2026-12-02T10:00").write(early, Event::Missed { why: "nobody ran".to_owned() }).unwrap();
    let mut died = claim("2026-12-03T10:00");
    died.write(early, begun()).unwrap();
    drop(died);
    let mut held = claim("by-hand-20261204T100000.000Z");
    held.write(late, begun()).unwrap();
    held.write(late, ended(0)).unwrap();
    let expected = |slot: &str, at| crate::Beginning { slot: slot.to_owned(), at };
    let both = [expected("2026-12-03T10:00", early), expected("by-hand-20261204T100000.000Z", late)];
    assert_eq!(counted(""), both);
    assert_eq!(counted("2026-12-03T10:00"), both[1..]);
    // A program that has claimed a slot is about to begin.
    let beginning = claim("2026-12-05T10:00");
    let about_to = |slot: &str| counted("").contains(&expected(slot, now));
    assert!(about_to("2026-12-05T10:00"), "its beginning counts as now");
    drop(beginning);
    let late = Writer::claim_late(home.path(), "chaos", "2026-12-02T10:00").unwrap();
    assert!(about_to("2026-12-02T10:00"), "one that was missed is started late");
    drop(late);
    fs::create_dir_all(home.path().join(FOLDER).join("chaos/no\u{1b}[31m slot")).unwrap();
    assert!(counted("").iter().all(|drill| !drill.slot.contains('\u{1b}')));
    assert_eq!(counted(""), both, "its program ended before it began");
    // A line of another version may be a beginning.
    let path = folder(home.path(), "chaos", "2026-12-05T10:00").unwrap().join(FILE);
    fs::write(path, "{\"v\":9,\"event\":\"begun\"}\n").unwrap();
    assert!(counted("").iter().any(|drill| drill.slot == "2026-12-05T10:00"));
}
