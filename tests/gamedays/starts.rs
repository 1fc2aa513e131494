//! Decisions about starts: agreements, skips, refusals, and their records. No host is asked.

use super::*;
use crate::alerts::source;

/// Makes a folder with a game day, and certificates of alice, bob and eve.
fn folder_with(rest: &str) -> tempfile::TempDir {
    let folder = days(&[(
        "day",
        &format!(
            "scenarios = [\"app1.toml\"]\nschedule = {{ cron = \"0 14 * * *\", zone = \"UTC\" }}\n{rest}"
        ),
    )]);
    for words in [
        &["init"][..],
        &["issue", "person", "alice", "--role", "operator"],
        &["issue", "person", "bob", "--role", "operator"],
        &["issue", "person", "eve", "--role", "operator"],
    ] {
        let made = at(folder.path(), &[&["pki", "--dir", "pki"], words].concat());
        assert!(made.status.success(), "{}", err(&made));
    }
    folder
}

/// Lines of a game day whose start alice and bob have to agree to.
const PEOPLE: &str = "roles = { commander = \"alice\", oncall = \"bob\" }\n\
                      go_no_go = { people = 2, of = [\"commander\", \"oncall\"], expires = \"30m\" }";

/// Runs the program in a folder.
fn at(folder: &Path, words: &[&str]) -> Output {
    firedrill_in(folder, "Asia/Tokyo", words)
}

/// Runs a verb of `gameday` about the game day, as a person.
fn day(folder: &Path, person: &str, verb: &str, words: &[&str]) -> Output {
    let first = ["gameday", verb, "gamedays/day.toml", "--pki", "pki", "--as", person];
    at(folder, &[&first, words].concat())
}

/// Returns the records of all slots.
fn records_of(folder: &Path) -> Vec<serde_json::Value> {
    let held = at(folder, &["gameday", "held", "--json"]);
    assert!(held.status.success(), "{}", err(&held));
    serde_json::from_slice(&held.stdout).unwrap()
}

/// Starts the game day by hand as alice. Returns the reason why it is not held.
fn refused(folder: &Path) -> String {
    let started = day(folder, "alice", "start", &["--now"]);
    assert_eq!(started.status.code(), Some(4), "{}", err(&started));
    let records = records_of(folder);
    assert_eq!(
        (records[0]["state"].as_str(), records[0]["gameday"].as_str()),
        (Some("not-held"), Some("day"))
    );
    let why = records[0]["why"].as_str().unwrap().to_owned();
    assert!(err(&started).contains(&format!("is not held, nothing was touched: {why}")), "{}", err(&started));
    assert_eq!(records[0]["runs"].as_array().map(Vec::len), Some(0));
    why
}

/// Returns the names of the next slots.
fn slots(folder: &Path, count: usize) -> Vec<String> {
    let listed = at(folder, &["gameday", "list", "--next", &count.to_string(), "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let slots = listed[0]["slots"].as_array().unwrap();
    slots.iter().map(|slot| slot["civil"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_freeze_holds_for_starts_by_hand() {
    let folder = folder_with("not_on = [\"2020-01-01..2099-12-31\"]");
    assert_eq!(refused(folder.path()), "not on 2020-01-01..2099-12-31");
}

#[test]
fn without_enough_agreements_nothing_starts() {
    let temp =
        folder_with(&format!("{PEOPLE}\nrequires = {{ environment = \"staging\", held_within = \"14d\" }}"));
    let folder = temp.path();
    assert_eq!(refused(folder), "no go: 0 of 2 agreed; missing: alice (commander), bob (oncall), within 30m");
    let eve = day(folder, "eve", "agree", &["--now"]);
    assert_eq!(eve.status.code(), Some(2));
    assert!(
        err(&eve).contains("eve is not asked; day asks alice (commander), bob (oncall)"),
        "{}",
        err(&eve)
    );
    let alice = day(folder, "alice", "agree", &["--now"]);
    assert_eq!(out(&alice).trim(), "day, start by hand: 1 of 2 agreed (alice); missing: bob (oncall)");
    assert_eq!(
        out(&day(folder, "bob", "agree", &["--now"])).trim(),
        "day, start by hand: 2 of 2 agreed (alice, bob)"
    );
    // Then the next condition is checked: there is no run in staging.
    let why = refused(folder);
    assert!(why.starts_with("promotion of stop-app1: missing: no run of these files in staging"), "{why}");
    let back = day(folder, "bob", "agree", &["--now", "--withdraw"]);
    assert_eq!(out(&back).trim(), "day, start by hand: 1 of 2 agreed (alice); missing: bob (oncall)");
    assert!(refused(folder).starts_with("no go: 1 of 2 agreed (alice)"));
    // An agreement to a start by hand does not count for a slot, and nobody can agree to a slot long before it.
    let slot = &*slots(folder, 2)[1];
    let early = day(folder, "alice", "agree", &["--slot", slot]);
    assert_eq!(early.status.code(), Some(2));
    let from = format!("agree from {} 13:30 +00:00 on", &slot[..10]);
    assert!(err(&early).contains("it is too early") && err(&early).contains(&from), "{}", err(&early));
}

#[test]
fn a_skipped_slot_is_recorded_and_not_started() {
    let temp = folder_with("");
    let folder = temp.path();
    let slot = &*slots(folder, 1)[0];
    let skipped = day(folder, "bob", "skip", &["--slot", slot, "--why", "a release\nis late"]);
    assert_eq!(out(&skipped).trim(), format!("day of {slot} is skipped"));
    let again = day(folder, "alice", "skip", &["--slot", slot]);
    assert_eq!(again.status.code(), Some(4));
    assert!(err(&again).contains("has a record already"), "{}", err(&again));
    let past = day(folder, "alice", "skip", &["--slot", "2020-01-01T14:00"]);
    assert_eq!(past.status.code(), Some(2));
    assert!(err(&past).contains("this slot is over"), "{}", err(&past));
    let records = records_of(folder);
    assert_eq!((records.len(), records[0]["slot"].as_str()), (1, Some(slot)));
    let table = out(&at(folder, &["gameday", "held"]));
    assert!(table.contains("not held: skipped by bob: a release is late"), "{table}");
}

#[test]
fn a_start_has_to_name_a_slot_that_exists() {
    let temp = folder_with("");
    let folder = temp.path();
    let wrong = day(folder, "alice", "start", &["--slot", "2026-12-04T14:30"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("day has no slot 2026-12-04T14:30; the next are 20"), "{}", err(&wrong));
    let far = day(folder, "alice", "start", &["--slot", "2099-12-04T14:00"]);
    assert_eq!(far.status.code(), Some(2));
    assert!(err(&far).contains("at most 1 h early and 12 h late"), "{}", err(&far));
    for neither in [&[][..], &["--now", "--slot", "2026-12-04T14:00"]] {
        assert_eq!(day(folder, "alice", "start", neither).status.code(), Some(2));
    }
    assert!(!folder.join("reports").exists(), "a refused start has written something");
    assert_eq!(out(&at(folder, &["gameday", "held"])).trim(), "no game day has a record in reports");
}

#[test]
fn nothing_is_run_if_one_scenario_cannot_be_run() {
    let temp = folder_with("");
    let folder = temp.path();
    let text = fs::read_to_string(folder.join("gamedays/day.toml")).unwrap();
    let text = text.replace("[\"app1.toml\"]", "[\"app1.toml\", \"gone.toml\"]");
    fs::write(folder.join("gamedays/day.toml"), text).unwrap();
    let started = day(folder, "alice", "start", &["--now"]);
    assert_eq!(started.status.code(), Some(2), "{}", err(&started));
    assert!(err(&started).contains("gone.toml cannot be run as it is"), "{}", err(&started));
    let records = records_of(folder);
    assert_eq!(
        (records[0]["state"].as_str(), records[0]["runs"].as_array().map(Vec::len)),
        (Some("not-held"), Some(0))
    );
}

#[test]
fn a_refused_start_before_the_slots_time_leaves_the_slot_open() {
    let temp = folder_with("");
    let folder = temp.path();
    // A slot within the next hour.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1_800);
    let soon = soon.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string();
    let text = fs::read_to_string(folder.join("gamedays/day.toml")).unwrap();
    let text = text.replace("cron = \"0 14 * * *\"", &format!("once = \"{soon}\""));
    let people = format!("{text}{PEOPLE}\n");
    fs::write(folder.join("gamedays/day.toml"), people).unwrap();
    let early = day(folder, "alice", "start", &["--slot", &soon]);
    assert_eq!(early.status.code(), Some(4), "{}", err(&early));
    assert!(
        err(&early).contains("does not start yet, nothing was touched: no go: 0 of 2 agreed"),
        "{}",
        err(&early)
    );
    assert_eq!(records_of(folder).len(), 0);
}

/// An answer of an Alertmanager with an alert of which a silence keeps people from being notified.
const SILENCED: &str = r#"[{"labels":{"alertname":"CheckoutDown","severity":"page","zone":"a"},"fingerprint":"1",
"startsAt":"2026-12-04T12:40:00.5Z","endsAt":"2036-12-04T14:00:00Z","status":{"state":"suppressed","silencedBy":["s1"]}}]"#;

/// Makes a folder whose game day asks a source with that answer, on hosts without an agent.
fn during(answer: Option<&'static str>) -> tempfile::TempDir {
    let url = source(answer);
    let made = folder_with(&format!(
        "skip_if = [{{ alert = {{ source = \"am\", name = \"CheckoutDown\", labels = {{ severity = \"page\" }} }} }}]\n\
         [sources.am]\nalertmanager = {{ url = \"{url}\", bearer = {{ secret_file = \"token\" }} }}\n"
    ));
    let home = made.path();
    fs::write(home.join("token"), "s3cret-t0ken\n").unwrap();
    let day = home.join("gamedays/day.toml");
    let token = home.join("token").display().to_string();
    fs::write(&day, fs::read_to_string(&day).unwrap().replace("\"token\"", &format!("{token:?}"))).unwrap();
    let fleet = fs::read_to_string(home.join("fleet.toml")).unwrap();
    fs::write(home.join("fleet.toml"), fleet.replace("10.9.0.", "127.9.0.")).unwrap();
    made
}

#[test]
fn during_an_incident_nothing_starts_even_if_it_is_silenced() {
    let temp = during(Some(SILENCED));
    let folder = temp.path();
    let why = refused(folder);
    let alert = "CheckoutDown {severity=\"page\", zone=\"a\"} since 2026-12-04T12:40:00Z, silenced (silence s1) (source am)";
    assert_eq!(why, format!("an incident is running: {alert}"));
    let records = records_of(folder);
    assert_eq!(records[0]["reason"], "incident");
    assert_eq!(records[0]["lines"][0]["firing"][0]["since"], "2026-12-04T12:40:00Z");
    assert!(out(&at(folder, &["gameday", "held"])).contains(&why));
    let shown = out(&at(folder, &["gameday", "show", "gamedays/day.toml"]));
    assert!(
        shown.contains("not held while the alert CheckoutDown {severity=\"page\"} fires (source am"),
        "{shown}"
    );
    assert!(shown.contains(&format!("not held: {why}")), "{shown}");
    let despite = day(folder, "alice", "start", &["--now", "--incident-unknown"]);
    assert_eq!(despite.status.code(), Some(4), "{}", err(&despite));
    assert!(err(&despite).contains(alert), "{}", err(&despite));
}

#[test]
fn if_the_source_does_not_answer_only_a_person_can_start_with_a_flag() {
    for (answer, reason) in
        [(None, "source am: "), (Some("who is {sent}?"), "not that of an Alertmanager: who is ")]
    {
        let temp = during(answer);
        let folder = temp.path();
        let why = refused(folder);
        assert!(
            why.starts_with("nobody knows whether an incident is running: source am: ")
                && why.contains(reason),
            "{why}"
        );
        assert_eq!(records_of(folder)[0]["reason"], "unasked");
        let started = day(folder, "alice", "start", &["--now", "--incident-unknown"]);
        assert_eq!(started.status.code(), Some(4), "no agent answers: {}", err(&started));
        let records = records_of(folder);
        let begun = &records[0]["lines"][0];
        assert_eq!(begun["event"], "begun");
        assert!(begun["unasked"][0].as_str().unwrap().contains(reason), "{begun}");
        for text in [format!("{records:?}"), err(&started)] {
            assert!(!text.contains("s3cret-t0ken"), "{text}");
        }
    }
}

#[test]
fn without_an_incident_a_game_day_starts() {
    let folder = during(Some("[]"));
    let started = day(folder.path(), "alice", "start", &["--now"]);
    let records = records_of(folder.path());
    assert_eq!(records[0]["lines"][0]["event"], "begun", "{}", err(&started));
    assert!(records[0]["lines"][0].get("unasked").is_none(), "{records:?}");
}

#[test]
fn an_agreement_to_a_decided_slot_is_refused() {
    let temp = folder_with(&PEOPLE.replace("30m", "30d"));
    let folder = temp.path();
    let next = slots(folder, 2);
    let (skipped, missed) = (&*next[0], &*next[1]);
    let skip = day(folder, "bob", "skip", &["--slot", skipped, "--why", "freeze"]);
    assert!(skip.status.success(), "{}", err(&skip));
    for word in [&["--slot", skipped][..], &["--slot", skipped, "--withdraw"]] {
        let refused = day(folder, "alice", "agree", word);
        let message = format!(
            "day of {skipped} is decided already, so that no agreement counts any more: it was not held: skipped by bob: freeze"
        );
        assert!(refused.status.code() == Some(2) && err(&refused).contains(&message), "{}", err(&refused));
    }
    let records = folder.join("reports/.gamedays/day");
    assert!(!records.join(skipped).join("agreed.jsonl").exists(), "a refused agreement was written");
    // A person can still start a missed slot, so agreements to it count.
    fs::create_dir_all(records.join(missed)).unwrap();
    let line = "{\"v\":1,\"at\":\"2026-11-27T14:00:00.000Z\",\"event\":\"missed\",\"why\":\"nobody ran\"}\n";
    fs::write(records.join(missed).join("record.jsonl"), line).unwrap();
    let agreed = day(folder, "alice", "agree", &["--slot", missed]);
    assert!(out(&agreed).contains("1 of 2 agreed (alice)"), "{}", err(&agreed));
}

/// A program that is killed when it is dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_game_day_claims_its_hosts_from_the_first_scenario_to_the_last() {
    let folder = folder_with("");
    let home = folder.path();
    let fleet = |app1: &str, app2: &str| {
        let host = |number: u8, agent: &str| {
            let (name, address) = (format!("app{number}"), format!("10.9.0.{number}"));
            format!("[[host]]\nname = \"{name}\"\naddress = \"{address}\"\nagent = \"{agent}\"\n")
        };
        fs::write(home.join("fleet.toml"), format!("schema = 1\n{}{}", host(1, app1), host(2, app2)))
            .unwrap();
    };
    // Hosts take connections and never answer, so each scenario takes some seconds until it is refused.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_agent = silent.local_addr().unwrap().to_string();
    fleet(&silent_agent, &silent_agent);
    let text = fs::read_to_string(home.join("gamedays/day.toml")).unwrap();
    let scenarios = "\"app1.toml\", ".repeat(200) + "\"app2.toml\"";
    fs::write(home.join("gamedays/day.toml"), text.replace("\"app1.toml\"", &scenarios)).unwrap();
    let other = text.replace("\"day\"", "\"other\"").replace("app1.toml", "app2.toml");
    fs::write(home.join("gamedays/other.toml"), other).unwrap();
    let output = fs::File::create(home.join("said.txt")).unwrap();
    let mut first = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    first.current_dir(home).args(["gameday", "start", "gamedays/day.toml", "--pki", "pki", "--as", "alice"]);
    first.arg("--now").stdout(output.try_clone().unwrap()).stderr(output);
    let mut first = Killed(first.spawn().unwrap());
    let said = || fs::read_to_string(home.join("said.txt")).unwrap();
    // The first scenario was refused because of its host, and the second one begins.
    while !said().contains("scenario 2 of 201") {
        assert!(first.0.try_wait().unwrap().is_none(), "the first game day has ended: {}", said());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let second =
        || at(home, &["gameday", "start", "gamedays/other.toml", "--pki", "pki", "--as", "bob", "--now"]);
    // The first game day is busy with app1, and needs app2 much later.
    let refused = second();
    assert!(first.0.try_wait().unwrap().is_none(), "the first game day has ended: {}", said());
    let message = "other, start by hand is not held, nothing was touched: game day day, start by hand by alice is going on, expected to end before";
    let is_refused = err(&refused).contains(message) && err(&refused).contains("it has faults for app2 too");
    assert!(refused.status.code() == Some(4) && is_refused, "{}", err(&refused));
    let of_other: Vec<serde_json::Value> =
        records_of(home).into_iter().filter(|record| record["gameday"] == "other").collect();
    assert_eq!((of_other.len(), of_other[0]["reason"].as_str()), (1, Some("busy")), "{of_other:?}");
    assert!(!said().contains("is going on"), "the game day refuses its own runs: {}", said());
    drop(first);
    fleet("127.9.0.1:7790", "127.9.0.2:7790");
    assert!(err(&second()).contains("begins, due"), "the claim of the first game day outlives its program");
}
