//! Game days: decisions on the calendar, and slots that are started or missed. No drill is run.

mod asked;
mod calendar;
mod due;
mod elsewhere;
mod refused;

use std::time::{Duration, Instant, SystemTime};

use jiff::{Timestamp, tz::TimeZone};

use super::*;

/// The file with the time up to which a control room has looked for slots.
const LOOKED: &str = ".looked";
/// The options of a control room that starts game days.
const STARTS: &[&str] = &["--start-gamedays", "--pki", "pki", "--as", "alice"];
/// Lines of a game day that keep each slot from being held: bob has to agree, and nobody has.
const NO_GO: &str =
    "roles = { commander = \"bob\" }\ngo_no_go = { people = 1, of = [\"commander\"], expires = \"1h\" }";

/// Makes a folder with a fleet and a scenario for game days.
fn new_folder() -> tempfile::TempDir {
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

/// Returns what the control room of [`starts`] has written to standard error so far.
fn errors(folder: &Path) -> String {
    fs::read_to_string(folder.join("errors.txt")).unwrap_or_default()
}

/// Returns the line of a game day with one slot, in UTC.
fn once(slot: &str) -> String {
    format!("schedule = {{ once = \"{slot}\", zone = \"UTC\" }}")
}

/// Writes a record of one event, and returns its file.
pub(super) fn has_record(folder: &Path, gameday: &str, slot: &str, event: &str) -> std::path::PathBuf {
    let of_slot = folder.join("reports/.gamedays").join(gameday).join(slot);
    fs::create_dir_all(&of_slot).unwrap();
    let file = of_slot.join("record.jsonl");
    fs::write(&file, format!("{{\"v\":1,\"at\":\"2026-11-27T14:00:00.000Z\",{event}}}\n")).unwrap();
    file
}

/// Writes a file with the channel `ops`, which sends syslog to a socket of this test. Returns the socket.
fn channel(folder: &Path) -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let to = socket.local_addr().unwrap();
    fs::write(folder.join("channels.toml"), format!("schema = 1\n[channel.ops]\nsyslog.to = \"{to}\"\n"))
        .unwrap();
    socket
}

/// Waits for a message of the channel.
fn line(socket: &std::net::UdpSocket) -> String {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Waits until a control room has looked for slots after a moment.
fn has_looked(folder: &Path, after: Timestamp) {
    let read = || fs::read_to_string(folder.join("reports/.gamedays").join(LOOKED)).ok();
    let is_later =
        || read().and_then(|text| text.trim().parse::<Timestamp>().ok()).is_some_and(|at| at > after);
    assert!(soon(is_later), "the control room has not looked for slots after {after}");
}

/// Writes a game day whose file seems to be a day old: a slot before the last change of the file is not started.
fn gameday(folder: &Path, name: &str, rest: &str) {
    let file = folder.join("gamedays").join(format!("{name}.toml"));
    let text = format!(
        "schema = 1\nname = \"{name}\"\nscenarios = [\"scenarios/single-host.toml\"]\nfleet = \"scenarios/fleet.toml\"\n{rest}\n"
    );
    fs::write(&file, text).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::open(file).unwrap().set_modified(long_ago).unwrap();
}

/// Waits for a condition, at most two minutes, because a slot may be one minute away. Returns whether the condition holds.
fn soon(holds: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Returns the name of the slot of a moment: its minute in UTC.
fn slot_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Writes the time up to which a control room has looked for slots.
fn looked(folder: &Path, at: Timestamp) {
    let records = folder.join("reports/.gamedays");
    fs::create_dir_all(&records).unwrap();
    fs::write(records.join(LOOKED), at.to_string()).unwrap();
}

/// Waits for the record of a slot, and returns it.
fn record_of(folder: &Path, gameday: &str, slot: &str) -> String {
    let path = folder.join("reports/.gamedays").join(gameday).join(slot).join("record.jsonl");
    let read = || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
    assert!(soon(|| read().is_some()), "no record at {}", path.display());
    read().unwrap()
}

#[test]
fn slots_that_passed_while_no_control_room_ran_are_missed_and_not_made_up() {
    let temp = new_folder();
    let folder = temp.path();
    let now = Timestamp::now();
    // A control room has looked an hour ago: after the earlier slot, and before the passed one.
    let (earlier, passed) =
        (slot_of(now - Duration::from_secs(7200)), slot_of(now - Duration::from_secs(1800)));
    for (name, slot) in [("earlier", &earlier), ("passed", &passed), ("edited", &passed)] {
        gameday(folder, name, &once(slot));
    }
    // This file was changed after its slot.
    fs::File::open(folder.join("gamedays/edited.toml")).unwrap().set_modified(SystemTime::now()).unwrap();
    fs::write(folder.join("gamedays/broken.toml"), "schema = 1\nname = \"broken\"\n").unwrap();
    looked(folder, now - Duration::from_secs(3600));
    let room = starts(folder);
    assert!(record_of(folder, "passed", &passed).contains("no control room ran at its time"));
    assert!(record_of(folder, "edited", &passed).contains("its file was changed after its time"));
    assert!(!folder.join("reports/.gamedays/earlier").exists(), "that slot was handled before");
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(page.contains("missed: no control room ran at its time"), "{page}");
    assert!(page.contains("This server starts them at their time"), "{page}");
    drop(room);
    // The next control room does not change the record, although the time of the last look is set back.
    looked(folder, now - Duration::from_secs(3600));
    let first = record_of(folder, "passed", &passed);
    let _room = starts(folder);
    has_looked(folder, now);
    assert_eq!(record_of(folder, "passed", &passed), first);
}

#[test]
fn messages_are_sent_about_missed_and_future_slots() {
    let temp = new_folder();
    let folder = temp.path();
    let socket = channel(folder);
    let now = Timestamp::now();
    let (passed, next) = (slot_of(now - Duration::from_secs(1800)), slot_of(now + Duration::from_secs(3600)));
    let rest = "notify = [\"ops\"]\nannounce = [\"2h\"]\nroles = { commander = \"alice\", oncall = \"bob\" }\n\
                go_no_go = { people = 2, of = [\"commander\", \"oncall\"], expires = \"30m\" }";
    gameday(folder, "passed", &format!("{}\n{rest}", once(&passed)));
    gameday(folder, "next", &format!("{}\n{rest}", once(&next)));
    // This game day has no channel.
    gameday(folder, "quiet", &format!("{}\nannounce = [\"2h\"]", once(&next)));
    looked(folder, now - Duration::from_secs(3 * 3600));
    let room = starts(folder);
    let (missed, announced) = (line(&socket), line(&socket));
    assert!(
        missed.contains(" missed - Firedrill: game day passed was missed; why: no control room ran"),
        "{missed}"
    );
    // The message was due two hours before the slot, which is one hour away. So it says the time that is left.
    assert!(announced.contains(" announced - Firedrill: game day next starts in 5"), "{announced}");
    // The message is an invitation: who, where, what, and how it is put back.
    for part in [
        "who: commander alice, oncall bob; 2 of commander, oncall have to agree within 30m before it",
        "hosts: app1",
        "attacks: ",
        "put back: ",
    ] {
        assert!(announced.contains(part), "{part}: {announced}");
    }
    assert!(
        announced.contains(&format!(
            "stop it: before it: firedrill gameday skip gamedays/next.toml --slot {next}; during it: firedrill undo --all --fleet"
        )),
        "{announced}"
    );
    drop(room);
    // The next control room sends no message again, although the time of the last look is set back.
    looked(folder, now - Duration::from_secs(3 * 3600));
    let _room = starts(folder);
    has_looked(folder, now);
    let list = firedrill(folder, &["notify", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_at_once() {
    let folder = new_folder();
    let words = ["serve", "--listen", "127.0.0.1:0", "--start-gamedays", "--pki", "no-such-folder"];
    let refused = firedrill(folder.path(), &words);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && told.contains("no-such-folder"), "{told}");
}
