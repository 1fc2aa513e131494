use super::*;
use crate::message::{Begun, What};

fn email(rest: &str) -> Email {
    let text = format!(
        r#"{{"server":"smtp.example:587","from":"Firedrill <fd@example.com>","to":["ops@example.com"]{rest}}}"#
    );
    serde_json::from_str(&text).expect("its parameters")
}

fn ended() -> Message {
    let title = "Firedrill: drill \"friday\" has ended: violated";
    let mut message = Message::new("r1/ended", What::Ended, title);
    message.at = "2026-12-04T14:05:00.500Z".to_owned();
    message.hosts = vec!["app1".to_owned(), "app2".to_owned()];
    message.until = Some("2026-12-04T14:30:00Z".to_owned());
    message.stop = Some("firedrill undo --run r1 --fleet fleet.toml".to_owned());
    message.begun = Some(Begun { id: "r1/started".to_owned(), at: "2026-12-04T14:00:00Z".to_owned() });
    message
}

fn mail(email: &Email, message: &Message) -> Mail {
    let secrets = Opened::of(&[("user", "alice"), ("password", "s3cret")]);
    let Ok(Parcel::Mail(mail)) = email.parcel(message, &secrets, None) else { panic!("a message") };
    *mail
}

/// Returns the lines of a message's text, with folded lines joined.
fn lines(email: &Email, message: &Message) -> Vec<String> {
    let text = String::from_utf8(mail(email, message).text).expect("text");
    assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
    text.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_message_is_understood_without_a_link() {
    let own =
        Email { to: vec!["ops@example.com".to_owned(), "Bob <bob@example.com>".to_owned()], ..email("") };
    assert_eq!(
        lines(&own, &ended()),
        [
            "From: \"Firedrill\" <fd@example.com>",
            "To: <ops@example.com>, \"Bob\" <bob@example.com>",
            "Subject: Firedrill: drill \"friday\" has ended: violated",
            "Date: Fri, 4 Dec 2026 14:05:00 +0000",
            "Message-ID: <firedrill-bc0a6bf4a26bd15faa0317b3d1fa32fd@example.com>",
            "In-Reply-To: <firedrill-2ed17d0d38af35e733b43192b1bde413@example.com>",
            "References: <firedrill-2ed17d0d38af35e733b43192b1bde413@example.com>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=\"utf-8\"",
            "Content-Transfer-Encoding: 7bit",
            "",
            "Firedrill: drill \"friday\" has ended: violated",
            "",
            "Hosts: app1, app2",
            "Until: about 2026-12-04T14:30:00Z",
            "Stop it: firedrill undo --run r1 --fleet fleet.toml",
            "Time: 2026-12-04T14:05:00.500Z",
            "Event: r1/ended",
            "",
        ]
    );
    let sent = mail(&own, &ended());
    assert_eq!(
        (sent.from.as_str(), sent.to),
        ("fd@example.com", vec!["ops@example.com".to_owned(), "bob@example.com".to_owned()])
    );
    assert!(sent.login.is_none());
}

/// Returns the value of a header line; `None` if there is none.
fn header(lines: &[String], name: &str) -> Option<String> {
    let found: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect();
    assert!(found.len() < 2, "{name} once: {lines:?}");
    found.first().map(|value| (*value).to_owned())
}

#[test]
fn a_run_is_one_thread_and_a_repeat_has_the_same_id() {
    let mut started = Message::new("r1/started", What::Started, "x");
    let first = lines(&email(""), &started);
    let id = header(&first, "Message-ID").expect("an id");
    assert_eq!((header(&first, "In-Reply-To"), header(&first, "References")), (None, None));
    let last = lines(&email(""), &ended());
    assert_ne!(header(&last, "Message-ID").as_ref(), Some(&id));
    assert_eq!(header(&last, "In-Reply-To").as_ref(), Some(&id));
    assert_eq!(header(&last, "References").as_ref(), Some(&id));
    assert_eq!(mail(&email(""), &ended()).text, mail(&email(""), &ended()).text, "byte by byte");
    started.id = "r2/started".to_owned();
    assert_ne!(header(&lines(&email(""), &started), "Message-ID"), Some(id));
}

#[test]
fn no_text_from_outside_adds_a_line_to_the_header() {
    let evil =
        "x\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>\u{1b}\u{85}\u{2028}Bcc: eve";
    let mut message = ended();
    // Another program may have written such a message into the spool.
    (message.title, message.id, message.at) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
    message.begun = Some(Begun { id: evil.replace('x', "y"), at: evil.to_owned() });
    (message.why, message.stop) = (Some(evil.to_owned()), Some(evil.to_owned()));
    let lines = lines(&email(""), &message);
    let end = lines.iter().position(String::is_empty).expect("the header's end");
    let names: Vec<&str> =
        lines[..end].iter().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "In-Reply-To",
            "References",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
            "Content-Transfer-Encoding"
        ],
        "{lines:?}"
    );
}

#[test]
fn text_that_is_not_ascii_is_encoded() {
    let mut message = ended();
    message.title = "Firedrill: drill \"Übung — 演習\" has ended: held".repeat(3);
    let own = Email { from: "Übung <fd@example.com>".to_owned(), ..email("") };
    let lines = lines(&own, &message);
    assert_eq!(header(&lines, "From").as_deref(), Some("=?utf-8?B?w5xidW5n?= <fd@example.com>"));
    let subject = header(&lines, "Subject").expect("a subject");
    assert!(subject.split(' ').all(|word| word.starts_with("=?utf-8?") && word.ends_with("?=")), "{subject}");
}

#[test]
fn the_login_goes_with_the_message() {
    let own = email(r#","user":{"secret_env":"U"},"password":{"secret_env":"P"}"#);
    assert_eq!(own.secrets().iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["user", "password"]);
    assert_eq!(mail(&own, &ended()).login, Some(("alice".to_owned(), "s3cret".to_owned())));
    assert_eq!(own.tls, Tls::Starttls, "the default");
    let Ok(parcel) = own.parcel(&ended(), &Opened::of(&[("user", "alice"), ("password", "s3cret")]), None)
    else {
        panic!("a message")
    };
    assert_eq!(format!("{parcel:?}"), "Mail");
}

#[test]
fn wrong_parameters_are_refused() {
    let count = |own: &Email| own.invalid().len();
    let login = r#","user":{"secret_env":"U"},"password":{"secret_env":"P"}"#;
    assert_eq!((count(&email("")), count(&email(login))), (0, 0));
    for rest in [
        r#","user":{"secret_env":"U"}"#,
        r#","password":{"secret_env":"P"}"#,
        r#","tls":"none","ca_file":"/ca.pem""#,
    ] {
        assert_eq!(count(&email(rest)), 1, "{rest}");
    }
    for server in ["smtp.example", "smtp.example:", "smtp://smtp.example:587", ""] {
        assert_eq!(count(&Email { server: server.to_owned(), ..email(login) }), 1, "{server}");
    }
    assert_eq!(count(&Email { from: "fd".to_owned(), ..email("") }), 1);
    assert_eq!(count(&Email { to: Vec::new(), ..email("") }), 1);
    assert_eq!(count(&Email { to: vec!["a@b.example".to_owned(); 51], ..email("") }), 1);
    let wrong = Email { to: vec!["a@b.example".to_owned(), "a@b, c@d".to_owned()], ..email("") }.invalid();
    assert_eq!(wrong[0].field.path("email"), ["email", "to", "1"]);
}

#[test]
fn a_password_never_crosses_a_network_in_clear() {
    let login = r#","tls":"none","user":{"secret_env":"U"},"password":{"secret_env":"P"}"#;
    let at = |server: &str, rest: &str| {
        let own = Email { server: server.to_owned(), ..email(rest) };
        (own.invalid().len(), own.warnings().len())
    };
    for here in ["localhost:25", "127.0.0.1:25", "127.9.9.9:25", "[::1]:25", "LOCALHOST:587"] {
        assert_eq!((at(here, login), at(here, r#","tls":"none""#)), ((0, 0), (0, 0)), "{here}");
    }
    for there in ["smtp.example:25", "192.0.2.1:25", "localhost.example:25", "[2001:db8::1]:25"] {
        assert_eq!((at(there, login), at(there, r#","tls":"none""#)), ((1, 0), (0, 1)), "{there}");
        assert_eq!(at(there, r#","tls":"implicit""#), (0, 0), "{there}");
    }
}
