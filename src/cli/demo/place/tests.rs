//! Tests of the demonstration's folder.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_game_day_begins_at_the_first_full_minute_after_the_time_ahead() {
    for (now, ahead, wanted) in [
        ("2026-11-27T12:00:00Z", 30, "2026-11-27T12:01:00Z"),
        ("2026-11-27T12:00:29.9Z", 30, "2026-11-27T12:01:00Z"),
        ("2026-11-27T12:00:30Z", 30, "2026-11-27T12:01:00Z"),
        ("2026-11-27T12:00:30.1Z", 30, "2026-11-27T12:02:00Z"),
        ("2026-11-27T12:00:31Z", 30, "2026-11-27T12:02:00Z"),
        ("2026-11-27T23:59:50Z", 5, "2026-11-28T00:00:00Z"),
        ("2026-11-27T12:00:00Z", 0, "2026-11-27T12:00:00Z"),
    ] {
        assert_eq!(minute(at(now), Span::secs(ahead)), at(wanted), "{now} {ahead}");
    }
    assert!(ahead("12h").is_ok());
    assert!(ahead("13h").unwrap_err().contains("12h"));
    assert!(ahead("5").unwrap_err().contains("length of time"));
}

#[test]
fn files_are_made_once_and_only_the_time_is_changed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("demo");
    let place = Place::fill(&folder, None).unwrap();
    assert!(place.set_time(at("2026-11-27T12:01:00Z")).unwrap());
    let friday = fs::read_to_string(place.gameday()).unwrap();
    assert!(friday.contains("\nschedule = { once = \"2026-11-27T12:01\", zone = \"UTC\" }\n"), "{friday}");
    assert_eq!(friday.lines().count(), include_str!("../friday.toml").lines().count());
    fs::write(place.fleet(), "mine").unwrap();
    let place = Place::fill(&folder, None).unwrap();
    assert_eq!(fs::read_to_string(place.fleet()).unwrap(), "mine");
    assert_eq!(fs::read_to_string(place.gameday()).unwrap(), friday);
    let weekly = "schedule = { cron = \"0 14 * * FRI\", zone = \"UTC\" }\n";
    fs::write(place.gameday(), weekly).unwrap();
    assert!(!place.set_time(at("2026-11-27T12:02:00Z")).unwrap());
    assert_eq!(fs::read_to_string(place.gameday()).unwrap(), weekly);
}

#[test]
fn nothing_is_written_into_a_folder_that_is_not_a_demos() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("fleet.toml"), "production").unwrap();
    let refused = Place::fill(home.path(), None).unwrap_err().to_string();
    assert!(refused.contains("is no demo's folder"), "{refused}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    assert!(Place::fill(&home.path().join("fleet.toml"), None).is_err(), "a file is no folder");
}

#[test]
fn the_two_commented_lines_of_the_game_day_ask_for_a_second_person() {
    let home = tempfile::tempdir().unwrap();
    let place = Place::fill(home.path(), None).unwrap();
    let now = at("2026-11-27T12:00:00Z");
    place.set_time(at("2026-11-27T12:01:00Z")).unwrap();
    let read = || {
        let (gameday, report) = crate::cli::days::read(&place.gameday(), &firedrill_gameday::zones(), now);
        assert_eq!(report.counts(), (0, 0), "{}", report.render(false, 110));
        gameday.unwrap()
    };
    assert!(read().go_no_go.is_none());
    let friday = fs::read_to_string(place.gameday()).unwrap();
    let asked = friday.replace("\n# roles", "\nroles").replace("\n# go_no_go", "\ngo_no_go");
    fs::write(place.gameday(), asked).unwrap();
    let gameday = read();
    assert_eq!(gameday.go_no_go.unwrap().people, 1);
    assert_eq!(gameday.roles["oncall"], "bob");
}

#[test]
fn a_folder_can_be_made_in_which_an_attack_waits_for_an_approval_by_passkey() {
    let home = tempfile::tempdir().unwrap();
    let place = Place::fill(home.path(), Some("http://localhost:7788")).unwrap();
    let plan = crate::plan::load(&crate::plan::Options {
        scenario: home.path().join("scenarios/demo.toml"),
        fleet: crate::fleet::FleetSource::File(place.fleet()),
        params: Vec::new(),
        seed: Some(1),
    });
    let plan = plan.unwrap_or_else(|report| panic!("{}", report.render(false, 110)));
    let waits: Vec<_> = plan.attacks.iter().filter(|attack| attack.approve.is_some()).collect();
    assert_eq!(waits.iter().map(|attack| attack.name.as_str()).collect::<Vec<_>>(), ["freeze checkout"]);
    assert_eq!(plan.origins, ["http://localhost:7788"]);
}
