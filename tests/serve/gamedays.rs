//! Game days: what people decide on the calendar, and slots that are started or missed. No drill is run.

use std::time::{Duration, Instant, SystemTime};

use jiff::{Timestamp, tz::TimeZone};

use super::*;

/// A folder with the example's run, a fleet, and a scenario for game days.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("reports")).unwrap();
    fs::create_dir_all(folder.path().join("gamedays")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["fleet.toml", "single-host.toml", "lib/shop.toml"] {
        let to = folder.path().join("scenarios").join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root.join("scenarios").join(file), to).unwrap();
    }
    folder
}

/// Writes a game day, as if long ago.
fn gameday(folder: &Path, name: &str, rest: &str) {
    let file = folder.join("gamedays").join(format!("{name}.toml"));
    let text = format!(
        "schema = 1\nname = \"{name}\"\nscenarios = [\"scenarios/single-host.toml\"]\nfleet = \"scenarios/fleet.toml\"\n{rest}\n"
    );
    fs::write(&file, text).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::open(file).unwrap().set_modified(long_ago).unwrap();
}

/// Whether it becomes true within a minute.
fn soon(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

fn slot(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Writes the time at which a control room looked last.
fn looked(folder: &Path, at: Timestamp) {
    let records = folder.join("reports/.gamedays");
    fs::create_dir_all(&records).unwrap();
    fs::write(records.join("looked"), at.to_string()).unwrap();
}

/// Waits for the record of a slot, and returns it.
fn record(folder: &Path, gameday: &str, slot: &str) -> String {
    let path = folder.join("reports/.gamedays").join(gameday).join(slot).join("record.jsonl");
    let read = || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
    assert!(soon(|| read().is_some()), "no record at {}", path.display());
    read().unwrap()
}

#[test]
fn slots_that_passed_while_no_control_room_ran_are_missed_and_not_made_up() {
    let folder = folder();
    let folder = folder.path();
    let now = Timestamp::now();
    let (before, passed) = (slot(now - Duration::from_secs(7200)), slot(now - Duration::from_secs(1800)));
    for (name, slot) in [("earlier", &before), ("passed", &passed), ("edited", &passed)] {
        gameday(folder, name, &format!("schedule = {{ once = \"{slot}\", zone = \"UTC\" }}"));
    }
    fs::File::open(folder.join("gamedays/edited.toml")).unwrap().set_modified(SystemTime::now()).unwrap();
    fs::write(folder.join("gamedays/broken.toml"), "schema = 1\nname = \"broken\"\n").unwrap();
    looked(folder, now - Duration::from_secs(3600));
    let room = Room::start(FIREDRILL, folder, &["--start-gamedays"]);
    assert!(record(folder, "passed", &passed).contains("no control room ran at its time"));
    assert!(record(folder, "edited", &passed).contains("its file was changed after its time"));
    assert!(!folder.join("reports/.gamedays/earlier").exists(), "that was looked at by then");
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(page.contains("missed: no control room ran at its time"), "{page}");
    assert!(page.contains("This server starts them at their time"), "{page}");
    drop(room);
    // Another start tells it once.
    looked(folder, now - Duration::from_secs(3600));
    let before = record(folder, "passed", &passed);
    let _room = Room::start(FIREDRILL, folder, &["--start-gamedays"]);
    let again = || {
        fs::read_to_string(folder.join("reports/.gamedays/looked")).unwrap().parse::<Timestamp>().unwrap()
            > now
    };
    assert!(soon(again), "it looks");
    assert_eq!(record(folder, "passed", &passed), before);
}

#[test]
fn a_slot_is_started_within_its_minute_and_what_keeps_it_is_recorded() {
    let folder = folder();
    let folder = folder.path();
    // The slot is this minute. Near its end the next one is waited for, so that it is in time.
    while Timestamp::now().to_zoned(TimeZone::UTC).second() > 40 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let slot = slot(Timestamp::now());
    gameday(folder, "due", &format!("schedule = {{ once = \"{slot}\", zone = \"UTC\" }}"));
    looked(folder, Timestamp::now() - Duration::from_secs(120));
    let room = Room::start(FIREDRILL, folder, &["--start-gamedays", "--pki", "no-such-folder"]);
    let record = record(folder, "due", &slot);
    assert!(record.contains("not-held") && record.contains("no-such-folder"), "{record}");
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(page.contains("not held: no certificate was found"), "{page}");
    let output =
        fs::read_to_string(folder.join("reports/.gamedays/due").join(&slot).join("output.txt")).unwrap();
    assert!(output.contains("nothing was touched"), "{output}");
}

#[test]
fn a_control_room_that_is_not_told_to_starts_nothing() {
    let folder = folder();
    let folder = folder.path();
    let passed = slot(Timestamp::now() - Duration::from_secs(1800));
    gameday(folder, "passed", &format!("schedule = {{ once = \"{passed}\", zone = \"UTC\" }}"));
    looked(folder, Timestamp::now() - Duration::from_secs(3600));
    let room = Room::start(FIREDRILL, folder, &[]);
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(page.contains("This server starts none of them"), "{page}");
    assert!(!folder.join("reports/.gamedays/passed").exists());
}

#[test]
fn people_agree_and_skip_on_the_calendar() {
    let folder = folder();
    let folder = folder.path();
    gameday(
        folder,
        "friday",
        "schedule = { cron = \"0 14 * * *\", zone = \"UTC\" }\nroles = { commander = \"alice\", oncall = \"carol\" }\n\
         go_no_go = { people = 2, of = [\"commander\", \"oncall\"], expires = \"30d\" }",
    );
    let room = Room::start(FIREDRILL, folder, &[]);
    let alice = person(folder, &room, "alice", "operator");
    let eve = person(folder, &room, "eve", "operator");
    let victor = person(folder, &room, "victor", "viewer");
    let page = room.get("/calendar", &alice).text();
    assert!(page.contains("0 of 2 agreed; missing: alice (commander), carol (oncall)"), "{page}");
    let form =
        page.split_once("/agree\"").unwrap().0.rsplit_once("action=\"").unwrap().1.replace("&#x2f;", "/");
    assert!(!room.get("/calendar", &eve).text().contains("/agree\""), "eve is not asked");
    assert!(!room.get("/calendar", &victor).text().contains("/skip\""), "a viewer looks");

    let agreed = room.post(&format!("{form}/agree"), &alice, "");
    assert_eq!((agreed.status, agreed.header("location")), (303, Some("/calendar?done=agree")));
    assert!(room.get("/calendar?done=agree", &alice).text().contains("Your agreement is written"));
    // The page is not a minute old.
    assert!(room.get("/calendar", &eve).text().contains("1 of 2 agreed (alice)"));
    let refused = room.post(&format!("{form}/agree"), &eve, "");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("eve is not asked"), "{}", refused.text());
    assert_eq!(room.post(&format!("{form}/agree"), &victor, "").status, 403);
    assert_eq!(room.post(&format!("{form}/withdraw"), &alice, "").status, 303);
    assert!(room.get("/calendar", &eve).text().contains("0 of 2 agreed"));

    assert_eq!(room.post(&format!("{form}/skip"), &eve, "why=a+%3Cfreeze%3E").status, 303);
    let page = room.get("/calendar", &alice).text();
    assert!(page.contains("not held: skipped by eve: a &lt;freeze&gt;"), "{page}");
    let again = room.post(&format!("{form}/skip"), &alice, "why=");
    assert_eq!(again.status, 409);
    assert!(again.text().contains("skipped already"), "{}", again.text());
    for nowhere in [
        "/calendar/friday/2026-12-04T14:30/skip",
        "/calendar/friday/2020-12-04T14:00/skip",
        "/calendar/monday/2026-12-04T14:00/agree",
        "/calendar/..%2F..%2Fx/2026-12-04T14:00/skip",
        "/calendar/friday/..%2F..%2Fx/skip",
    ] {
        assert_eq!(room.post(nowhere, &alice, "").status, 409, "{nowhere}");
    }
    assert_eq!(room.post(&format!("{form}/start"), &alice, "").status, 404);
    assert_eq!(room.get(&format!("{form}/skip"), &alice).status, 405);
    let audit = fs::read_to_string(folder.join("room/audit.jsonl")).unwrap();
    for told in
        ["\"what\":\"agree\"", "\"what\":\"withdraw\"", "\"what\":\"skip\"", "refused: eve is not asked"]
    {
        assert!(audit.contains(told), "{told}: {audit}");
    }
}
