//! Game days: what people decide on the calendar, and slots that are started or missed. No drill is run.

use std::time::{Duration, Instant, SystemTime};

use jiff::{Timestamp, tz::TimeZone};

use super::*;

/// The file that has the time at which a control room looked last.
const LOOKED: &str = ".looked";
/// The options of a control room that starts game days.
const STARTS: &[&str] = &["--start-gamedays", "--pki", "pki", "--as", "alice"];

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

/// Issues the certificate with which slots are started.
fn certificate(folder: &Path) {
    for words in ["init", "issue person alice --role operator"] {
        let words: Vec<&str> = ["pki", "--dir", "pki"].into_iter().chain(words.split(' ')).collect();
        let made = firedrill(folder, &words);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// Starts a control room that starts game days, and whose standard error is in `errors.txt`.
fn starts(folder: &Path) -> Room {
    if !folder.join("pki").exists() {
        certificate(folder);
    }
    // `sh serve …` runs this file.
    fs::write(folder.join("serve"), format!("exec '{FIREDRILL}' serve \"$@\" 2>>errors.txt\n")).unwrap();
    Room::start("sh", folder, STARTS)
}

fn errors(folder: &Path) -> String {
    fs::read_to_string(folder.join("errors.txt")).unwrap_or_default()
}

/// Waits until the clock's seconds are in a range.
fn at_second(range: std::ops::Range<i8>) {
    while !range.contains(&Timestamp::now().to_zoned(TimeZone::UTC).second()) {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Returns the slot of this minute. Near its end the next minute is waited for, so that there is time to start it.
fn slot_of_now() -> String {
    at_second(0..35);
    slot(Timestamp::now())
}

fn once(slot: &str) -> String {
    format!("schedule = {{ once = \"{slot}\", zone = \"UTC\" }}")
}

/// Writes a record of one event, and returns its file.
fn has_record(folder: &Path, gameday: &str, slot: &str, event: &str) -> std::path::PathBuf {
    let folder = folder.join("reports/.gamedays").join(gameday).join(slot);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("record.jsonl");
    fs::write(&file, format!("{{\"v\":1,\"at\":\"2026-11-27T14:00:00.000Z\",{event}}}\n")).unwrap();
    file
}

/// A file of channels with one that is a socket of this test, and the socket.
fn channel(folder: &Path) -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let to = socket.local_addr().unwrap();
    fs::write(folder.join("channels.toml"), format!("schema = 1\n[channel.ops]\nsyslog.to = \"{to}\"\n"))
        .unwrap();
    socket
}

fn line(socket: &std::net::UdpSocket) -> String {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Waits until a control room has looked after a moment.
fn has_looked(folder: &Path, after: Timestamp) {
    let read = || fs::read_to_string(folder.join("reports/.gamedays").join(LOOKED)).ok();
    let is_later =
        || read().and_then(|text| text.trim().parse::<Timestamp>().ok()).is_some_and(|at| at > after);
    assert!(soon(is_later), "it looks");
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
    fs::write(records.join(LOOKED), at.to_string()).unwrap();
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
        gameday(folder, name, &once(slot));
    }
    fs::File::open(folder.join("gamedays/edited.toml")).unwrap().set_modified(SystemTime::now()).unwrap();
    fs::write(folder.join("gamedays/broken.toml"), "schema = 1\nname = \"broken\"\n").unwrap();
    looked(folder, now - Duration::from_secs(3600));
    let room = starts(folder);
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
    let _room = starts(folder);
    has_looked(folder, now);
    assert_eq!(record(folder, "passed", &passed), before);
}

#[test]
fn channels_are_told_of_slots_that_were_missed_and_of_those_to_come() {
    let folder = folder();
    let folder = folder.path();
    let socket = channel(folder);
    let now = Timestamp::now();
    let (passed, next) = (slot(now - Duration::from_secs(1800)), slot(now + Duration::from_secs(3600)));
    let told = "notify = [\"ops\"]\nannounce = [\"2h\"]";
    gameday(folder, "passed", &format!("{}\n{told}", once(&passed)));
    gameday(folder, "next", &format!("{}\n{told}", once(&next)));
    gameday(folder, "quiet", &format!("{}\nannounce = [\"2h\"]", once(&next)));
    looked(folder, now - Duration::from_secs(3 * 3600));
    let room = starts(folder);
    let (missed, announced) = (line(&socket), line(&socket));
    assert!(
        missed.contains(" missed - Firedrill: game day passed was missed; why: no control room ran"),
        "{missed}"
    );
    // It is an hour late, so it says the time that is left.
    assert!(announced.contains(" announced - Firedrill: game day next starts in 5"), "{announced}");
    assert!(
        announced.contains(&format!("stop it: firedrill gameday skip gamedays/next.toml --slot {next}")),
        "{announced}"
    );
    drop(room);
    // Another start tells nothing twice.
    looked(folder, now - Duration::from_secs(3 * 3600));
    let _room = starts(folder);
    has_looked(folder, now);
    let list = firedrill(folder, &["notify", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
}

#[test]
fn a_slot_is_started_at_its_time_and_what_keeps_it_is_recorded() {
    let folder = folder();
    let folder = folder.path();
    certificate(folder);
    // The slot is the next minute, so that the certificate is gone by then.
    at_second(20..50);
    let slot = slot(Timestamp::now() + Duration::from_secs(60));
    gameday(folder, "due", &once(&slot));
    let room = starts(folder);
    fs::remove_dir_all(folder.join("pki")).unwrap();
    let record = record(folder, "due", &slot);
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
fn a_certificate_that_cannot_be_used_is_an_error_at_once() {
    let folder = folder();
    let words = ["serve", "--listen", "127.0.0.1:0", "--start-gamedays", "--pki", "no-such-folder"];
    let refused = firedrill(folder.path(), &words);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && told.contains("no-such-folder"), "{told}");
}

/// Conditions that are not met: nobody has agreed.
const NO_GO: &str =
    "roles = { commander = \"alice\" }\ngo_no_go = { people = 1, of = [\"commander\"], expires = \"1h\" }";

#[test]
fn a_slot_without_a_record_is_started_although_somebody_looked_after_its_time() {
    let folder = folder();
    let folder = folder.path();
    let slot = slot_of_now();
    gameday(folder, "due", &format!("{}\n{NO_GO}", once(&slot)));
    looked(folder, Timestamp::now());
    let _room = starts(folder);
    assert!(record(folder, "due", &slot).contains("no go"));
}

#[test]
fn a_clock_that_was_ahead_once_keeps_nothing_from_its_start() {
    let folder = folder();
    let folder = folder.path();
    let slot = slot_of_now();
    gameday(folder, "due", &format!("{}\n{NO_GO}", once(&slot)));
    looked(folder, Timestamp::now() + Duration::from_secs(86_400));
    let _room = starts(folder);
    assert!(record(folder, "due", &slot).contains("no go"));
    assert!(errors(folder).contains("is in the future"), "{}", errors(folder));
    has_looked(folder, Timestamp::now() - Duration::from_secs(120));
    let looked = fs::read_to_string(folder.join("reports/.gamedays").join(LOOKED)).unwrap();
    assert!(soon(|| looked.parse::<Timestamp>().unwrap() <= Timestamp::now()), "{looked}");
}

#[test]
fn what_is_due_begins_before_the_missed_is_recorded() {
    let folder = folder();
    let folder = folder.path();
    let (due, passed) = (slot_of_now(), slot(Timestamp::now() - Duration::from_secs(1800)));
    gameday(folder, "a-day", &once(&passed));
    gameday(folder, "z-day", &format!("{}\n{NO_GO}", once(&due)));
    looked(folder, Timestamp::now() - Duration::from_secs(3600));
    let _room = starts(folder);
    assert!(record(folder, "a-day", &passed).contains("missed"));
    assert!(record(folder, "z-day", &due).contains("no go"));
    let missed = || errors(folder).find("a-day of");
    assert!(soon(|| missed().is_some()));
    let begun = errors(folder).find("z-day of");
    assert!(begun.is_some_and(|begun| Some(begun) < missed()), "{}", errors(folder));
}

#[test]
fn a_slot_that_has_a_record_or_is_closed_does_not_start() {
    let folder = folder();
    let folder = folder.path();
    let slot = slot_of_now();
    gameday(folder, "skipped", &once(&slot));
    gameday(folder, "closed", &format!("{}\nnot_on = [\"{}\"]", once(&slot), &slot[..10]));
    let file = has_record(folder, "skipped", &slot, "\"event\":\"not-held\",\"why\":\"skipped by eve\"");
    let before = fs::read(&file).unwrap();
    let now = Timestamp::now();
    looked(folder, now - Duration::from_secs(120));
    let _room = starts(folder);
    has_looked(folder, now);
    let told = errors(folder);
    assert!(!told.contains("skipped of") && !told.contains("starts"), "{told}");
    assert!(told.contains(&format!("closed of {slot} is not held: ")), "{told}");
    assert!(record(folder, "closed", &slot).contains("not-held"));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn of_two_files_with_one_name_neither_is_started() {
    let folder = folder();
    let folder = folder.path();
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
fn what_has_a_record_is_shown_without_marks_that_deceive_and_cannot_be_skipped() {
    let folder = folder();
    let folder = folder.path();
    let ahead = slot(Timestamp::now() + Duration::from_secs(86_400));
    gameday(folder, "early", &once(&ahead));
    has_record(folder, "early", &ahead, "\"event\":\"ended\",\"exit\":0");
    let odd = "\"event\":\"missed\",\"why\":\"a \u{202e}freeze\u{200b}\"";
    has_record(folder, "odd", "2026-11-20T14:00", odd);
    let room = Room::start(FIREDRILL, folder, &[]);
    let admin = room.login(&room.link);
    let page = room.get("/calendar", &admin).text();
    assert!(page.contains("early") && page.contains("missed: a \u{fffd}freeze"), "{page}");
    assert!(!page.contains(['\u{202e}', '\u{200b}']), "{page}");
    assert!(!page.contains("/skip\""), "{page}");
    let nowhere = room.post(&format!("/calendar/early/{}/skip", "z".repeat(300)), &admin, "");
    assert!(!nowhere.text().contains(&"z".repeat(41)), "{}", nowhere.text());
}

#[test]
fn a_control_room_that_is_not_told_to_starts_nothing() {
    let folder = folder();
    let folder = folder.path();
    let passed = slot(Timestamp::now() - Duration::from_secs(1800));
    gameday(folder, "passed", &once(&passed));
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
    let late = room.post(&format!("{form}/agree"), &alice, "");
    assert_eq!(late.status, 409);
    assert!(late.text().contains("is decided already"), "{}", late.text());
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

#[test]
fn a_slot_during_an_incident_is_skipped_and_the_page_says_so() {
    use std::io::{Read as _, Write as _};
    let alerts = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", alerts.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in alerts.incoming().flatten() {
            let _ = stream.read(&mut [0; 8192]);
            let body = r#"[{"labels":{"alertname":"Down","zone":"a"},"fingerprint":"1","startsAt":"2026-12-04T12:40:00Z","status":{"state":"active"}}]"#;
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    let folder = folder();
    let folder = folder.path();
    let slot = slot_of_now();
    let skip = "skip_if = [{ alert = { source = \"am\", name = \"Down\" } }]";
    gameday(folder, "due", &format!("{}\n{skip}\nsources.am.alertmanager.url = \"{url}\"", once(&slot)));
    looked(folder, Timestamp::now());
    let room = starts(folder);
    let record = record(folder, "due", &slot);
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
