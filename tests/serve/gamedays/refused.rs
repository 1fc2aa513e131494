//! Slots that a person refuses from a chat.

use super::*;
use crate::chat::{FILE, TOKEN, command};

#[test]
fn a_slot_that_is_refused_from_a_chat_is_not_held() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "early", &once("2030-01-04T14:00"));
    fs::write(folder.join("token"), TOKEN).unwrap();
    fs::write(folder.join("chat.toml"), FILE).unwrap();
    let room = Room::start(FIREDRILL, folder, &["--chat", "chat.toml"]);
    let ask = |text: &str| command(&room, TOKEN, "m1", text).1;
    assert!(ask("").contains("next: early of 2030-01-04T14:00"), "{}", ask("help"));
    let unknown = ask("refuse early 2030-01-05T14:00");
    assert!(unknown.contains("has no slot"), "{unknown}");
    let told = ask("refuse early 2030-01-04T14:00 release freeze");
    assert!(told.contains("early of 2030-01-04T14:00 is not held"), "{told}");
    let record = record_of(folder, "early", "2030-01-04T14:00");
    assert!(record.contains("bob by Mattermost") && record.contains("release freeze"), "{record}");
    let again = ask("refuse early 2030-01-04T14:00");
    assert!(again.contains("Nothing was done"), "{again}");
    let after = ask(" help ");
    assert!(
        after.contains("No run goes on") && !after.contains("next: early"),
        "the refused slot is listed: {after}"
    );
    let audit = room.get("/audit", &room.login(&room.link)).text();
    assert!(audit.contains("early 2030-01-04T14:00") && audit.contains("Mattermost, user m1"), "{audit}");
}
