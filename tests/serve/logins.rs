//! Logins and sessions.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rustix::process::Signal;

use crate::{FIREDRILL, RUN, firedrill, output::said, person, room::Room, start};

#[test]
fn a_login_link_works_once_and_pages_need_a_login() {
    let (folder, room) = start();
    for path in ["/", "/runs", "/audit", "/people", &format!("/runs/{RUN}"), &format!("/runs/{RUN}/report")] {
        let answer = room.get(path, "firedrill=nothing");
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{path}");
        assert!(!answer.text().contains("friday"), "the name of the run is shown without a login");
    }
    // A GET request does not use the link up, because programs that preview links send one.
    assert!(room.get(&room.link, "").text().contains("Log in"));
    let cookie = room.login(&room.link);
    let page = room.get("/", &cookie);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains(RUN), "{}", page.text());
    let again = room.post("/login", "", room.link.split_once('?').unwrap().1);
    assert_eq!(again.status, 403);
    assert!(again.header("set-cookie").is_none());
    // Only the digest of the cookie is stored.
    let secret = cookie.split_once('=').unwrap().1;
    for file in fs::read_dir(folder.path().join("room")).unwrap() {
        let file = file.unwrap();
        let bytes = fs::read(file.path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{file:?}");
    }
    let mode = fs::metadata(folder.path().join("room")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "other users can enter the directory of the state");
    assert_eq!(room.post("/logout", &cookie, "").status, 303);
    assert_eq!(room.get("/", &cookie).status, 303, "the session goes on after the logout");
}

#[test]
fn failed_logins_are_limited_without_locking_people_out() {
    let (folder, room) = start();
    let tries: Vec<u16> = (0..30).map(|_| room.post("/login", "", "link=guess").status).collect();
    assert_eq!(tries[..10], [403; 10]);
    let limited = tries.iter().filter(|status| **status == 429).count();
    assert!(limited > 0, "{tries:?}");
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    assert_eq!(
        audit.matches("refused: no such link").count(),
        30 - limited,
        "tries beyond the limit are not recorded"
    );
    // Behind a proxy all people have one address, so a valid link works in spite of the limit.
    room.login(&room.link);
}

#[test]
fn sessions_outlive_a_restart_and_end_when_an_administrator_ends_them() {
    let (folder, mut room) = start();
    let admin = room.login(&room.link);
    let viewer = person(folder.path(), &room, "vera", "viewer");
    let port = room.address.rsplit_once(':').unwrap().1.to_owned();
    let busy = firedrill(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(busy.status.code(), Some(2));
    assert!(said(&busy).contains("another control room uses the state"), "{}", said(&busy));
    room.end(Signal::KILL);
    // A link can also be made while no server runs.
    let link = firedrill(folder.path(), &["serve", "link", "--as", "late", "--role", "viewer"]);
    let link = String::from_utf8(link.stdout).unwrap();
    drop(room);
    // It listens on another port, because the first one may be taken. The name of the cookie contains the port.
    let room = Room::start(FIREDRILL, folder.path(), &[]);
    let now = room.address.rsplit_once(':').unwrap().1;
    let [admin, viewer] = [admin, viewer].map(|cookie| {
        let (name, secret) = cookie.split_once('=').unwrap();
        assert_eq!(name, format!("firedrill-{port}"));
        format!("firedrill-{now}={secret}")
    });
    let late = room.login(&format!("/login?{}", link.trim().rsplit_once('?').unwrap().1));
    for cookie in [&admin, &viewer, &late] {
        assert_eq!(room.get("/", cookie).status, 200, "{cookie}");
    }
    let own = room.get("/people", &viewer).text();
    assert!(own.contains("vera") && !own.contains("late"), "{own}");
    let people = room.get("/people", &admin).text();
    // The label of the button is "End session ID of vera".
    let at = people.find("of vera\"").unwrap();
    let id = people[..at].rsplit_once("End session ").unwrap().1.trim().to_owned();
    assert_eq!(room.post(&format!("/people/sessions/{id}/end"), &late, "").status, 403);
    assert_eq!(room.get("/", &viewer).status, 200);
    assert_eq!(room.post(&format!("/people/sessions/{id}/end"), &admin, "").status, 303);
    assert_eq!(room.get("/", &viewer).status, 303);
    let cookie = room.invite(&admin, "new+one", "operator");
    assert!(room.get("/", &cookie).text().contains("new one (operator)"));
}

#[test]
fn other_machines_are_refused_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let refused = firedrill(folder.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--behind-tls"), "{}", said(&refused));
    let unused = firedrill(folder.path(), &["serve", "link", "--as", "bob", "--role", "viewer"]);
    assert!(said(&unused).contains("no control room has used"), "{}", said(&unused));
    for words in [["--as", "a\nb", "--role", "viewer"], ["--as", "bob", "--role", "root"]] {
        let wrong = firedrill(folder.path(), &[&["serve", "link"], &words[..]].concat());
        assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    }
    let room = Room::start(FIREDRILL, folder.path(), &["--behind-tls", "https://drills.example"]);
    let body = room.link.split_once('?').unwrap().1;
    assert_eq!(room.post_from("Origin: http://drills.example", "/login", "", body).status, 403);
    let answer = room.post_from("Origin: https://drills.example", "/login", "", body);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-firedrill=")
            && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
}
