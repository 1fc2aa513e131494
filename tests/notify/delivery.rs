//! Delivery to channels that are slow, down or come back, and by programs that are killed.

use std::thread;

use super::*;

#[test]
fn messages_are_sent_at_the_beginning_and_the_end_of_a_run() {
    let receiver = Receiver::start();
    let folder = with_webhook(&receiver);
    let ended = drill(folder.path()).wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(4), "{}", said(&ended));
    let (started, last) = (receiver.next(), receiver.next());
    assert!(is_signed(&started) && is_signed(&last));
    let (started, last) = (started.json(), last.json());
    assert_eq!((started["what"].as_str(), last["what"].as_str()), (Some("started"), Some("ended")));
    assert_eq!((started["hosts"][0].as_str(), started["environment"].as_str()), (Some("app1"), Some("prod")));
    let run = started["run"].as_str().unwrap();
    assert_eq!(
        started["stop"].as_str(),
        Some(format!("firedrill undo --run {run} --fleet fleet.toml").as_str())
    );
    assert!(started["until"].as_str().is_some());
    assert_eq!((last["result"].as_str(), &last["begun"]["id"]), (Some("refused"), &started["id"]));
    assert!(last["why"].as_str().unwrap().contains("127.91.7.3"), "{last}");
    assert!(last.get("stop").is_none(), "the last message says how to stop a run that is over");
    assert!(receiver.is_quiet());
    no_secrets_in(&folder.path().join("reports"));
}

#[test]
fn a_channel_that_does_not_answer_does_not_delay_a_run() {
    let receiver = Receiver::start();
    receiver.holds();
    let folder = with_webhook(&receiver);
    let child = drill(folder.path());
    let first = receiver.next();
    assert_eq!(event(&first).1, "started");
    // The run ends and is judged while the channel still holds the first message.
    let reports = folder.path().join("reports");
    let is_judged = || {
        let runs = fs::read_dir(&reports).unwrap().map(|entry| entry.unwrap().path());
        runs.into_iter().any(|run| run.join("junit.xml").is_file())
    };
    while !is_judged() {
        thread::sleep(Duration::from_millis(20));
    }
    // Another program that delivers at the same time leaves the channel to this one.
    let other = firedrill(folder.path(), &["notify", "deliver"]).output().unwrap();
    assert_eq!(other.status.code(), Some(3), "{}", said(&other));
    receiver.answers("200 OK", "ok");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(4), "as without channels: {}", said(&ended));
    // On a slow machine the try may have been over before the channel answered, and the program may have ended.
    let rest = firedrill(folder.path(), &["notify", "deliver"]).output().unwrap();
    assert_eq!(rest.status.code(), Some(0), "{}", said(&rest));
    let mut next = event(&receiver.next());
    while next == event(&first) {
        next = event(&receiver.next());
    }
    assert_eq!(next.1, "ended");
    assert!(receiver.is_quiet(), "a message came twice");
}

#[test]
fn the_message_of_a_killed_program_is_sent_later_with_the_same_id() {
    let receiver = Receiver::start();
    receiver.holds();
    let folder = with_webhook(&receiver);
    let mut child = drill(folder.path());
    let first = receiver.next();
    // Both messages are written: the first is being sent, the second waits behind it.
    while states(folder.path()).len() < 2 {
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let waits = |what: &str| (what.to_owned(), "pending".to_owned());
    assert_eq!(states(folder.path()), [waits("started"), waits("ended")]);
    receiver.answers("200 OK", "ok");
    let deliver = || firedrill(folder.path(), &["notify", "deliver"]).output().unwrap();
    let delivered = deliver();
    assert_eq!(delivered.status.code(), Some(0), "{}", said(&delivered));
    let again = receiver.next();
    assert_eq!(event(&again), event(&first));
    assert!(is_signed(&again));
    assert_eq!(event(&receiver.next()).1, "ended");
    assert!(said(&deliver()).contains("nothing waits"), "a message still waits");
    assert!(receiver.is_quiet());
    assert!(list(folder.path()).iter().all(|message| message["state"] == "delivered"));
}

#[test]
fn a_channel_that_comes_back_gets_everything_in_order() {
    let receiver = Receiver::start();
    receiver.answers_next("503 Down", "try later");
    let folder = with_webhook(&receiver);
    let child = drill(folder.path());
    let first = receiver.next();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(4), "{}", said(&ended));
    // On a slow machine the program may have ended before its next try.
    let rest = firedrill(folder.path(), &["notify", "deliver"]).output().unwrap();
    assert_eq!(rest.status.code(), Some(0), "{}", said(&rest));
    assert_eq!(event(&receiver.next()), event(&first), "the same message again");
    assert_eq!(event(&receiver.next()).1, "ended");
    assert!(receiver.is_quiet());
}

#[test]
fn a_message_is_given_up_only_if_it_cannot_succeed() {
    let receiver = Receiver::start();
    let folder = with_webhook(&receiver);
    receiver.answers("404 Gone", "no such hook");
    let ended = drill(folder.path()).wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(4), "{}", said(&ended));
    let messages = list(folder.path());
    let given_up =
        |message: &Value| message["state"] == "given-up" && message["why"] == "status 404: no such hook";
    assert!(messages.iter().all(given_up), "{messages:?}");
    assert_eq!(
        (event(&receiver.next()).1, event(&receiver.next()).1),
        ("started".to_owned(), "ended".to_owned())
    );
    assert!(receiver.is_quiet(), "a message was tried again");
    // A server may ask for more time than the program waits. Then the messages are kept.
    receiver.answers("429 Slow\r\nRetry-After: 600", "");
    let ended = drill(folder.path()).wait_with_output().unwrap();
    assert!(said(&ended).contains("2 messages for channels are not delivered yet"), "{}", said(&ended));
    receiver.next();
    assert!(receiver.is_quiet(), "a message was tried again before its time");
    receiver.answers("200 OK", "");
    let delivered = firedrill(folder.path(), &["notify", "deliver"]).output().unwrap();
    assert_eq!(delivered.status.code(), Some(0), "{}", said(&delivered));
}

#[test]
fn messages_are_sent_about_a_game_day_its_runs_and_a_skip() {
    let receiver = Receiver::start();
    let folder = with_webhook(&receiver);
    let home = folder.path();
    fs::write(
        home.join("day.toml"),
        "schema = 1\nname = \"day\"\nscenarios = [\"app1.toml\"]\nfleet = \"fleet.toml\"\nnotify = [\"ops\"]\n\
         schedule = { once = \"2099-12-04T14:00\", zone = \"UTC\" }\n",
    )
    .unwrap();
    let day = |verb: &str, which: &[&str]| {
        let words = ["gameday", verb, "day.toml", "--pki", "pki", "--as", "alice"];
        firedrill(home, &[&words, which].concat()).output().unwrap()
    };
    let started = day("start", &["--now"]);
    assert_eq!(started.status.code(), Some(4), "{}", said(&started));
    let events: Vec<(String, String)> = (0..4).map(|_| event(&receiver.next())).collect();
    let about = |id: &str| if id.starts_with("gameday/day/by-hand-") { "game day" } else { "run" };
    let kinds: Vec<(&str, &str)> = events.iter().map(|(id, what)| (about(id), what.as_str())).collect();
    assert_eq!(kinds, [("game day", "started"), ("run", "started"), ("run", "ended"), ("game day", "ended")]);
    let skipped = day("skip", &["--slot", "2099-12-04T14:00", "--why", "freeze"]);
    assert_eq!(skipped.status.code(), Some(0), "{}", said(&skipped));
    let skip = receiver.next().json();
    assert_eq!(
        (skip["what"].as_str(), skip["why"].as_str()),
        (Some("skipped"), Some("skipped by alice: freeze"))
    );
    assert!(receiver.is_quiet());
}

#[test]
fn a_run_becomes_a_region_in_grafana() {
    let receiver = Receiver::start();
    receiver.answers_next("200 OK", r#"{"message":"Annotation added","id":17}"#);
    let base = receiver.url("");
    let folder = folder_with(&format!(
        "[channel.graphs]\ngrafana = {{ url = \"{base}\", token = {{ secret_file = \"key\" }} }}\n"
    ));
    let ended = drill(folder.path()).wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(4), "{}", said(&ended));
    let (begun, closed) = (receiver.next(), receiver.next());
    assert_eq!(begun.line, "POST /api/annotations HTTP/1.1");
    assert_eq!(closed.line, "PATCH /api/annotations/17 HTTP/1.1");
    assert!(closed.json()["timeEnd"].as_u64() >= begun.json()["time"].as_u64(), "{closed:?}");
    assert!(receiver.is_quiet());
}
