//! Requests of both chats to a control room, with a program around it that keeps what it hears.

use std::{fs, sync::Mutex};

use axum::body::{Body, to_bytes};
use firedrill_wire::RunId;
use http::Request;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower_service::Service as _;

use super::*;
use crate::{
    chat::{ChatFile, genuine::tests::signed},
    outside::{Halted, Later, Outside},
    routes::router,
    testing::{app_with_chat, as_willing},
};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const RUN: &str = "friday-7f3a";

/// An `Outside` that keeps the halts, and the answers that are posted to a chat.
struct Heard {
    /// The person of each halt.
    halts: Mutex<Vec<String>>,
    /// Each halt waits for a permit, and uses it up.
    answers: Semaphore,
    /// The address and the body of each answer that was posted.
    posts: Mutex<Vec<(String, Value)>>,
    /// Has a permit for each answer that was posted and not looked at yet.
    posted: Semaphore,
}

impl Outside for Heard {
    fn halt<'a>(&'a self, _: &'a RunId, by: &'a str) -> Later<'a, Halted> {
        Box::pin(async move {
            self.halts.lock().unwrap().push(by.to_owned());
            self.answers.acquire().await.unwrap().forget();
            Halted::Ends
        })
    }

    fn post<'a>(&'a self, url: &'a str, body: String) -> Later<'a, Result<(), String>> {
        self.posts.lock().unwrap().push((url.to_owned(), serde_json::from_str(&body).unwrap()));
        self.posted.add_permits(1);
        Box::pin(async { Ok(()) })
    }

    as_willing!(wishes);

    as_willing!(calendar);

    as_willing!(inventory);

    as_willing!(decisions);
}

/// A control room with two people in Slack and one in Mattermost, and a run.
struct Home {
    app: Arc<App>,
    heard: Arc<Heard>,
    folder: tempfile::TempDir,
}

impl Home {
    /// `answers` is the number of halts that are answered at once.
    async fn new(answers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let secret = serde_json::json!({ "secret_file": secret });
        let file: ChatFile = serde_json::from_value(serde_json::json!({
            "schema": 1,
            "slack": { "signing_secret": secret, "people": {
                "U1": { "name": "alice", "role": "operator" },
                "U2": { "name": "victor", "role": "viewer" },
            } },
            "mattermost": { "token": secret, "people": { "m1": { "name": "bob", "role": "operator" } } },
        }))
        .unwrap();
        let heard = Arc::new(Heard {
            halts: Mutex::default(),
            answers: Semaphore::new(answers),
            posts: Mutex::default(),
            posted: Semaphore::new(0),
        });
        let app = app_with_chat(folder.path(), heard.clone(), Some(file)).await;
        let run = app.runs.reports().join(RUN);
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("events.jsonl"), "").unwrap();
        Self { app, heard, folder }
    }

    /// Sends a request, and returns the status and the JSON of the answer; `null` if its body is none.
    async fn ask(&self, path: &str, headers: HeaderMap, body: &str) -> (StatusCode, Value) {
        let mut request = Request::post(path).body(Body::from(body.to_owned())).unwrap();
        *request.headers_mut() = headers;
        let answer = router(Arc::clone(&self.app)).call(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Sends a command of Slack, and returns the text of the answer.
    async fn command(&self, user: &str, text: &str) -> String {
        let body = body(user, text);
        let (status, said) = self.ask(SLACK, signed(SECRET, &body, now_s()), &body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(said["response_type"], "ephemeral", "nobody else sees it");
        said["text"].as_str().unwrap().to_owned()
    }

    fn halts(&self) -> Vec<String> {
        self.heard.halts.lock().unwrap().clone()
    }

    fn audit(&self) -> String {
        fs::read_to_string(self.app.audit.path()).unwrap()
    }

    /// Waits until an answer is posted. Returns its address and its body.
    async fn posted(&self) -> (String, Value) {
        timeout(Duration::from_secs(30), self.heard.posted.acquire()).await.unwrap().unwrap().forget();
        self.heard.posts.lock().unwrap().pop().unwrap()
    }
}

/// Returns the body of a slash command.
fn body(user: &str, text: &str) -> String {
    let text = text.replace(' ', "+");
    format!(
        "command=%2Ffiredrill&text={text}&user_id={user}&response_url=https%3A%2F%2Fh.example%2F1&trigger_id=1"
    )
}

#[tokio::test]
async fn an_operator_halts_and_writes_notes_and_the_audit_log_names_person_and_chat() {
    let home = Home::new(1).await;
    let said = home.command("U1", &format!("halt {RUN}")).await;
    assert!(said.contains("The run has taken the halt") && said.contains(&format!("/runs/{RUN}")), "{said}");
    assert_eq!(home.halts(), ["alice by Slack in the control room"]);
    let said = home.command("U1", &format!("note {RUN} the shop was slow")).await;
    assert!(said.contains("the note is written"), "{said}");
    let notes = fs::read_to_string(home.app.runs.reports().join(RUN).join("notes.jsonl")).unwrap();
    assert!(notes.contains("the shop was slow") && notes.contains("alice by Slack"), "{notes}");
    let said = home.command("U1", &format!("refuse {RUN} 2")).await;
    assert!(said.contains("The run skips the attack"), "{said}");
    assert!(home.command("U1", &format!("refuse {RUN} 0")).await.contains("Nothing was done"));
    // The control room of this test has no game days.
    let said = home.command("U1", "refuse friday 2026-12-04T14:00 freeze").await;
    assert!(said.contains("Nothing was done"), "{said}");
    let audit = home.audit();
    for what in ["halt", "note", "skip"] {
        let line = audit.lines().find(|line| line.contains(&format!("\"what\":\"{what}\""))).expect(what);
        assert!(line.contains("\"by\":\"alice\",\"via\":\"Slack, user U1\""), "{line}");
    }
}

#[tokio::test]
async fn a_person_without_the_right_does_nothing_and_learns_why() {
    let home = Home::new(9).await;
    for text in [
        format!("halt {RUN}"),
        format!("note {RUN} x"),
        "refuse friday 2026-12-04T14:00".to_owned(),
        format!("refuse {RUN} 1"),
    ] {
        let said = home.command("U2", &text).await;
        assert!(said.contains("it takes the role operator"), "{text}: {said}");
        let said = home.command("U9", &text).await;
        assert!(said.contains("does not know you") && said.contains("U9"), "{text}: {said}");
        // A person of Mattermost is unknown in Slack.
        assert!(home.command("m1", &text).await.contains("does not know you"));
    }
    for text in ["approve x", "agree friday 2026-12-04T14:00"] {
        let said = home.command("U1", text).await;
        assert!(said.contains("nobody approves or agrees in a chat") && said.contains("/calendar"), "{said}");
    }
    assert!(home.command("U2", "").await.contains("No run goes on"));
    assert_eq!(home.halts(), Vec::<String>::new());
    assert!(!home.app.runs.reports().join(RUN).join("notes.jsonl").exists());
    let audit = home.audit();
    assert_eq!(audit.matches("refused: it takes the role operator").count(), 4, "{audit}");
    assert_eq!(audit.matches("the file of chats does not name this user").count(), 8, "{audit}");
}

#[tokio::test]
async fn a_repeated_request_does_nothing() {
    let home = Home::new(9).await;
    let body = body("U1", &format!("halt {RUN}"));
    let at_s = now_s();
    let headers = signed(SECRET, &body, at_s);
    for (repeats, told) in [(0, "has taken the halt"), (1, "taken before"), (2, "taken before")] {
        let (status, said) = home.ask(SLACK, headers.clone(), &body).await;
        assert!(
            status == StatusCode::OK && said["text"].as_str().unwrap().contains(told),
            "{repeats}: {said}"
        );
    }
    assert_eq!(home.halts().len(), 1);
    let (_, said) = home.ask(SLACK, signed(SECRET, &body, at_s + 1), &body).await;
    assert!(
        said["text"].as_str().unwrap().contains("has taken the halt"),
        "a new time makes it another request"
    );
    assert_eq!(home.halts().len(), 2);
}

#[tokio::test]
async fn a_request_that_does_not_come_from_the_chat_is_refused() {
    let home = Home::new(9).await;
    let body = body("U1", &format!("halt {RUN}"));
    for headers in [
        HeaderMap::new(),
        signed("another secret of the same form", &body, now_s()),
        signed(SECRET, "another body", now_s()),
        signed(SECRET, &body, now_s() - 301),
        // Ten seconds more than the maximum, because the clock goes on until the check.
        signed(SECRET, &body, now_s() + 310),
    ] {
        assert_eq!(home.ask(SLACK, headers, &body).await.0, StatusCode::UNAUTHORIZED);
    }
    let signed_garbage = signed(SECRET, "x=1", now_s());
    assert_eq!(home.ask(SLACK, signed_garbage, "x=1").await.0, StatusCode::BAD_REQUEST);
    // A signature for Slack is not valid for Mattermost.
    assert_eq!(home.ask(MATTERMOST, signed(SECRET, &body, now_s()), &body).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(home.halts(), Vec::<String>::new());
    assert_eq!(home.audit().matches("refused: it").count(), 6, "{}", home.audit());
    // Without its secret the server cannot check a request, and refuses it.
    fs::remove_file(home.folder.path().join("secret")).unwrap();
    assert_eq!(home.ask(SLACK, signed("", &body, now_s()), &body).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let other = tempfile::tempdir().unwrap();
    let without_chats = app_with_chat(other.path(), home.heard.clone(), None).await;
    let request = Request::post(SLACK).body(Body::from(body)).unwrap();
    assert_eq!(router(without_chats).call(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn slow_commands_and_all_buttons_are_answered_by_a_post() {
    let home = Home::new(0).await;
    let request = body("U1", &format!("halt {RUN}"));
    let headers = signed(SECRET, &request, now_s());
    let slack = home.app.options.chat.clone().unwrap().slack.unwrap();
    let chat = Chat {
        name: "Slack",
        secret: ("signing_secret", slack.signing_secret),
        people: slack.people,
        check: of_slack,
        has_buttons: true,
    };
    let received = Received::of(None, headers, Bytes::from(request));
    let answer = receive(&home.app, Some(chat), received, Duration::ZERO).await.unwrap();
    let text = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("the answer follows here"));
    home.heard.answers.add_permits(1);
    let (url, said) = home.posted().await;
    assert_eq!(url, "https://h.example/1");
    assert!(said["text"].as_str().unwrap().contains("has taken the halt"), "{said}");
    // A button: Slack ignores the body of the answer.
    home.heard.answers.add_permits(1);
    let payload = format!(
        "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D%2C%22response_url%22%3A%22https%3A%2F%2Fh.example%2F2%22%2C%22actions%22%3A%5B%7B%22action_id%22%3A%22halt%22%2C%22value%22%3A%22{RUN}%22%7D%5D%7D"
    );
    let (status, said) = home.ask(SLACK, signed(SECRET, &payload, now_s()), &payload).await;
    assert_eq!((status, said), (StatusCode::OK, Value::Null));
    let (url, said) = home.posted().await;
    assert_eq!((url.as_str(), &said["replace_original"]), ("https://h.example/2", &Value::Bool(false)));
    assert!(said["text"].as_str().unwrap().contains("has taken the halt"), "{said}");
    assert_eq!(home.halts().len(), 2);
}

#[tokio::test]
async fn a_command_of_mattermost_has_its_token() {
    let home = Home::new(1).await;
    let body = body("m1", &format!("halt {RUN}"));
    let with = |token: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Token {token}").parse().unwrap());
        headers
    };
    let (status, said) = home.ask(MATTERMOST, with(SECRET), &body).await;
    assert!(
        status == StatusCode::OK && said["text"].as_str().unwrap().contains("has taken the halt"),
        "{said}"
    );
    assert_eq!(home.halts(), ["bob by Mattermost in the control room"]);
    assert_eq!(home.ask(MATTERMOST, with("other"), &body).await.0, StatusCode::UNAUTHORIZED);
}
