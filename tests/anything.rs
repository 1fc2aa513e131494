//! Files with any content: reading them never panics, and each place that a message shows is in the file.

use std::path::Path;

use firedrill::{
    diagnostic::{Report, Sink},
    fleet::FleetSource,
    plan::inspect,
};
use proptest::prelude::*;

/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports, in columns.
const WIDTH: usize = 110;

/// Reads a text as a scenario and as a fleet.
fn read(text: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("any.toml");
    std::fs::write(&file, text).expect("written");
    let lib = directory.path().join("lib");
    std::fs::create_dir(&lib).expect("made");
    std::fs::copy("scenarios/lib/shop.toml", lib.join("shop.toml")).expect("copied");
    let valid = FleetSource::File("scenarios/fleet.toml".into());
    let found = inspect(&file, Some(&valid), &[("hold".to_owned(), "1m".to_owned())], Some(1));
    assert_eq!(found.plan.is_none(), found.report.failed());
    check(&found.report);
    let any = FleetSource::File(file);
    check(&inspect(Path::new("scenarios/demo.toml"), Some(&any), &[], Some(1)).report);
}

/// Reads a text as the calendar that a game day names.
fn read_calendar(text: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("holidays.ics"), text).expect("written");
    let file = directory.path().join("day.toml");
    let day = "schema = 1\nname = \"day\"\nscenarios = [\"a.toml\"]\nfleet = \"b.toml\"\nnot_on = [\"holidays.ics\"]\n\
               schedule = { cron = \"0 14 * * FRI\", zone = \"Europe/Berlin\" }\n";
    std::fs::write(&file, day).expect("written");
    let now = "2026-11-26T12:00:00Z".parse().expect("a time");
    let mut sink = Sink::default();
    let day = firedrill_gameday::read(&file, &firedrill_gameday::zones(), now, &mut sink);
    assert_eq!(day.is_none(), sink.failed());
    if let Some(day) = day {
        day.schedule.next(now, 60).iter().for_each(|slot| _ = day.why_closed(slot));
    }
    check(&sink.into_report());
}

/// Checks that a report can be shown with its places. The library that renders it writes the text here if it cannot.
fn check(report: &Report) {
    assert!(!report.render(PLAIN, WIDTH).contains("Failed to read contents"));
    for item in report.items() {
        assert!(item.line.is_none_or(|line| line > 0));
    }
}

/// Replaces some stretches of a text.
fn damaged(mut text: String, cuts: Vec<Cut>) -> String {
    for (from, length, instead) in cuts {
        let chars: Vec<char> = text.chars().collect();
        if chars.is_empty() {
            break;
        }
        let from = from.index(chars.len());
        let until = (from + length.index(8)).min(chars.len());
        let kept = chars[..from].iter().copied().chain(instead.chars());
        text = kept.chain(chars[until..].iter().copied()).collect();
    }
    text
}

/// The start of a stretch, its length, and the text that replaces it.
type Cut = (prop::sample::Index, prop::sample::Index, String);

/// Exchanges two lines of a text.
fn exchanged(text: &str, a: prop::sample::Index, b: prop::sample::Index) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let (a, b) = (a.index(lines.len()), b.index(lines.len()));
    lines.swap(a, b);
    lines.join("\n")
}

/// Returns the text of a file of this repository.
fn text_of(seed: &str) -> String {
    std::fs::read_to_string(seed).expect("read")
}

/// The valid files from which others are made.
const SEEDS: [&str; 4] =
    ["scenarios/demo.toml", "scenarios/ci-gate.toml", "scenarios/network-block.toml", "scenarios/fleet.toml"];
/// The calendars from which others are made.
const CALENDARS: [&str; 2] = ["gamedays/holidays.ics", "tests/wrong/holidays.ics"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
        read_calendar(&bytes);
    }

    #[test]
    fn any_text_of_the_alphabet(text in "[\\[\\]{}=\"',.\\n a-zéλ0-9#_-]{0,300}") {
        read(text.as_bytes());
    }

    #[test]
    fn valid_files_with_damage(
        seed in 0_usize..SEEDS.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\[\\]{}=\" \\n0-9a-zß%]{0,6}"), 1..6),
    ) {
        read(damaged(text_of(SEEDS[seed]), cuts).as_bytes());
    }

    #[test]
    fn valid_files_with_lines_exchanged(seed in 0_usize..SEEDS.len(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        read(exchanged(&text_of(SEEDS[seed]), a, b).as_bytes());
    }

    #[test]
    fn calendars_with_damage(
        seed in 0_usize..CALENDARS.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[:;=\"TZ\\\\ \r\n0-9A-Zß]{0,6}"), 1..6),
    ) {
        read_calendar(damaged(text_of(CALENDARS[seed]), cuts).as_bytes());
    }

    #[test]
    fn calendars_with_lines_exchanged(seed in 0_usize..CALENDARS.len(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        read_calendar(exchanged(&text_of(CALENDARS[seed]), a, b).as_bytes());
    }
}

mod gameday {
    use super::*;

    /// Reads a text as a game day.
    fn read(text: &[u8]) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("any.toml");
        std::fs::write(&file, text).expect("written");
        let _ = firedrill_gameday::is_gameday(&file);
        let mut sink = Sink::default();
        let now = "2026-11-26T12:00:00Z".parse().expect("a time");
        let gameday = firedrill_gameday::read(&file, &firedrill_gameday::zones(), now, &mut sink);
        assert_eq!(gameday.is_none(), sink.failed());
        if let Some(gameday) = gameday {
            gameday.schedule.next(now, 20).iter().for_each(|slot| _ = gameday.why_closed(slot));
        }
        check(&sink.into_report());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(&bytes);
        }

        #[test]
        fn any_schedule(cron in "[0-9*/,LFRI# -]{0,20}", every in "[0-9]{1,4} (day|week|month)s?", from in "[0-9]{4}-[01][0-9]-[0-3][0-9]", at in "[0-2][0-9]:[0-5][0-9]", jitter in "[0-9]{1,3}[smh]") {
            let head = "schema = 1\nname = \"any\"\nscenarios = [\"a.toml\"]\nfleet = \"b.toml\"\n";
            read(format!("{head}schedule = {{ cron = \"{cron}\", zone = \"America/Nuuk\", jitter = \"{jitter}\" }}").as_bytes());
            read(format!("{head}schedule = {{ every = \"{every}\", from = \"{from}\", at = \"{at}\", zone = \"Africa/Cairo\" }}").as_bytes());
            read(format!("{head}schedule = {{ once = \"{from}T{at}\", zone = \"Australia/Lord_Howe\" }}\nnot_on = [\"{from}..{from}\"]").as_bytes());
        }

        #[test]
        fn valid_files_with_damage(
            is_monkey: bool,
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\[\\]{}=\" \\n0-9a-zß%]{0,6}"), 1..6),
        ) {
            let file = if is_monkey { "gamedays/chaos-monkey.toml" } else { "gamedays/friday.toml" };
            read(damaged(text_of(file), cuts).as_bytes());
        }
    }
}
