//! Notifications: the program sends messages to receivers of this test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "notify/delivery.rs"]
mod delivery;
#[path = "common/receiver.rs"]
mod receiver;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use firedrill_notify::{Channel, ChannelsFile, Message, What, spool::Spool};
use ring::hmac;
use serde_json::Value;

use receiver::{Receiver, Request};

/// The key in the file `key`.
const KEY: &str = "k3y-of-the-signature";
/// The part of a webhook's URL that must stay secret.
const SECRET: &str = "s3cretpath";

/// Makes a folder with a scenario whose host has no agent, certificates, and a file of channels.
fn folder_with(channels: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    // No program listens on this address, which is one of this machine's, like all of 127.0.0.0/8.
    fs::write(home.join("fleet.toml"), "schema = 1\n[[host]]\nname = \"app1\"\naddress = \"127.91.7.3\"\n")
        .unwrap();
    fs::write(
        home.join("app1.toml"),
        "schema = 1\nname = \"stop-app1\"\nhypothesis = \"It comes back.\"\nenvironment = \"prod\"\n[probes.buy]\n\
         http.url = \"http://127.91.7.3/\"\nrate = 100\n[objectives.users]\nprobe = \"buy\"\ngood = \"90%\"\n\
         [[attack]]\nname = \"stop\"\non = \"app1\"\nfault.service-stop = { service = \"checkout\" }\nhold = \"10m\"\n",
    )
    .unwrap();
    fs::write(home.join("channels.toml"), format!("schema = 1\n{channels}")).unwrap();
    fs::write(home.join("key"), format!("{KEY}\n")).unwrap();
    for words in ["pki --dir pki init", "pki --dir pki issue person alice --role operator"] {
        let words: Vec<&str> = words.split(' ').collect();
        assert!(firedrill(home, &words).output().unwrap().status.success());
    }
    folder
}

/// Makes a folder with the channel `ops`, a webhook of that receiver.
fn with_webhook(receiver: &Receiver) -> tempfile::TempDir {
    let folder = folder_with(
        "[channel.ops]\nwebhook = { url = { secret_file = \"url\" }, key = { secret_file = \"key\" } }\n",
    );
    fs::write(folder.path().join("url"), receiver.url(&format!("/{SECRET}"))).unwrap();
    folder
}

fn firedrill(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    command.current_dir(folder).env_remove("FIREDRILL_FLEET").env_remove("FIREDRILL_PKI").args(words);
    command.env("HOME", "/no/such").env("XDG_CONFIG_HOME", "/no/such");
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Starts the drill. It is refused, because its host has no agent.
fn drill(folder: &Path) -> Child {
    let words = "run app1.toml --fleet fleet.toml --pki pki --as alice --notify channels.toml";
    let words: Vec<&str> = words.split(' ').collect();
    firedrill(folder, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns all messages of the spool.
fn list(folder: &Path) -> Vec<Value> {
    let output = firedrill(folder, &["notify", "list", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

/// Returns the kind and the state of each message.
fn states(folder: &Path) -> Vec<(String, String)> {
    let text = |message: &Value, key: &str| message[key].as_str().unwrap_or_default().to_owned();
    list(folder).iter().map(|message| (text(message, "what"), text(message, "state"))).collect()
}

/// Returns the id and the kind of a request's event.
fn event(request: &Request) -> (String, String) {
    let json = request.json();
    assert_eq!(json["id"].as_str(), Some(request.headers["firedrill-event"].as_str()));
    (json["id"].as_str().unwrap().to_owned(), json["what"].as_str().unwrap().to_owned())
}

/// Verifies a request's signature as docs/channels.md describes it.
fn is_signed(request: &Request) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signed = format!("{}.{}", request.headers["firedrill-time"], request.body);
    let digits = request.headers["firedrill-signature"].strip_prefix("v1=").expect("version 1");
    let signature: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
}

/// Checks that no file below a folder has a secret.
fn no_secrets_in(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            no_secrets_in(&entry.path());
        } else {
            let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            assert!(!text.contains(SECRET) && !text.contains(KEY), "{}", entry.path().display());
        }
    }
}

#[test]
fn a_test_message_is_delivered_and_signed() {
    let receiver = Receiver::start();
    let folder = with_webhook(&receiver);
    let output = firedrill(folder.path(), &["notify", "test", "ops"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let request = receiver.next();
    assert_eq!(event(&request).1, "test");
    assert_eq!(request.line, format!("POST /{SECRET} HTTP/1.1"));
    assert!(is_signed(&request), "{request:?}");
    let changed = Request { body: request.body.replace("nothing", "something"), ..request.clone() };
    assert!(!is_signed(&changed));
    let mut later = request;
    later.headers.insert("firedrill-time".to_owned(), "1".to_owned());
    assert!(!is_signed(&later), "the signature does not cover the time");
    assert_eq!(states(folder.path()), [("test".to_owned(), "delivered".to_owned())]);
}

#[test]
fn messages_for_a_channel_that_does_not_exist_can_be_deleted() {
    let receiver = Receiver::start();
    let folder = with_webhook(&receiver);
    let spool = Spool::of(&folder.path().join("reports"));
    for (channel, id) in [("old", "a"), ("ops", "b"), ("old", "c")] {
        spool
            .put(channel, &Message::new(id, What::Started, "Firedrill: a run has started"))
            .unwrap()
            .unwrap();
    }
    let run = |words: &str| {
        firedrill(folder.path(), &words.split(' ').collect::<Vec<_>>()).env("USER", "alice").output().unwrap()
    };
    let delivered = run("notify deliver");
    assert!(
        said(&delivered).contains("`firedrill notify delete CHANNEL` deletes them"),
        "{}",
        said(&delivered)
    );
    receiver.next();
    for (words, message) in [
        ("notify delete olds", "nothing waits for olds"),
        ("notify delete old --id b", "no message b waits for it"),
        ("notify delete ops", "nothing waits for ops"),
    ] {
        let refused = run(words);
        assert!(refused.status.code() == Some(2) && said(&refused).contains(message), "{}", said(&refused));
    }
    let shown = run("notify list --channel old");
    assert!(said(&shown).contains("pending") && !said(&shown).contains("delivered"), "{}", said(&shown));
    let deleted = run("notify delete old --by bob");
    assert!(deleted.status.code() == Some(0), "{}", said(&deleted));
    assert_eq!(said(&deleted).matches("deleted: ").count(), 2, "{}", said(&deleted));
    let listed = run("notify list");
    assert!(
        listed.status.code() == Some(0) && said(&listed).contains("deleted: bob deleted it"),
        "{}",
        said(&listed)
    );
    assert_eq!(spool.pending().unwrap(), []);
}

#[test]
fn redirects_are_not_followed_and_no_text_has_a_secret() {
    let (receiver, elsewhere) = (Receiver::start(), Receiver::start());
    let folder = with_webhook(&receiver);
    receiver.answers(
        &format!("307 Go\r\nLocation: {}", elsewhere.url("/")),
        &format!("go from /{SECRET}, {KEY}"),
    );
    let output = firedrill(folder.path(), &["notify", "test", "ops"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("status 307") && said(&output).contains("redirects are not followed"),
        "{}",
        said(&output)
    );
    assert!(elsewhere.is_quiet());
    // A long answer is cut, in the middle of a secret.
    receiver.answers("400 Wrong", &format!("{}{KEY}", "x".repeat(185)));
    let cut = firedrill(folder.path(), &["notify", "test", "ops"]).output().unwrap();
    assert_eq!(cut.status.code(), Some(2), "{}", said(&cut));
    assert!(said(&cut).contains("xxx") && !said(&cut).contains(&KEY[..4]), "{}", said(&cut));
    fs::remove_file(folder.path().join("key")).unwrap();
    let unread = firedrill(folder.path(), &["notify", "test", "ops"]).output().unwrap();
    assert!(said(&unread).contains("`key` in file key cannot be used"), "{}", said(&unread));
    let table = firedrill(folder.path(), &["notify", "list"]).output().unwrap();
    for output in [output, unread, table] {
        assert!(!said(&output).contains(SECRET) && !said(&output).contains(KEY), "{}", said(&output));
    }
    no_secrets_in(&folder.path().join("reports"));
}

#[test]
fn each_kind_reaches_its_receiver() {
    let http = Receiver::start();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (letters, letter) = mailbox();
    let (datagrams, stream) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    let (base, key) = (http.url(""), "{ secret_file = \"key\" }");
    let folder = folder_with(&format!(
        "[channel.chat]\nslack.url = {{ secret_file = \"url\" }}\n[channel.changes]\npagerduty = {{ routing_key = {key}, url = \"{base}\" }}\n\
         [channel.graphs]\ngrafana = {{ url = \"{base}\", token = {key} }}\n[channel.logs]\nsyslog.to = \"{datagrams}\"\n\
         [channel.stream]\nsyslog = {{ to = \"{stream}\", protocol = \"tcp\" }}\n[channel.counters]\nstatsd = {{ to = \"{datagrams}\", dogstatsd = true }}\n\
         [channel.mail]\nemail = {{ server = \"{letters}\", tls = \"none\", user = {key}, password = {key}, from = \"fd@example.com\", to = [\"ops@example.com\"] }}\n"
    ));
    let home = folder.path();
    fs::write(home.join("url"), http.url("/services/T/B/X")).unwrap();
    // The other tests use webhooks.
    let mut tested = Vec::from(["webhook".to_owned()]);
    let mut test = |channel: &str| {
        tested.extend(kinds(home, channel));
        let output = firedrill(home, &["notify", "test", channel]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{channel}: {}", said(&output));
    };
    let datagram = || {
        let mut bytes = [0; 65_536];
        let length = udp.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    test("chat");
    let request = http.next();
    assert_eq!(request.line, "POST /services/T/B/X HTTP/1.1");
    assert!(
        request.json()["text"].as_str().unwrap().starts_with("Firedrill: a test of the channel chat\nWhy: ")
    );
    test("changes");
    let request = http.next();
    assert_eq!(request.line, "POST /v2/change/enqueue HTTP/1.1");
    assert_eq!(
        (request.json()["routing_key"].as_str(), request.json()["payload"]["source"].as_str()),
        (Some(KEY), Some("firedrill"))
    );
    test("graphs");
    let request = http.next();
    assert_eq!(
        (request.line.as_str(), request.headers["authorization"].as_str()),
        ("POST /api/annotations HTTP/1.1", format!("Bearer {KEY}").as_str())
    );
    test("logs");
    let line = datagram();
    assert!(
        line.starts_with("<13>1 20") && line.contains(" test - Firedrill: a test of the channel logs"),
        "{line}"
    );
    test("counters");
    assert_eq!(datagram(), "firedrill.events:1|c|#what:test");
    assert!(datagram().starts_with("_e{41,"), "the second packet is not an event of DogStatsD");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        tcp.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    test("stream");
    let text = reader.join().unwrap();
    let (count, line) = text.split_once(' ').unwrap();
    assert_eq!(count.parse(), Ok(line.len()), "{text}");
    test("mail");
    let letter = letter.join().unwrap();
    for line in [
        "RCPT TO:<ops@example.com>",
        "Subject: Firedrill: a test of the channel mail",
        "Why: `firedrill notify test` sent it",
    ] {
        assert!(letter.contains(line), "{line}: {letter}");
    }
    no_secrets_in(&home.join("reports"));
    let untested: Vec<_> =
        Channel::KINDS.iter().filter(|kind| !tested.iter().any(|tested| tested == *kind)).collect();
    assert!(untested.is_empty(), "this test has no receiver for {untested:?}");
}

/// Returns the kinds of a channel.
fn kinds(folder: &Path, channel: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("channels.toml")).unwrap();
    let file: ChannelsFile = toml::from_str(&text).unwrap();
    file.channel[channel].kinds().into_iter().map(|(kind, _)| kind.to_owned()).collect()
}

/// Starts a mail server for one message. Returns its address, and a thread that returns the lines that arrived.
fn mailbox() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let came = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let (mut came, mut is_text) = (String::new(), false);
        let mut answer = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        answer("220 mail.example ESMTP");
        while let Some(Ok(line)) = lines.next() {
            came += &format!("{line}\n");
            is_text = (is_text || line == "DATA") && line != ".";
            match line.as_str() {
                "DATA" => answer("354 go on"),
                "QUIT" => break,
                _ if is_text => {}
                _ if line.starts_with("EHLO") => answer("250-mail.example\r\n250 AUTH PLAIN"),
                _ if line.starts_with("AUTH") => answer("235 welcome"),
                _ => answer("250 fine"),
            }
        }
        came
    });
    (address, came)
}

#[test]
fn all_errors_of_a_file_are_reported_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["check", "tests/wrong/channels.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("channels", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_channel_that_a_game_day_names_has_to_exist() {
    let folder = folder_with("[channel.ops]\nsyslog.to = \"127.0.0.1:514\"\n");
    let home = folder.path();
    let day = |notify: &str| {
        let text = format!(
            "schema = 1\nname = \"day\"\nscenarios = [\"app1.toml\"]\nfleet = \"fleet.toml\"\nnotify = [\"{notify}\"]\n\
                            schedule = {{ cron = \"0 14 * * *\", zone = \"UTC\" }}\n"
        );
        fs::write(home.join("day.toml"), text).unwrap();
        firedrill(home, &["check", "day.toml"]).output().unwrap()
    };
    assert_eq!(day("ops").status.code(), Some(0), "{}", said(&day("ops")));
    let wrong = day("opps");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said(&wrong).contains("has no channel `opps`") && said(&wrong).contains("`ops`"),
        "{}",
        said(&wrong)
    );
    // A drill whose messages could not be sent is not held.
    let start = ["gameday", "start", "day.toml", "--now", "--pki", "pki", "--as", "alice"];
    let started = firedrill(home, &start).output().unwrap();
    assert_eq!(started.status.code(), Some(2), "{}", said(&started));
    assert!(
        said(&started).contains("is not held, nothing was touched: channels.toml has no channel `opps`"),
        "{}",
        said(&started)
    );
    fs::remove_file(home.join("channels.toml")).unwrap();
    assert!(
        said(&day("ops")).contains("the file of channels channels.toml could not be read"),
        "{}",
        said(&day("ops"))
    );
}
