//! Game days that a program starts by the API. No drill is run: the fleet cannot be reached, or nobody has agreed.

use serde_json::Value;

use super::*;

/// Sends a request about game days with a token, and with a key unless that is empty. Returns the status and the answer.
fn ask(room: &Room, method: &str, path: &str, token: &str, key: &str) -> (u16, Value) {
    let header = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
    let answer = room.ask(
        &format!("{method} /api/v1/gamedays/{path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{header}"),
        "",
    );
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

#[test]
fn a_start_with_a_key_happens_once_and_has_an_address() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "friday", &format!("{}\n{NO_GO}", once("2030-01-04T14:00")));
    gameday(folder, "monday", &format!("{}\n{NO_GO}", once("2030-01-07T14:00")));
    let room = starts(folder);
    let may = token(folder, "release", &["--role", "operator", "--start", "friday", "--start", "gone"]);
    let start =
        |gameday: &str, token: &str, key: &str| ask(&room, "POST", &format!("{gameday}/starts"), token, key);
    // A refused request starts nothing.
    let others = [token(folder, "ci", &["--role", "viewer"]), token(folder, "bot", &["--role", "operator"])];
    for other in &others {
        assert_eq!(start("friday", other, "build-1").0, 403);
    }
    for (gameday, key, status, why) in [
        ("monday", "build-1", 403, "does not name the game day monday"),
        ("friday", "", 400, "no header Idempotency-Key"),
        ("friday", "build/1", 400, "is no key"),
        ("gone", "build-1", 404, "no game day of that name"),
    ] {
        let (got, told) = start(gameday, &may, key);
        assert_eq!(got, status, "{gameday} {key}: {told}");
        assert!(told["detail"].as_str().unwrap().contains(why), "{told}");
    }
    assert!(!folder.join("reports/.gamedays/friday").exists());
    let (status, told) = start("friday", &may, "build-1");
    assert_eq!((status, &told["slot"]), (200, &"once-build-1".into()), "{told}");
    let record = record_of(folder, "friday", "once-build-1");
    assert!(record.contains("no go"), "{record}");
    let (status, told) = ask(&room, "GET", "friday/once-build-1", &may, "");
    assert_eq!(
        (status, &told["state"], &told["reason"]),
        (200, &"not-held".into(), &"no-go".into()),
        "{told}"
    );
    // With the same key nothing is started again, and the answer tells the end of the first start.
    let output = folder.join("reports/.gamedays/friday/once-build-1/output.txt");
    let said = fs::read_to_string(&output).unwrap();
    assert_eq!(told["started_now"], false);
    assert_eq!(start("friday", &may, "build-1"), (200, told));
    assert_eq!(fs::read_to_string(&output).unwrap(), said);
    assert_eq!(record_of(folder, "friday", "once-build-1"), record);
    // The program of the first start may not have ended yet.
    assert!(soon(|| start("friday", &may, "build-2").0 == 200));
    record_of(folder, "friday", "once-build-2");
    let audit = fs::read_to_string(folder.join("room/audit.jsonl")).unwrap();
    for part in [
        "started, with the key build-1",
        "not started again: the key build-1",
        "no header Idempotency-Key",
        "does not name the game day monday",
        "may start friday, gone",
    ] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}

#[test]
fn a_person_starts_a_game_day_from_the_calendar_once_for_each_form() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "friday", &format!("{}\n{NO_GO}", once("2030-01-04T14:00")));
    let room = starts(folder);
    let (otto, victor) =
        (person(folder, &room, "otto", "operator"), person(folder, &room, "victor", "viewer"));
    let page = room.get("/calendar", &otto).text();
    assert!(page.contains("Yes, start friday now"), "{page}");
    assert!(!room.get("/calendar", &victor).text().contains("start friday now"));
    let key = page.split_once("name=\"key\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let form = format!("key={}", key.replace(':', "%3A"));
    let start = "/calendar/friday/start";
    assert_eq!(room.post(start, &victor, &form).status, 403);
    assert_eq!(room.post_from("Origin: http://evil.example", start, &otto, &form).status, 403);
    assert_eq!(room.post(start, &otto, "key=a%2Fb").status, 400);
    assert_eq!(room.post("/calendar/monday/start", &otto, &form).status, 404);
    assert!(!folder.join("reports/.gamedays/friday").exists());
    let started = room.post(start, &otto, &form);
    assert_eq!((started.status, started.header("location")), (303, Some("/calendar?done=start")));
    let slot = format!("once-{key}");
    assert!(record_of(folder, "friday", &slot).contains("no go"));
    let output = folder.join("reports/.gamedays/friday").join(&slot).join("output.txt");
    let said = fs::read_to_string(&output).unwrap();
    assert_eq!(room.post(start, &otto, &form).status, 303, "the button was pressed twice");
    assert_eq!(fs::read_to_string(&output).unwrap(), said);
    assert!(room.get("/calendar", &victor).text().contains(&slot));
    let audit = fs::read_to_string(folder.join("room/audit.jsonl")).unwrap();
    assert!(audit.contains(&format!("started, with the key {key}")), "{audit}");
}

#[test]
fn a_command_elsewhere_follows_a_start_and_ends_with_its_exit_code() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "friday", &format!("{}\n{NO_GO}", once("2030-01-04T14:00")));
    let room = starts(folder);
    let may = token(folder, "release", &["--role", "operator", "--start", "friday"]);
    fs::write(folder.join("token"), format!("{may}\n")).unwrap();
    let server = format!("http://{}", room.address);
    let start = |more: &[&str], token: Option<&str>| {
        let mut command = Command::new(FIREDRILL);
        command.args(["gameday", "start", "friday", "--server", &server, "--now"]).args(more);
        command.current_dir(folder).env_remove("FIREDRILL_TOKEN");
        if let Some(token) = token {
            command.env("FIREDRILL_TOKEN", token);
        }
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!said.contains(&may), "{said}");
        (ended.status.code(), said, ended.stdout)
    };
    let (code, said, told) = start(&["--once", "build-1", "--token-file", "token", "--json"], None);
    assert!(code == Some(4) && said.contains("not-held: ") && said.contains("no go"), "{code:?}: {said}");
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&told["slot"], &told["reason"]), (&"once-build-1".into(), &"no-go".into()), "{told}");
    // A second command with the same key prints the same end, and starts nothing.
    let (code, said, _) = start(&["--once", "build-1"], Some(&may));
    assert!(code == Some(4) && said.contains("no go"), "{code:?}: {said}");
    for (words, token, code, why) in [
        (&["--once", "build-2"][..], None, 2, "there is no token"),
        (&["--once", "build-2"], Some("fdr_no"), 2, "no whole token"),
        (&[], Some(may.as_str()), 2, "needs --once"),
        (&["--once", "build-2", "--incident-unknown"], Some(&may), 2, "does not go with --server"),
        (&["--once", "build-2", "--as", "bob"], Some(&may), 2, "--as does not go with --server"),
        (&["--once", "build-2", "--reports", "other"], Some(&may), 2, "--reports does not go with --server"),
    ] {
        let (got, said, _) = start(words, token);
        assert!(got == Some(code) && said.contains(why), "{got:?}: {said}");
    }
    assert!(!folder.join("reports/.gamedays/friday/once-build-2").exists());
    let secret = firedrill(
        folder,
        &[
            "gameday",
            "start",
            "friday",
            "--server",
            "https://bob:s3cr3t@drills.example",
            "--now",
            "--once",
            "a",
        ],
    );
    let said = String::from_utf8_lossy(&secret.stderr).into_owned();
    assert!(
        secret.status.code() == Some(2) && said.contains("no USER:PASSWORD@") && !said.contains("s3cr3t"),
        "{said}"
    );
}

#[test]
fn many_requests_with_the_same_key_start_one_program() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "friday", &format!("{}\n{NO_GO}", once("2030-01-04T14:00")));
    let room = starts(folder);
    let may = token(folder, "release", &["--role", "operator", "--start", "friday"]);
    let told: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| ask(&room, "POST", "friday/starts", &may, "build-1"));
        let all: Vec<_> = (0..8).map(|_| ask()).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(told.iter().all(|(status, _)| *status == 200), "{told:?}");
    assert_eq!(told.iter().filter(|(_, told)| told["started_now"] == true).count(), 1, "{told:?}");
    record_of(folder, "friday", "once-build-1");
    assert!(soon(|| errors(folder).contains("not held: no go")));
    assert_eq!(errors(folder).matches(" starts (process ").count(), 1, "{}", errors(folder));
}

#[test]
fn a_start_whose_program_was_killed_is_made_again_by_the_same_request() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "friday", &format!("{}\n{NO_GO}", once("2030-01-04T14:00")));
    // These files are left when the server and the program were killed before the program claimed the start.
    let unclaimed = folder.join("reports/.gamedays/friday/once-build-1");
    fs::create_dir_all(&unclaimed).unwrap();
    fs::write(unclaimed.join("output.txt"), "").unwrap();
    let room = starts(folder);
    let may = token(folder, "release", &["--role", "operator", "--start", "friday"]);
    let (status, told) = ask(&room, "GET", "friday/once-build-1", &may, "");
    assert_eq!((status, &told["state"]), (200, &"died".into()), "{told}");
    let (status, told) = ask(&room, "POST", "friday/starts", &may, "build-1");
    assert_eq!((status, &told["started_now"]), (200, &true.into()), "{told}");
    assert!(record_of(folder, "friday", "once-build-1").contains("no go"));
    // A program that had claimed the start may have touched hosts, so the start is not repeated.
    let claimed = folder.join("reports/.gamedays/friday/once-build-2");
    fs::create_dir_all(&claimed).unwrap();
    for file in ["output.txt", "record.jsonl"] {
        fs::write(claimed.join(file), "").unwrap();
    }
    let (status, told) = ask(&room, "POST", "friday/starts", &may, "build-2");
    let got = (status, &told["state"], &told["started_now"]);
    assert_eq!(got, (200, &"died".into(), &false.into()), "{told}");
}

#[test]
fn a_control_room_without_the_option_refuses_starts() {
    let temp = new_folder();
    let folder = temp.path();
    gameday(folder, "friday", &once("2030-01-04T14:00"));
    let room = Room::start(FIREDRILL, folder, &[]);
    let may = token(folder, "release", &["--role", "operator", "--start", "friday"]);
    let (status, told) = ask(&room, "POST", "friday/starts", &may, "build-1");
    assert_eq!(status, 409, "{told}");
    assert!(told["help"].as_str().unwrap().contains("--start-gamedays"), "{told}");
    let viewer = firedrill(
        folder,
        &["serve", "token", "new", "ci", "--role", "viewer", "--expires", "1d", "--start", "friday"],
    );
    assert_eq!(viewer.status.code(), Some(2));
}

#[test]
fn a_key_starts_a_game_day_once_also_on_the_command_line() {
    let temp = new_folder();
    let folder = temp.path();
    certificate(folder);
    gameday(folder, "friday", &format!("{}\n{NO_GO}", once("2030-01-04T14:00")));
    let start = |more: &[&str]| {
        let words = ["gameday", "start", "gamedays/friday.toml", "--pki", "pki", "--as", "alice"];
        let started = firedrill(folder, &[&words[..], more].concat());
        (started.status.code(), String::from_utf8_lossy(&started.stderr).into_owned())
    };
    let (code, said) = start(&["--now", "--once", "build-1"]);
    assert!(code == Some(4) && said.contains("friday, start build-1 is not held"), "{said}");
    let (code, said) = start(&["--now", "--once", "build-1"]);
    assert!(code == Some(4) && said.contains("has a record already"), "{said}");
    for wrong in [&["--now", "--once", "a/b"][..], &["--slot", "2030-01-04T14:00", "--once", "a"]] {
        assert_eq!(start(wrong).0, Some(2), "{wrong:?}");
    }
}
