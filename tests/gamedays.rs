//! Game days: the output of `check` and `gameday`, which does not depend on the machine's time zone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "common/alerts.rs"]
mod alerts;
#[path = "gamedays/monkeys.rs"]
mod monkeys;
#[path = "gamedays/promotion.rs"]
mod promotion;
#[path = "gamedays/starts.rs"]
mod starts;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use firedrill::{
    diagnostic::Sink,
    fleet::FleetSource,
    plan::{Plan, inspect},
    reference::Example,
};
use firedrill_judge::testing::{Drill, RUN};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The example of a game day.
const FRIDAY: &str = "gamedays/friday.toml";
/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports, in columns.
const WIDTH: usize = 110;

/// Runs the program in a folder, on a machine with this time zone and without settings of a person.
fn firedrill_in(folder: &Path, zone: &str, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    command
        .current_dir(folder)
        .env("TZ", zone)
        .env_remove("FIREDRILL_FLEET")
        .env_remove("FIREDRILL_PKI")
        .env("HOME", "/no/such")
        .env("XDG_CONFIG_HOME", "/no/such");
    command.args(words).output().unwrap()
}

/// Runs the program in this repository.
fn firedrill(words: &[&str]) -> Output {
    firedrill_in(Path::new(ROOT), "Asia/Tokyo", words)
}

/// Returns the standard output.
fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Returns the standard error.
fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Reads an invalid game day as on a fixed day. Returns the messages.
fn rendered(file: &str) -> String {
    let mut sink = Sink::default();
    let now = "2026-11-26T12:00:00Z".parse().unwrap();
    let read = firedrill_gameday::read(Path::new(file), &firedrill_gameday::zones(), now, &mut sink);
    assert!(read.is_none(), "no error is found in {file}");
    sink.into_report().render(PLAIN, WIDTH)
}

/// Makes a test for each invalid game day, whose messages a golden file has.
macro_rules! golden {
    ($($name:ident: $file:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), rendered($file));
        }
    )*};
}

golden! {
    all_that_is_wrong: "tests/wrong/gameday.toml";
    typos: "tests/wrong/gameday-typos.toml";
    schedule: "tests/wrong/gameday-schedule.toml";
    needs: "tests/wrong/gameday-needs.toml";
    gap: "tests/wrong/gameday-jitter.toml";
    roles: "tests/wrong/gameday-roles.toml";
    incidents: "tests/wrong/gameday-incidents.toml";
    monkey: "tests/wrong/gameday-monkey.toml";
    monkey_typos: "tests/wrong/gameday-monkey-typos.toml";
    nothing: "tests/wrong/gameday-nothing.toml";
}

#[test]
fn the_scenarios_of_a_game_day_are_checked() {
    let output = firedrill(&["check", "tests/wrong/days/gamedays/people.toml"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("scenarios", err(&output));
}

#[test]
fn a_scenario_from_which_nothing_can_be_drawn_is_reported_at_the_monkey() {
    let words = ["check", "tests/wrong/days/gamedays/many.toml", "tests/wrong/days/gamedays/needing.toml"];
    let output = firedrill(&words);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("undrawable", without_warnings(&err(&output)));
}

/// Returns a report without its warnings.
fn without_warnings(text: &str) -> String {
    let errors = text.split("\n\n").filter(|part| !part.trim_start().starts_with("warning"));
    errors.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn the_example_is_valid_and_a_game_day_is_distinguished_from_other_files() {
    let output = firedrill(&["check", FRIDAY, "scenarios/friday.toml", "scenarios/fleet.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    let text = out(&output);
    assert!(
        text.contains("gamedays/friday.toml: fine") && text.contains("a game day of 2 scenarios"),
        "{text}"
    );
    assert!(text.contains("scenarios/fleet.toml: fine; a fleet of 6 hosts"), "{text}");
    let json = firedrill(&["check", "--json", FRIDAY]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["ok"], true);
    assert_eq!(json[0]["gameday"]["name"], "friday");
    assert_eq!(json[0]["gameday"]["plans"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_list_is_the_same_in_every_zone() {
    let words = ["gameday", "list", "--from", "2026-11-26", "--next", "10", FRIDAY];
    let output = firedrill(&words);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    insta::assert_snapshot!("list", out(&output));
    assert_eq!(out(&firedrill_in(Path::new(ROOT), "America/New_York", &words)), out(&output));
    let folder = out(&firedrill(&["gameday", "list", "--from", "2026-11-26", "--next", "10"]));
    let rows = |text: &str| {
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        rows.filter(|line| line.starts_with("friday ")).collect::<Vec<_>>()
    };
    assert_eq!(
        (rows(&folder).len(), rows(&folder)),
        (10, rows(&out(&output))),
        "the list without a file differs"
    );
    let json = firedrill(&["gameday", "list", "--from", "2026-11-26", "--json", FRIDAY]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    insta::assert_json_snapshot!("list-json", json);
}

#[test]
fn show_has_people_scenarios_and_slots() {
    let temp = tempfile::tempdir().unwrap();
    let reports = temp.path().to_str().unwrap();
    let output =
        firedrill(&["gameday", "show", FRIDAY, "--from", "2027-03-20", "--next", "3", "--reports", reports]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    insta::assert_snapshot!("show", out(&output));
}

/// Makes a folder with a fleet, two scenarios and the given game days, each by its name and the rest of its file.
fn days(gamedays: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::write(home.join("fleet.toml"), "schema = 1\n[[host]]\nname = \"app1\"\naddress = \"10.9.0.1\"\n[[host]]\nname = \"app2\"\naddress = \"10.9.0.2\"\n")
        .unwrap();
    for host in ["app1", "app2"] {
        let text = format!(
            "schema = 1\nname = \"stop-{host}\"\nhypothesis = \"It comes back.\"\nenvironment = {{ param = \"environment\" }}\n\
             [params]\nenvironment = {{ type = \"string\", default = \"prod\" }}\n\
             [probes.buy]\nhttp.url = \"http://10.9.0.9/\"\nrate = 100\n[objectives.users]\nprobe = \"buy\"\ngood = \"90%\"\n\
             [[attack]]\nname = \"stop\"\non = \"{host}\"\nfault.service-stop = {{ service = \"checkout\" }}\nhold = \"10m\"\n"
        );
        fs::write(home.join(format!("{host}.toml")), text).unwrap();
    }
    fs::create_dir(home.join("gamedays")).unwrap();
    for (name, rest) in gamedays {
        let text = format!("schema = 1\nname = \"{name}\"\nfleet = \"fleet.toml\"\n{rest}\n");
        fs::write(home.join(format!("gamedays/{name}.toml")), text).unwrap();
    }
    folder
}

#[test]
fn game_days_on_the_same_hosts_at_the_same_time_are_reported() {
    let weekly = "schedule = { cron = \"0 14 * * FRI\", zone = \"Europe/Berlin\" }";
    let folder = days(&[
        ("one", &format!("scenarios = [\"app1.toml\"]\n{weekly}")),
        (
            "same",
            "scenarios = [\"app2.toml\", \"app1.toml\"]\nschedule = { cron = \"5 14 * * FRI\", zone = \"Europe/Berlin\" }",
        ),
        ("other", &format!("scenarios = [\"app2.toml\"]\n{}", weekly.replace("FRI", "MON"))),
        (
            "later",
            "scenarios = [\"app1.toml\"]\nschedule = { cron = \"0 16 * * FRI\", zone = \"Europe/Berlin\" }",
        ),
    ]);
    let check = |names: &[&str]| {
        let files: Vec<String> = names.iter().map(|name| format!("gamedays/{name}.toml")).collect();
        let words: Vec<&str> = ["check"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let output = firedrill_in(folder.path(), "UTC", &words);
        (output.status.code(), err(&output))
    };
    let (code, said) = check(&["one", "same", "other", "later"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("at the same time").count(), 1, "{said}");
    for part in [
        "warning: `one` and `same` may touch the same hosts at the same time: app1",
        "gamedays/same.toml:5:1",
        "gamedays/one.toml:5:1",
        "14:00 +0",
        "14:05 +0",
    ] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    assert_eq!(check(&["one", "other", "later"]), (Some(0), String::new()));
}

#[test]
fn an_overlap_of_fixed_game_days_is_an_error_and_of_repeated_slots_a_warning() {
    let once = |minute: &str, host: &str| {
        format!(
            "scenarios = [\"{host}.toml\"]\nschedule = {{ once = \"{}T14:{minute}\", zone = \"UTC\" }}",
            soon()
        )
    };
    let folder = days(&[
        ("first", &once("00", "app1")),
        ("second", &once("05", "app1")),
        ("elsewhere", &once("00", "app2")),
        ("often", "scenarios = [\"app2.toml\"]\nschedule = { cron = \"*/10 9 * * *\", zone = \"UTC\" }"),
    ]);
    let check = |first: &str, second: &str| {
        let output = firedrill_in(folder.path(), "UTC", &["check", first, second]);
        (output.status.code(), err(&output))
    };
    let (code, said) = check("gamedays/first.toml", "gamedays/second.toml");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("error: `first` and `second` may touch the same hosts"), "{said}");
    assert!(said.contains("gamedays/first.toml:5:1") && said.contains("gamedays/second.toml:5:1"), "{said}");
    assert_eq!(check("gamedays/first.toml", "gamedays/elsewhere.toml"), (Some(0), String::new()));
    let (code, said) = check("gamedays/first.toml", "gamedays/often.toml");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: `often` may still run when it is due again, on app2"), "{said}");
}

/// Returns the date of the day in 20 days.
fn soon() -> String {
    let now = std::time::SystemTime::now() + std::time::Duration::from_secs(20 * 86_400);
    let days = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + days).to_string()[..10].to_owned()
}

#[test]
fn names_are_unique() {
    let schedule = "scenarios = [\"app1.toml\"]\nschedule = { cron = \"0 14 * * FRI\", zone = \"UTC\" }";
    let folder = days(&[("one", schedule)]);
    let text = fs::read_to_string(folder.path().join("gamedays/one.toml")).unwrap();
    fs::write(folder.path().join("gamedays/two.toml"), text).unwrap();
    let output = firedrill_in(folder.path(), "UTC", &["check", "gamedays/one.toml", "gamedays/two.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(said.contains("the name `one` is that of another game day"), "{said}");
    assert!(said.contains("gamedays/one.toml:2:8") && said.contains("gamedays/two.toml:2:8"), "{said}");
}

#[test]
fn a_calendar_is_complete_and_keeps_its_identifiers() {
    let words = ["gameday", "ics", "--from", "2026-11-26", "--next", "10", FRIDAY];
    let output = firedrill(&words);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let mut sink = Sink::default();
    let file = sink.add_source("calendar.ics", text.as_str());
    let zones = firedrill_gameday::zones();
    let events = firedrill_gameday::calendar::events(&text, file, "it", &zones, &mut sink);
    assert!(!sink.failed(), "{}", sink.into_report().render(PLAIN, WIDTH));
    // Of ten slots, one is in a freeze, two are in the range of dates, and one is on Good Friday.
    assert_eq!(events.len(), 6, "{text}");
    let identifiers = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| line.starts_with("UID:")).map(str::to_owned).collect()
    };
    assert_eq!(identifiers(&text).len(), 6);
    assert_eq!(identifiers(&out(&firedrill(&words))), identifiers(&text));
    let wrong = firedrill(&["gameday", "ics", "tests/wrong/gameday.toml"]);
    assert_eq!(
        (wrong.status.code(), out(&wrong)),
        (Some(2), String::new()),
        "no calendar from invalid files"
    );
}

#[test]
fn examples_of_the_page_are_valid_and_have_every_key() {
    let schedules = Example::all(firedrill_gameday::SCHEDULES);
    let monkey = Example::all(firedrill_gameday::MONKEY);
    let main: Vec<Example> = Example::all(firedrill_gameday::EXAMPLE);
    let texts: Vec<String> = [None]
        .into_iter()
        .chain(schedules.iter().map(Some))
        .chain(monkey.iter().map(Some))
        .map(|instead| {
            let part = |section: &Example| match instead {
                Some(other) if other.heading == section.heading => other.text.clone(),
                Some(other) if other.heading == "[monkey]" && section.heading == "[[scenarios]]" => {
                    other.text.clone()
                }
                _ => section.text.clone(),
            };
            main.iter().map(part).collect()
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(Path::new(ROOT).join("gamedays/holidays.ics"), folder.path().join("holidays.ics")).unwrap();
    let mut used = BTreeSet::new();
    for text in &texts {
        let file = folder.path().join("gameday.toml");
        fs::write(&file, text).unwrap();
        let mut sink = Sink::default();
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let read = firedrill_gameday::read(&file, &firedrill_gameday::zones(), now, &mut sink);
        assert!(read.is_some(), "{text}\n{}", sink.into_report().render(PLAIN, WIDTH));
        keys(&toml::from_str(text).unwrap(), &mut used);
    }
    let schema = firedrill_gameday::own_schema();
    let mut known = BTreeSet::new();
    let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for table in tables {
        known.extend(table["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()));
    }
    let missing: Vec<&String> = known.difference(&used).collect();
    assert!(missing.is_empty(), "no example has {missing:?}");
    let page = firedrill_gameday::page();
    for part in main.iter().chain(&schedules).chain(&monkey) {
        assert!(page.contains(part.text.trim()), "`#: {}` is the heading of no section", part.heading);
    }
}

/// Adds to `found` all keys of a value, also those of inner tables.
fn keys(value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, inner)| {
            found.insert(key.clone());
            keys(inner, found);
        }),
        toml::Value::Array(items) => items.iter().for_each(|inner| keys(inner, found)),
        _ => {}
    }
}
