//! Tests with a fake server that gives set answers, without TLS. `tests/email.rs` uses a real mail server.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// An answer that never comes.
const SILENCE: &str = "";

/// Starts a server for one connection. `answers` has the beginnings of lines, each with the answer to such lines; other lines get the usual answer.
/// Returns the server's address, and a task that returns all lines that came.
async fn server(answers: &'static [(&'static str, &'static str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let answer = |line: &str, usual: &'static str| {
        answers.iter().find(|(to, _)| line.starts_with(to)).map_or(usual, |(_, answer)| answer)
    };
    let came = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let (reader, mut writer) = stream.into_split();
        let (mut lines, mut came) = (BufReader::new(reader).lines(), Vec::new());
        let greeting = answer("greeting", "220 mail.example ESMTP");
        let _ = writer.write_all(format!("{greeting}\r\n").as_bytes()).await;
        let mut in_data = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let usual = match line.as_str() {
                "DATA" => "354 go on",
                _ if line.starts_with("EHLO") => "250-mail.example\r\n250 AUTH LOGIN PLAIN",
                _ if line.starts_with("AUTH") => "235 2.7.0 welcome",
                _ => "250 2.0.0 fine",
            };
            let told = answer(&line, usual);
            came.push(line.clone());
            if in_data && line != "." {
                continue;
            }
            in_data = line == "DATA" && told.starts_with("354");
            match told {
                SILENCE => {}
                "bye" => return came,
                _ => drop(writer.write_all(format!("{told}\r\n").as_bytes()).await),
            }
        }
        came
    });
    (address, came)
}

fn mail(server: String) -> Mail {
    let to = ["ops@example.com", "bob@example.com"].map(str::to_owned);
    Mail {
        server,
        tls: Tls::None,
        ca_file: None,
        login: None,
        from: "firedrill@example.com".to_owned(),
        to: to.into(),
        text: b"Subject: x\r\n\r\n.dot\r\n".to_vec(),
    }
}

/// Sends a message to a server with these answers. Returns the result and the lines that came.
async fn sent(answers: &'static [(&'static str, &'static str)]) -> (Result<(), Failed>, Vec<String>) {
    sent_as(answers, |mail| mail).await
}

/// As [`sent`], with a change to the message.
async fn sent_as(
    answers: &'static [(&'static str, &'static str)],
    change: impl FnOnce(Mail) -> Mail,
) -> (Result<(), Failed>, Vec<String>) {
    let (address, came) = server(answers).await;
    let result = send(&change(mail(address)), LONG).await;
    (result, came.await.expect("it ends"))
}

fn with_login(mail: Mail) -> Mail {
    Mail { login: Some(("alice".to_owned(), "s3cret".to_owned())), ..mail }
}

#[tokio::test]
async fn a_message_goes_to_all_recipients() {
    let (result, came) = sent(&[]).await;
    assert_eq!(result, Ok(()));
    let wanted = [
        "EHLO [127.0.0.1]",
        "MAIL FROM:<firedrill@example.com>",
        "RCPT TO:<ops@example.com>",
        "RCPT TO:<bob@example.com>",
        "DATA",
        "Subject: x",
        "",
        "..dot",
        "",
        ".",
        "QUIT",
    ];
    assert_eq!(came, wanted);
}

#[tokio::test]
async fn a_refusal_with_a_status_5xx_is_final_at_each_step() {
    let fails = async |answers: &'static [(&'static str, &'static str)]| {
        let (result, _) = sent_as(answers, with_login).await;
        let failed = result.expect_err("refused");
        let status = answers[0].1.get(..3).unwrap_or_default();
        assert!(failed.why.contains(status), "{failed:?}");
        failed.is_final
    };
    assert!(fails(&[("greeting", "554 5.7.1 go away")]).await);
    assert!(fails(&[("EHLO", "550 who are you?")]).await);
    assert!(fails(&[("AUTH", "535 5.7.8 no")]).await);
    assert!(fails(&[("MAIL", "553 5.1.8 who is that?")]).await);
    assert!(fails(&[("RCPT", "550 5.1.1 nobody here")]).await);
    assert!(fails(&[("DATA", "554 5.5.1 no")]).await);
    assert!(fails(&[(".", "554 5.7.1 spam")]).await);
}

#[tokio::test]
async fn other_failures_are_not_final() {
    let fails = async |answers: &'static [(&'static str, &'static str)]| {
        let (result, _) = sent_as(answers, with_login).await;
        let failed = result.expect_err("refused");
        assert!(!failed.is_final, "{failed:?}");
        failed.why
    };
    assert!(fails(&[("greeting", "421 4.3.2 too busy")]).await.contains("421 4.3.2 too busy"));
    assert!(fails(&[("EHLO", "451 later")]).await.contains("451 later"));
    assert!(fails(&[("AUTH", "454 4.7.0 later")]).await.contains("454"));
    assert!(fails(&[("EHLO", "250-x\r\n250 SIZE 9")]).await.contains("no login by PLAIN or LOGIN"));
    let plain = async |answers| {
        let failed = sent(answers).await.0.expect_err("refused");
        assert!(!failed.is_final, "{failed:?}");
        failed.why
    };
    assert!(plain(&[("MAIL", "452 4.3.1 disk full")]).await.contains("MAIL FROM: 452 4.3.1 disk full"));
    assert!(plain(&[("RCPT TO:<bob", "421 4.3.2 end")]).await.contains("RCPT TO: 421"));
    assert!(
        plain(&[("RCPT", "450 4.2.0 greylisted")]).await.contains("bob@example.com: 450 4.2.0 greylisted")
    );
    // One of the two recipients may be accepted later.
    assert!(plain(&[("RCPT TO:<ops", "550 5.1.1 nobody"), ("RCPT", "450 wait")]).await.contains("450 wait"));
    assert!(plain(&[(".", "451 4.3.0 later")]).await.contains("DATA: 451"));
    assert!(plain(&[(".", "bye")]).await.contains("ended the connection"));
    assert!(plain(&[("greeting", "SSH-2.0-OpenSSH")]).await.contains("does not speak SMTP"));
}

#[tokio::test]
async fn if_some_recipients_are_refused_the_others_still_get_the_message() {
    let (result, came) = sent(&[("RCPT TO:<bob", "550 5.1.1 no such user")]).await;
    let failed = result.expect_err("not by all");
    // Final, because the other recipients have it.
    assert!(failed.is_final);
    assert_eq!(failed.why, "sent to 1 of 2 recipients, and not to bob@example.com: 550 5.1.1 no such user");
    assert!(came.contains(&"..dot".to_owned()), "{came:?}");
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let authority = authority();
    let (result, came) = sent_as(&[], |mail| Mail {
        tls: Tls::Starttls,
        ca_file: Some(authority.path().display().to_string()),
        ..with_login(mail)
    })
    .await;
    let failed = result.expect_err("no TLS");
    assert!(!failed.is_final && failed.why.contains("offers no STARTTLS"), "{failed:?}");
    assert_eq!(came, ["EHLO [127.0.0.1]"]);
}

/// Returns a file with an authority that has signed no certificate.
fn authority() -> tempfile::NamedTempFile {
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate").pem();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pem).expect("written");
    file
}

#[tokio::test]
async fn only_plain_and_login_are_tried_and_the_text_of_the_answer_is_not_shown() {
    // base64 of "\0alice\0s3cret"
    const SENT: &str = "AUTH PLAIN AGFsaWNlAHMzY3JldA==";
    let busy: &'static [(&str, &str)] = &[
        ("EHLO", "250-x\r\n250 AUTH CRAM-MD5 DIGEST-MD5 PLAIN"),
        ("AUTH PLAIN", "454 4.7.0 later"),
        ("AUTH DIGEST", "334 cmVhbG09Ing="),
        ("AUTH CRAM", "535 5.7.8 that is no digest"),
    ];
    let (result, came) = sent_as(busy, with_login).await;
    let failed = result.expect_err("refused");
    assert!(!failed.is_final && failed.why.contains("454 4.7.0"), "{failed:?}");
    assert_eq!(came, ["EHLO [127.0.0.1]", SENT, "QUIT"]);
    let echo: &[(&str, &str)] = &[
        ("AUTH", "535 5.7.8 what is AUTH PLAIN AGFsaWNlAHMzY3JldA==?"),
        ("EHLO", "250-x\r\n250 AUTH PLAIN"),
    ];
    let failed = sent_as(echo, with_login).await.0.expect_err("refused");
    assert_eq!(failed.why, "the server did not accept `user` and `password`: 535 5.7.8");
}

#[tokio::test]
async fn a_server_that_accepts_the_message_and_is_then_silent_has_accepted_it() {
    let (result, came) = sent(&[("QUIT", SILENCE)]).await;
    assert_eq!((result, came.last().map(String::as_str)), (Ok(()), Some("QUIT")));
}

#[tokio::test]
async fn a_server_that_is_silent_or_cannot_be_reached_is_not_final() {
    let (address, _came) = server(&[("MAIL", SILENCE)]).await;
    let failed = send(&mail(address), Duration::from_millis(300)).await.expect_err("silence");
    assert!(!failed.is_final && failed.why.contains("no answer"), "{failed:?}");
    // The socket is bound and does not listen. So no other program can take the port.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("its address").to_string();
    let failed = send(&mail(address), LONG).await.expect_err("nobody listens");
    assert!(!failed.is_final && failed.why.starts_with("no connection to 127.0.0.1:"), "{failed:?}");
}

#[test]
fn a_password_without_tls_stays_on_this_machine() {
    let own = with_login(mail("localhost:25".to_owned()));
    let exposed = |mail: &Mail, peer: &str| is_exposed(mail, peer.parse().expect("an address"));
    assert!(exposed(&own, "192.0.2.1") && !exposed(&own, "127.0.0.2") && !exposed(&own, "::1"));
    assert!(!exposed(&mail("localhost:25".to_owned()), "192.0.2.1"));
    assert!(!exposed(&Mail { tls: Tls::Starttls, ..own }, "192.0.2.1"));
}
