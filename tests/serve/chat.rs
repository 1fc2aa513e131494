//! Chats over HTTP: the file that names them, commands and buttons.

use std::{
    fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use ring::hmac;

use super::{FIREDRILL, Growing, RUN, output::said, receiver::Receiver, room::Room, start};

/// A token of Mattermost.
pub(super) const TOKEN: &str = "okwexpgqm7yhdcgb64ap3bwrna";

/// A file of chats. It reads the token from the file `token`, and the user `m1` is the operator bob.
pub(super) const FILE: &str = "schema = 1\n[mattermost]\ntoken = { secret_file = \"token\" }\npeople.m1 = { name = \"bob\", role = \"operator\" }\n";

/// Sends a command as Mattermost does, and returns the status and the answer.
pub(super) fn command(room: &Room, token: &str, user: &str, text: &str) -> (u16, String) {
    let body = format!("command=%2Ffiredrill&user_id={user}&text={}", text.replace(' ', "+"));
    let head = format!(
        "POST /mattermost HTTP/1.1\r\nAuthorization: Token {token}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    let answer = room.ask(&head, &body);
    (answer.status, answer.text())
}

#[test]
fn a_command_has_the_effect_of_the_page() {
    let (folder, without) = start();
    assert_eq!(command(&without, "x", "m1", "").0, 404, "no chat is named");
    drop(without);
    // Editors end a file with a line break, which is no part of the token.
    fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    fs::write(folder.path().join("chat.toml"), FILE).unwrap();
    let room = Room::start(FIREDRILL, folder.path(), &["--chat", "chat.toml"]);
    assert_eq!(command(&room, "wrong", "m1", &format!("note {RUN} no")).0, 401);
    let (status, told) = command(&room, TOKEN, "m1", &format!("note {RUN} the shop was slow"));
    assert!(status == 200 && told.contains("the note is written"), "{status} {told}");
    let (_, told) = command(&room, TOKEN, "m1", &format!("halt {RUN}"));
    assert!(told.contains("No program on this machine"), "{told}");
    let (_, told) = command(&room, TOKEN, "m2", &format!("note {RUN} mine"));
    assert!(told.contains("Your id here is m2"), "{told}");
    let cookie = room.login(&room.link);
    let page = room.get(&format!("/runs/{RUN}"), &cookie).text();
    assert!(page.contains("the shop was slow") && page.contains("bob by Mattermost"), "{page}");
    assert!(!page.contains("mine"), "{page}");
    let audit = room.get("/audit", &cookie).text();
    assert!(audit.contains("Mattermost, user m1") && audit.contains("Mattermost, user m2"), "{audit}");
}

#[test]
fn with_an_invalid_file_of_chats_the_control_room_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("reports")).unwrap();
    fs::write(folder.path().join("chat.toml"), FILE.replace("operator", "admin")).unwrap();
    let refused = Command::new(FIREDRILL)
        .args(["serve", "--listen", "127.0.0.1:0", "--chat", "chat.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("nobody is an admin in a chat"), "{}", said(&refused));
    assert!(!folder.path().join("room").exists(), "nothing was made");
}

#[test]
fn an_empty_command_is_answered_with_running_runs() {
    // The control room is started anew with a file of chats.
    let (folder, room) = start();
    drop(room);
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    fs::write(folder.path().join("chat.toml"), FILE).unwrap();
    let growing = Growing::begin(folder.path());
    let room = Room::start(FIREDRILL, folder.path(), &["--chat", "chat.toml"]);
    let (_, told) = command(&room, TOKEN, "m1", "");
    assert!(told.contains("A run goes on") && told.contains("/runs/live"), "{told}");
    assert!(told.contains("in force") && told.contains("its next attack is number 2"), "{told}");
    let half = growing.half;
    growing.end(half);
}

#[test]
fn a_button_of_slack_is_answered_at_its_response_url() {
    let (folder, room) = start();
    drop(room);
    fs::write(folder.path().join("secret"), "8f742231b10e8888abcd99yyyzzz85a5").unwrap();
    let file = "schema = 1\n[slack]\nsigning_secret = { secret_file = \"secret\" }\npeople.U1 = { name = \"alice\", role = \"operator\" }\n";
    fs::write(folder.path().join("chat.toml"), file).unwrap();
    let room = Room::start(FIREDRILL, folder.path(), &["--chat", "chat.toml"]);
    let chat = Receiver::start();
    let press = serde_json::json!({
        "type": "block_actions", "user": { "id": "U1" }, "response_url": chat.url("/actions/T1/2/s3cret"),
        "actions": [{ "action_id": "halt", "value": RUN }],
    });
    let body = format!("payload={}", firedrill_history::address(&press.to_string()));
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"8f742231b10e8888abcd99yyyzzz85a5");
    let tag = hmac::sign(&key, format!("v0:{time}:{body}").as_bytes());
    let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let head = format!(
        "POST /slack HTTP/1.1\r\nX-Slack-Request-Timestamp: {time}\r\nX-Slack-Signature: v0={signature}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    let answer = room.ask(&head, &body);
    assert_eq!((answer.status, answer.text()), (200, String::new()));
    let posted = chat.next();
    assert_eq!(posted.line, "POST /actions/T1/2/s3cret HTTP/1.1");
    let reply = posted.json();
    assert!(reply["text"].as_str().unwrap().contains("No program on this machine"), "{reply}");
    assert_eq!(reply["replace_original"], false, "the message with the button is replaced");
}
