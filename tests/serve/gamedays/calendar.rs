//! The page of the calendar, and people's decisions on it.

use super::*;

#[test]
fn records_are_shown_without_control_characters_and_cannot_be_skipped() {
    let temp = new_folder();
    let folder = temp.path();
    let ahead = slot_of(Timestamp::now() + Duration::from_secs(86_400));
    gameday(folder, "early", &once(&ahead));
    has_record(folder, "early", &ahead, "\"event\":\"ended\",\"exit\":0");
    let odd = "\"event\":\"missed\",\"why\":\"a \u{202e}freeze\u{200b}\"";
    has_record(folder, "odd", "2026-11-20T14:00", odd);
    let room = Room::start(FIREDRILL, folder, &[]);
    let admin = room.login(&room.link);
    let page = room.get("/calendar", &admin).text();
    assert!(page.contains("early") && page.contains("missed: a \u{fffd}freeze"), "{page}");
    assert!(!page.contains(['\u{202e}', '\u{200b}']), "{page}");
    assert!(!page.contains("/skip\""), "{page}");
    // The answer repeats 40 characters at most of a slot's name.
    let nowhere = room.post(&format!("/calendar/early/{}/skip", "z".repeat(300)), &admin, "");
    assert!(!nowhere.text().contains(&"z".repeat(41)), "{}", nowhere.text());
}

#[test]
fn a_control_room_without_the_option_starts_nothing() {
    let temp = new_folder();
    let folder = temp.path();
    let passed = slot_of(Timestamp::now() - Duration::from_secs(1800));
    gameday(folder, "passed", &once(&passed));
    looked(folder, Timestamp::now() - Duration::from_secs(3600));
    let room = Room::start(FIREDRILL, folder, &[]);
    let page = room.get("/calendar", &room.login(&room.link)).text();
    assert!(page.contains("This server starts none of them"), "{page}");
    assert!(!folder.join("reports/.gamedays/passed").exists());
}

#[test]
fn people_agree_and_skip_on_the_calendar() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(
        folder,
        "friday",
        "schedule = { cron = \"0 14 * * *\", zone = \"UTC\" }\nroles = { commander = \"alice\", oncall = \"carol\" }\n\
         go_no_go = { people = 2, of = [\"commander\", \"oncall\"], expires = \"30d\" }\nnotify = [\"ops\"]",
    );
    let socket = channel(folder);
    let room = Room::start(FIREDRILL, folder, &[]);
    let alice = person(folder, &room, "alice", "operator");
    let eve = person(folder, &room, "eve", "operator");
    let victor = person(folder, &room, "victor", "viewer");
    let page = room.get("/calendar", &alice).text();
    assert!(page.contains("0 of 2 agreed; missing: alice (commander), carol (oncall)"), "{page}");
    let form =
        page.split_once("/agree\"").unwrap().0.rsplit_once("action=\"").unwrap().1.replace("&#x2f;", "/");
    assert!(
        !room.get("/calendar", &eve).text().contains("/agree\""),
        "eve may agree without a role in the game day"
    );
    assert!(!room.get("/calendar", &victor).text().contains("/skip\""), "a viewer may skip");
    assert!(
        room.get("/calendar", &victor).text().replace("&#x2f;", "/").contains("href=\"/calendar/friday\"")
    );
    let invitation = room.get("/calendar/friday", &victor).text();
    for part in [
        "go or no-go: 2 of commander (alice), oncall (carol)",
        "may touch",
        "0 of 2 agreed",
        "firedrill undo --all",
    ] {
        assert!(invitation.contains(part), "{part}: {invitation}");
    }
    assert_eq!(room.get("/calendar/nothing", &victor).status, 404);

    let agreed = room.post(&format!("{form}/agree"), &alice, "");
    assert_eq!((agreed.status, agreed.header("location")), (303, Some("/calendar?done=agree")));
    assert!(room.get("/calendar?done=agree", &alice).text().contains("Your agreement is written"));
    // The decision is on the page at once.
    assert!(room.get("/calendar", &eve).text().contains("1 of 2 agreed (alice)"));
    let refused = room.post(&format!("{form}/agree"), &eve, "");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("eve is not asked"), "{}", refused.text());
    assert_eq!(room.post(&format!("{form}/agree"), &victor, "").status, 403);
    assert_eq!(room.post(&format!("{form}/withdraw"), &alice, "").status, 303);
    assert!(room.get("/calendar", &eve).text().contains("0 of 2 agreed"));

    assert_eq!(room.post(&format!("{form}/skip"), &eve, "why=a+%3Cfreeze%3E").status, 303);
    let told = line(&socket);
    assert!(told.contains(" skipped - Firedrill: game day friday is not held"), "{told}");
    let page = room.get("/calendar", &alice).text();
    assert!(page.contains("not held: skipped by eve: a &lt;freeze&gt;"), "{page}");
    let again = room.post(&format!("{form}/skip"), &alice, "why=");
    assert_eq!(again.status, 409);
    assert!(again.text().contains("skipped already"), "{}", again.text());
    let late = room.post(&format!("{form}/agree"), &alice, "");
    assert_eq!(late.status, 409);
    assert!(late.text().contains("is decided already"), "{}", late.text());
    for nowhere in [
        "/calendar/friday/2026-12-04T14:30/skip",
        "/calendar/friday/2020-12-04T14:00/skip",
        "/calendar/monday/2026-12-04T14:00/agree",
        "/calendar/..%2F..%2Fx/2026-12-04T14:00/skip",
        "/calendar/friday/..%2F..%2Fx/skip",
    ] {
        assert_eq!(room.post(nowhere, &alice, "").status, 409, "{nowhere}");
    }
    assert_eq!(room.post(&format!("{form}/start"), &alice, "").status, 404);
    assert_eq!(room.get(&format!("{form}/skip"), &alice).status, 405);
    let audit = fs::read_to_string(folder.join("room/audit.jsonl")).unwrap();
    for part in
        ["\"what\":\"agree\"", "\"what\":\"withdraw\"", "\"what\":\"skip\"", "refused: eve is not asked"]
    {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}
