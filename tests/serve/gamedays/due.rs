//! Slots that are due while a control room runs. No drill is run.

use super::*;

/// Waits until the clock's seconds are in a range.
fn at_second(range: std::ops::Range<i8>) {
    while !range.contains(&Timestamp::now().to_zoned(TimeZone::UTC).second()) {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Returns the slot of this minute. Near the end of a minute it waits for the next one, so that there is time for the start.
fn slot_of_now() -> String {
    at_second(0..35);
    slot_of(Timestamp::now())
}

#[test]
fn a_slot_is_started_at_its_time_and_an_obstacle_is_recorded() {
    let temp = new_folder();
    let folder = temp.path();
    certificate(folder);
    // The slot is the next minute, so that the certificate is gone by then. A control room does not start without one.
    at_second(15..40);
    let slot = slot_of(Timestamp::now() + Duration::from_secs(60));
    gameday(folder, "due", &once(&slot));
    let room = starts(folder);
    fs::remove_dir_all(folder.join("pki")).unwrap();
    let record = record_of(folder, "due", &slot);
    assert!(record.contains("not-held") && record.contains("pki"), "{record}");
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(page.contains("not held: no certificate was found"), "{page}");
    let output =
        fs::read_to_string(folder.join("reports/.gamedays/due").join(&slot).join("output.txt")).unwrap();
    assert!(output.contains("nothing was touched"), "{output}");
    let told = format!("due of {slot}: not held: no certificate was found");
    assert!(soon(|| errors(folder).contains(&told)), "{}", errors(folder));
}

#[test]
fn a_slot_without_a_record_is_started_although_a_control_room_looked_after_its_time() {
    let temp = new_folder();
    let folder = temp.path();
    let slot = slot_of_now();
    gameday(folder, "due", &format!("{}\n{NO_GO}", once(&slot)));
    looked(folder, Timestamp::now());
    let _room = starts(folder);
    assert!(record_of(folder, "due", &slot).contains("no go"));
}

#[test]
fn slots_are_started_although_the_clock_was_once_ahead() {
    let temp = new_folder();
    let folder = temp.path();
    let slot = slot_of_now();
    gameday(folder, "due", &format!("{}\n{NO_GO}", once(&slot)));
    looked(folder, Timestamp::now() + Duration::from_secs(86_400));
    let _room = starts(folder);
    assert!(record_of(folder, "due", &slot).contains("no go"));
    assert!(errors(folder).contains("is in the future"), "{}", errors(folder));
    // The control room may write the record before the time of its look.
    let last_look = || fs::read_to_string(folder.join("reports/.gamedays").join(LOOKED)).unwrap();
    assert!(soon(|| last_look().parse::<Timestamp>().unwrap() <= Timestamp::now()), "{}", last_look());
}

#[test]
fn due_slots_begin_before_missed_ones_are_recorded() {
    let temp = new_folder();
    let folder = temp.path();
    let (due, passed) = (slot_of_now(), slot_of(Timestamp::now() - Duration::from_secs(1800)));
    gameday(folder, "a-day", &once(&passed));
    gameday(folder, "z-day", &format!("{}\n{NO_GO}", once(&due)));
    looked(folder, Timestamp::now() - Duration::from_secs(3600));
    let _room = starts(folder);
    assert!(record_of(folder, "a-day", &passed).contains("missed"));
    assert!(record_of(folder, "z-day", &due).contains("no go"));
    let missed = || errors(folder).find("a-day of");
    assert!(soon(|| missed().is_some()));
    let begun = errors(folder).find("z-day of");
    assert!(begun.is_some_and(|begun| Some(begun) < missed()), "{}", errors(folder));
}

#[test]
fn a_slot_that_has_a_record_or_is_closed_does_not_start() {
    let temp = new_folder();
    let folder = temp.path();
    let slot = slot_of_now();
    gameday(folder, "skipped", &once(&slot));
    let day = &slot[..10];
    gameday(folder, "closed", &format!("{}\nnot_on = [\"{day}\"]", once(&slot)));
    let file = has_record(folder, "skipped", &slot, "\"event\":\"not-held\",\"why\":\"skipped by eve\"");
    let before = fs::read(&file).unwrap();
    let now = Timestamp::now();
    looked(folder, now - Duration::from_secs(120));
    let _room = starts(folder);
    has_looked(folder, now);
    let told = errors(folder);
    assert!(!told.contains("skipped of") && !told.contains("starts"), "{told}");
    assert!(told.contains(&format!("closed of {slot} is not held: ")), "{told}");
    assert!(record_of(folder, "closed", &slot).contains("not-held"));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn of_two_game_days_with_the_same_name_neither_is_started() {
    let temp = new_folder();
    let folder = temp.path();
    let slot = slot_of_now();
    gameday(folder, "twin", &once(&slot));
    fs::copy(folder.join("gamedays/twin.toml"), folder.join("gamedays/copy.toml")).unwrap();
    let now = Timestamp::now();
    looked(folder, now - Duration::from_secs(120));
    let room = starts(folder);
    has_looked(folder, now);
    let told = "gamedays/copy.toml and gamedays/twin.toml have the same name, so neither is started";
    assert!(errors(folder).contains(told), "{}", errors(folder));
    assert!(!folder.join("reports/.gamedays/twin").exists());
    let refused = room.post(&format!("/calendar/twin/{slot}/skip"), &room.login(&room.link), "");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("have the same name"), "{}", refused.text());
}

#[test]
fn a_slot_during_an_incident_is_skipped_and_the_page_says_so() {
    let url = crate::alerts::source(Some(
        r#"[{"labels":{"alertname":"Down","zone":"a"},"fingerprint":"1","startsAt":"2026-12-04T12:40:00Z","status":{"state":"active"}}]"#,
    ));
    let temp = new_folder();
    let folder = temp.path();
    let slot = slot_of_now();
    let skip = "skip_if = [{ alert = { source = \"am\", name = \"Down\" } }]";
    gameday(folder, "due", &format!("{}\n{skip}\nsources.am.alertmanager.url = \"{url}\"", once(&slot)));
    looked(folder, Timestamp::now());
    let room = starts(folder);
    let record = record_of(folder, "due", &slot);
    assert!(
        record.contains("\"reason\":\"incident\"") && record.contains("2026-12-04T12:40:00Z"),
        "{record}"
    );
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(
        page.contains(
            "not held: an incident is running: Down {zone=&quot;a&quot;} since 2026-12-04T12:40:00Z"
        ),
        "{page}"
    );
}

#[test]
fn a_slot_begins_with_the_draw_that_was_shown_and_the_next_one_is_beyond_the_budget() {
    let temp = new_folder();
    let folder = temp.path();
    let hosts =
        (1..4).map(|number| format!("[[host]]\nname = \"app{number}\"\naddress = \"127.9.0.{number}\"\n"));
    fs::write(folder.join("scenarios/fleet.toml"), format!("schema = 1\n{}", hosts.collect::<String>()))
        .unwrap();
    let mut text = "schema = 1\nname = \"ape\"\nhypothesis = \"It goes on.\"\n[targets.one]\nwhere = { name = [\"app1\", \"app2\", \"app3\"] }\n\
                    pick = 1\n[probes.p]\nhttp.url = \"http://127.9.0.9/\"\nrate = 50\n[objectives.o]\nprobe = \"p\"\ngood = \"50%\"\n"
        .to_owned();
    for name in ["stop", "stop again", "stop once more"] {
        text += &format!(
            "[[attack]]\nname = \"{name}\"\non = \"one\"\nhold = \"1m\"\nfault.service-stop = {{ service = \"shop\" }}\n"
        );
    }
    fs::write(folder.join("scenarios/ape.toml"), text).unwrap();
    // The slots are this minute and the next one.
    let first = slot_of_now();
    let second = slot_of(Timestamp::now() + Duration::from_secs(60));
    let file = folder.join("gamedays/ape.toml");
    let rest = "fleet = \"scenarios/fleet.toml\"\nschedule = { cron = \"* * * * *\", zone = \"UTC\" }\n\
                [monkey]\nscenario = \"scenarios/ape.toml\"\nat_most = \"1 a month\"\n";
    fs::write(&file, format!("schema = 1\nname = \"ape\"\n{rest}")).unwrap();
    fs::File::open(&file).unwrap().set_modified(SystemTime::now() - Duration::from_secs(86_400)).unwrap();
    let shown = firedrill(folder, &["gameday", "draw", "gamedays/ape.toml", "--slot", &first, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    looked(folder, Timestamp::now());
    let _room = starts(folder);
    let begun: serde_json::Value =
        serde_json::from_str(record_of(folder, "ape", &first).lines().next().unwrap()).unwrap();
    assert_eq!(begun["event"], "begun", "{begun}");
    assert_eq!((&begun["drawn"]["seed"], &begun["drawn"]["of"]), (&shown["seed"], &shown["of"]));
    assert_eq!(begun["drawn"]["attacks"][0], shown["attacks"][0]["name"]);
    let beyond = record_of(folder, "ape", &second);
    // The budget is one start a month, and the second slot may be in the next month.
    let month = |slot: &str| slot[..7].to_owned();
    if month(&first) == month(&second) {
        assert!(beyond.contains("\"reason\":\"budget\"") && beyond.contains(&first), "{beyond}");
    }
}
