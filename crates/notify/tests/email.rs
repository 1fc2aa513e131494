//! Tests of e-mail with a real mail server: aiosmtpd (`tests/smtp/server.py`).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use firedrill_notify::{Begun, Channel, Message, Sent, What, send};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};

const PASSWORD: &str = "p4ssword-of-alice";

/// The folder of the test's files: an authority, its certificates for 127.0.0.1 and for another name, another authority, and secrets.
struct House(tempfile::TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        house.write("ca.pem", &authority.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(authority, key);
        let own = SanType::IpAddress([127, 0, 0, 1].into());
        for (name, is_for) in [("own", own), ("other", SanType::DnsName("other.example".try_into().unwrap()))]
        {
            let key = KeyPair::generate().unwrap();
            let mut leaf = CertificateParams::default();
            leaf.subject_alt_names = vec![is_for];
            house.write(&format!("{name}.pem"), &leaf.signed_by(&key, &issuer).unwrap().pem());
            house.write(&format!("{name}.key"), &key.serialize_pem());
        }
        let key = KeyPair::generate().unwrap();
        let mut stranger = CertificateParams::default();
        stranger.distinguished_name.push(DnType::CommonName, "another authority");
        house.write("stranger.pem", &stranger.self_signed(&key).unwrap().pem());
        house.write("user", "alice\n");
        house.write("password", PASSWORD);
        house.write("wrong", "p4ssword-of-bob");
        house
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Returns a channel with a login. `rest` replaces or adds parameters.
    fn channel(&self, server: &Server, rest: &Value) -> Channel {
        let mut email = json!({
            "server": format!("127.0.0.1:{}", server.port), "from": "Übung <fd@example.com>", "to": ["ops@example.com"],
            "user": { "secret_file": self.path("user") }, "password": { "secret_file": self.path("password") },
        });
        for (key, value) in rest.as_object().unwrap() {
            email[key] = value.clone();
        }
        serde_json::from_value(json!({ "email": email })).unwrap()
    }
}

/// A mail server. It is killed when this is dropped.
struct Server {
    child: Child,
    port: u16,
    told: BufReader<ChildStdout>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts the server with the arguments in `words`. Returns `None`, and prints a message, if the server is not installed.
    fn start(house: &House, words: &str) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/smtp");
        let python = folder.join("venv/bin/python");
        if !python.exists() {
            eprintln!("skipped: the mail server is not installed (tests/packages.sh smtp)");
            return None;
        }
        let child = Command::new(python)
            .arg(folder.join("server.py"))
            .args(words.split(' '))
            .current_dir(house.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        told.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("it prints its port");
        Some(Self { child, port, told })
    }

    /// Waits for the next line that it prints, and returns it.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("it has ended: {line}"))
    }

    /// Ends the server, and returns the lines that were not read yet.
    fn end(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let rest = self.told.by_ref().lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        rest.collect()
    }
}

fn message() -> Message {
    let mut message =
        Message::new("r1/ended", What::Ended, "Firedrill: drill \"Übung — 演習\" has ended: violated");
    message.at = "2026-12-04T14:05:00.500Z".to_owned();
    message.environment = Some("production".to_owned());
    message.why = Some("käse ".repeat(40));
    message.stop = Some("firedrill undo --run r1 --fleet fleet.toml".to_owned());
    message.begun = Some(Begun { id: "r1/started".to_owned(), at: "2026-12-04T14:00:00Z".to_owned() });
    message
}

/// Returns whether a failure is final, and its reason. Checks that the reason has no secret.
fn failed(sent: Sent) -> (bool, String) {
    let (is_final, why) = match sent {
        Sent::Taken { .. } => panic!("it was taken"),
        Sent::Later { why, .. } => (false, why),
        Sent::Never { why } => (true, why),
    };
    assert!(!why.contains("p4ssword") && !why.contains("alice"), "{why}");
    (is_final, why)
}

#[tokio::test]
async fn a_message_is_delivered_by_starttls_and_read_as_it_was_meant() {
    let house = House::new();
    let Some(mut server) = Server::start(&house, "starttls own.pem own.key") else { return };
    let to = json!(["ops@example.com", "\"Bob, of Ops\" <bob@example.com>"]);
    let channel = house.channel(&server, &json!({ "ca_file": house.path("ca.pem"), "to": to }));
    assert_eq!(send(&channel, &message(), None).await, Sent::Taken { receipt: None });
    assert_eq!(server.next(), json!({ "mechanism": "PLAIN", "tls": true, "well": true }));
    let told = server.next();
    assert_eq!((&told["tls"], &told["login"], &told["defects"]), (&json!(true), &json!(true), &json!([])));
    assert_eq!(told["sender"], "fd@example.com");
    assert_eq!(told["recipients"], json!(["ops@example.com", "bob@example.com"]));
    let header = |name: &str| told["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("From"), "Übung <fd@example.com>");
    assert_eq!(header("To"), "ops@example.com, \"Bob, of Ops\" <bob@example.com>");
    assert_eq!(header("Subject"), message().title);
    assert_eq!(header("Date"), "Fri, 04 Dec 2026 14:05:00 +0000");
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    let body = told["body"].as_str().unwrap().replace("\r\n", "\n");
    assert!(body.starts_with(&format!("{}\n\nWhy: käse käse", message().title)), "{body}");
    assert!(body.contains("\nStop it: firedrill undo --run r1 --fleet fleet.toml\n"), "{body}");
    // This message refers to the id of the run's first message. A repeated message has the same id again.
    let first = Message::new("r1/started", What::Started, "Firedrill: drill \"friday\" has started");
    let mut ids = Vec::new();
    for message in [&first, &message()] {
        assert_eq!(send(&channel, message, None).await, Sent::Taken { receipt: None });
        let _login = server.next();
        ids.push(server.next()["headers"]["Message-ID"].as_str().unwrap().to_owned());
    }
    assert_eq!((header("In-Reply-To"), header("References")), (ids[0].clone(), ids[0].clone()));
    assert_eq!(header("Message-ID"), ids[1]);
    assert_eq!(server.end(), Vec::<Value>::new());
}

#[tokio::test]
async fn tls_may_begin_with_the_connection_and_a_login_may_be_by_login() {
    let house = House::new();
    let Some(mut server) = Server::start(&house, "implicit own.pem own.key --only LOGIN") else { return };
    let rest = json!({ "ca_file": house.path("ca.pem"), "tls": "implicit" });
    assert_eq!(send(&house.channel(&server, &rest), &message(), None).await, Sent::Taken { receipt: None });
    assert_eq!(server.next(), json!({ "mechanism": "LOGIN", "tls": true, "well": true }));
    assert_eq!(server.next()["tls"], true);
}

#[tokio::test]
async fn a_relay_on_this_machine_needs_no_tls() {
    let house = House::new();
    let Some(mut server) = Server::start(&house, "none") else { return };
    let channel = house.channel(&server, &json!({ "tls": "none" }));
    assert_eq!(send(&channel, &message(), None).await, Sent::Taken { receipt: None });
    assert_eq!(server.next(), json!({ "mechanism": "PLAIN", "tls": false, "well": true }));
    assert_eq!(server.next()["login"], true);
}

#[tokio::test]
async fn a_server_whose_certificate_is_wrong_gets_nothing() {
    let house = House::new();
    for (tls, certificate, authority, why) in [
        ("starttls", "own", "stranger", "UnknownIssuer"),
        ("implicit", "own", "stranger", "UnknownIssuer"),
        ("starttls", "other", "ca", "not valid for name"),
        ("implicit", "other", "ca", "not valid for name"),
    ] {
        let words = format!("{tls} {certificate}.pem {certificate}.key");
        let Some(server) = Server::start(&house, &words) else { return };
        let rest = json!({ "ca_file": house.path(&format!("{authority}.pem")), "tls": tls });
        let (is_final, told) = failed(send(&house.channel(&server, &rest), &message(), None).await);
        assert!(!is_final && told.contains(why), "{tls}: {told}");
        assert_eq!(server.end(), Vec::<Value>::new(), "{tls}");
    }
}

#[tokio::test]
async fn a_server_without_the_configured_tls_gets_no_password() {
    let house = House::new();
    let Some(server) = Server::start(&house, "none") else { return };
    for (tls, why) in [("starttls", "offers no STARTTLS"), ("implicit", "TLS failed")] {
        let rest = json!({ "ca_file": house.path("ca.pem"), "tls": tls });
        let (is_final, told) = failed(send(&house.channel(&server, &rest), &message(), None).await);
        assert!(!is_final && told.contains(why), "{told}");
    }
    assert_eq!(server.end(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_temporary_refusal_is_not_final_and_a_permanent_one_is() {
    let house = House::new();
    let Some(mut server) = Server::start(&house, "starttls own.pem own.key") else { return };
    let ca_file = house.path("ca.pem");
    let to = async |server: &Server, to: &[&str]| {
        let channel = house.channel(server, &json!({ "ca_file": ca_file, "to": to }));
        failed(send(&channel, &message(), None).await)
    };
    let (is_final, why) = to(&server, &["later@example.com"]).await;
    assert!(!is_final && why.contains("451 4.3.0 try again"), "{why}");
    let (is_final, why) = to(&server, &["never@example.com"]).await;
    assert!(is_final && why.contains("550 5.1.1 no such user"), "{why}");
    let (is_final, why) = to(&server, &["never@example.com", "full@example.com"]).await;
    assert!(!is_final && why.contains("550") && why.contains("452 4.2.2 mailbox full"), "{why}");
    for _ in 0..3 {
        assert_eq!(server.next()["well"], true);
    }
    // The accepted recipients get the message.
    let (is_final, why) = to(&server, &["ops@example.com", "never@example.com"]).await;
    assert!(
        is_final && why.starts_with("sent to 1 of 2 recipients, and not to never@example.com: 550"),
        "{why}"
    );
    assert_eq!(server.next()["well"], true);
    assert_eq!(server.next()["recipients"], json!(["ops@example.com"]));
    let wrong = json!({ "ca_file": ca_file, "password": { "secret_file": house.path("wrong") } });
    let (is_final, why) = failed(send(&house.channel(&server, &wrong), &message(), None).await);
    assert!(is_final && why.contains("did not accept `user` and `password`: 535"), "{why}");
    assert_eq!(server.next()["well"], false);
    assert_eq!(server.end(), Vec::<Value>::new());
}
