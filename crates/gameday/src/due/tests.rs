use std::path::Path;

use firedrill_plan::diagnostic::Sink;

use super::*;
use crate::{read::read, times::zones};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns a game day with a schedule.
fn gameday(folder: &Path, schedule: &str) -> Gameday {
    let file = folder.join("day.toml");
    let text = format!(
        "schema = 1\nname = \"day\"\nscenarios = [\"s.toml\"]\nfleet = \"f.toml\"\nschedule = {{ {schedule}, zone = \"UTC\" }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut sink = Sink::default();
    let read = read(&file, &zones(), at("2026-01-01T00:00:00Z"), &mut sink);
    read.unwrap_or_else(|| panic!("{}", sink.into_report().render(false, 100)))
}

/// Returns the decisions about slots: each slot's civil time, and `start` or the reason why it was missed.
fn told(gameday: &Gameday, changed: &str, since: &str, now: &str) -> Vec<String> {
    let due = due(gameday, at(changed), at(since), at(now)).into_iter();
    let told = due.map(|(slot, fate)| match fate {
        Fate::Start => format!("{} start", slot.civil_text()),
        Fate::Missed(why) => format!("{} {why}", slot.civil_text()),
    });
    told.collect()
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

#[test]
fn a_slot_is_due_once_from_its_time_on_and_missed_after_a_minute() {
    let home = tempfile::tempdir().unwrap();
    let daily = gameday(home.path(), "cron = \"0 14 * * *\"");
    let told = |since, now| told(&daily, LONG_AGO, since, now);
    assert_eq!(told("2026-12-04T13:59:30Z", "2026-12-04T13:59:59.999Z"), [""; 0]);
    assert_eq!(told("2026-12-04T13:59:30Z", "2026-12-04T14:00:00Z"), ["2026-12-04T14:00 start"]);
    assert_eq!(told("2026-12-04T14:00:00Z", "2026-12-04T14:00:30Z"), [""; 0], "it was due before");
    assert_eq!(told("2026-12-04T13:00:00Z", "2026-12-04T14:01:00Z"), ["2026-12-04T14:00 start"]);
    assert_eq!(
        told("2026-12-04T13:00:00Z", "2026-12-04T14:01:01Z"),
        ["2026-12-04T14:00 no control room ran at its time"]
    );
    // The clock was set back: nothing is due twice.
    assert_eq!(told("2026-12-04T14:00:30Z", "2026-12-04T13:59:00Z"), [""; 0]);
}

#[test]
fn after_a_pause_missed_slots_are_returned_and_at_most_the_last_is_started() {
    let home = tempfile::tempdir().unwrap();
    let often = gameday(home.path(), "cron = \"*/15 * * * *\"");
    let all = told(&often, LONG_AGO, "2026-12-04T09:50:00Z", "2026-12-04T11:00:10Z");
    assert_eq!(all.len(), 5);
    assert!(all[..4].iter().all(|text| text.ends_with("no control room ran at its time")), "{all:?}");
    assert_eq!(all[4], "2026-12-04T11:00 start");
    let many = told(&often, LONG_AGO, "2026-11-04T09:50:00Z", "2026-12-04T11:00:10Z");
    assert_eq!((many.len(), many[19].as_str()), (TOLD, "2026-12-04T11:00 start"), "the newest");
}

#[test]
fn a_file_that_comes_after_the_time_of_its_slot_starts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let daily = gameday(home.path(), "cron = \"0 14 * * *\"");
    let told = |changed| told(&daily, changed, "2026-12-04T13:59:50Z", "2026-12-04T14:00:20Z");
    assert_eq!(told("2026-12-04T13:59:59Z"), ["2026-12-04T14:00 start"]);
    assert_eq!(told("2026-12-04T14:00:01Z"), ["2026-12-04T14:00 its file was changed after its time"]);
}

#[test]
fn the_next_start_includes_the_delay() {
    let home = tempfile::tempdir().unwrap();
    let late = gameday(home.path(), "cron = \"0 14 * * *\", jitter = \"1h\"");
    let first = next(&late, at("2026-12-04T12:00:00Z")).unwrap();
    assert!(first > at("2026-12-04T14:00:00Z") && first <= at("2026-12-04T15:00:00Z"), "{first}");
    let before = first - SignedDuration::from_secs(1);
    assert_eq!(due(&late, at(LONG_AGO), before, first).len(), 1);
    assert_eq!(due(&late, at(LONG_AGO), at("2026-12-04T13:00:00Z"), before), []);
    let once = gameday(home.path(), "once = \"2026-12-04T14:00\"");
    assert_eq!(next(&once, at("2026-12-04T14:00:00Z")), None);
    let daily = gameday(home.path(), "cron = \"0 14 * * *\"");
    assert_eq!(next(&daily, at("2026-12-04T14:00:00Z")), Some(at("2026-12-05T14:00:00Z")));
}
