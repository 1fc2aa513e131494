//! The control room over HTTP, in a process of its own: logins, roles, notes, the audit log, and folders that are no runs.
#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "serve/gamedays.rs"]
mod gamedays;
#[path = "common/output.rs"]
mod output;
#[path = "common/room.rs"]
mod room;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output},
};

use output::said;
use room::{Room, until};
use rustix::process::Signal;

const FIREDRILL: &str = env!("CARGO_BIN_EXE_firedrill");
const RUN: &str = "20261120-1402-friday-7f3a";

/// A folder with the example's run, and a control room over it.
fn start() -> (tempfile::TempDir, Room) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("reports").join(RUN);
    fs::create_dir_all(&run).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example");
    for file in ["events.jsonl", "report.html"] {
        fs::copy(example.join(file), run.join(file)).unwrap();
    }
    let room = Room::start(FIREDRILL, folder.path(), &[]);
    (folder, room)
}

fn firedrill(folder: &Path, words: &[&str]) -> Output {
    Command::new(FIREDRILL).args(words).current_dir(folder).output().unwrap()
}

/// Makes a login link by the command line, and logs in.
fn person(folder: &Path, room: &Room, name: &str, role: &str) -> String {
    let made = firedrill(folder, &["serve", "link", "--as", name, "--role", role]);
    let link = String::from_utf8(made.stdout).unwrap();
    let start = format!("http://{}/login?link=", room.address);
    assert!(link.starts_with(&start), "{link}");
    room.login(link[start.len() - "/login?link=".len()..].trim())
}

#[test]
fn a_login_link_works_once_and_nobody_else_sees_a_page() {
    let (folder, room) = start();
    for path in ["/", "/runs", "/audit", "/people", &format!("/runs/{RUN}"), &format!("/runs/{RUN}/report")] {
        let answer = room.get(path, "firedrill=nothing");
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{path}");
        assert!(!answer.text().contains("friday"));
    }
    // Programs that look at links beforehand only get them.
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
    assert_eq!(mode & 0o077, 0, "nobody else enters the state");
    assert_eq!(room.post("/logout", &cookie, "").status, 303);
    assert_eq!(room.get("/", &cookie).status, 303, "the session has ended");
}

#[test]
fn failures_to_log_in_are_limited_and_keep_nobody_out() {
    let (folder, room) = start();
    let tries: Vec<u16> = (0..30).map(|_| room.post("/login", "", "link=guess").status).collect();
    assert_eq!(tries[..10], [403; 10]);
    let limited = tries.iter().filter(|status| **status == 429).count();
    assert!(limited > 0, "{tries:?}");
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    assert_eq!(
        audit.matches("refused: no such link").count(),
        30 - limited,
        "only what was answered is recorded"
    );
    // All people behind a proxy have its address.
    room.login(&room.link);
}

#[test]
fn requests_of_other_pages_change_nothing() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    let note = format!("/runs/{RUN}/notes");
    let notes = folder.path().join("reports").join(RUN).join("notes.jsonl");
    for header in [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://evil.example",
        "Origin: null",
        "X-Nothing: 1",
    ] {
        assert_eq!(room.post_from(header, &note, &cookie, "text=hello").status, 403, "{header}");
    }
    assert!(!notes.exists());
    let own = format!("Origin: http://{}", room.address);
    assert_eq!(room.post_from(&own, &note, &cookie, "text=hello").status, 303, "an older browser");
    assert!(fs::read_to_string(notes).unwrap().contains("hello"));
    let policy = room.get("/", &cookie).header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let report = room.get(&format!("/runs/{RUN}/report"), &cookie);
    assert!(
        report
            .header("content-security-policy")
            .unwrap()
            .starts_with("sandbox allow-scripts; default-src 'none'")
    );
    assert!(report.text().contains("<!doctype html>"));
}

#[test]
fn a_viewer_looks_and_an_operator_writes() {
    let (folder, room) = start();
    let viewer = person(folder.path(), &room, "vera", "viewer");
    let operator = person(folder.path(), &room, "otto", "operator");
    let page = room.get(&format!("/runs/{RUN}"), &viewer).text();
    assert!(page.contains("How hosts were proven") && !page.contains("<textarea"), "{page}");
    for (path, body) in [
        (format!("/runs/{RUN}/notes"), "text=hello"),
        (format!("/runs/{RUN}/halt"), ""),
        ("/people/links".to_owned(), "name=eve&role=admin"),
    ] {
        assert_eq!(room.post(&path, &viewer, body).status, 403, "{path}");
    }
    assert_eq!(room.post("/people/links", &operator, "name=eve&role=admin").status, 403);
    // Texts are shown as they are, and never as parts of a page.
    let nasty = "text=%3Cscript%3Ealert(1)%3C%2Fscript%3E%0Athe+pager+rang%E2%80%AE";
    let written = room.post(&format!("/runs/{RUN}/notes"), &operator, nasty);
    assert_eq!(
        written.header("location"),
        Some(format!("/runs/{RUN}?done=note").as_str()),
        "{}",
        written.text()
    );
    let page = room.get(&format!("/runs/{RUN}?done=note"), &viewer).text();
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("otto") && !page.contains('\u{202e}'), "{page}");
    let noted = firedrill(folder.path(), &["note", RUN]);
    assert!(said(&noted).contains("otto") && said(&noted).contains("the pager rang"), "{}", said(&noted));
    assert_eq!(room.post(&format!("/runs/{RUN}/notes"), &operator, "text=+").status, 400);
    assert_eq!(
        room.post(&format!("/runs/{RUN}/notes"), &operator, &format!("text={}", "x".repeat(70_000))).status,
        413
    );
    // The run is over: nobody here can halt it, and the page says what else there is.
    let halted = room.post(&format!("/runs/{RUN}/halt"), &operator, "");
    assert_eq!(halted.status, 409);
    assert!(halted.text().contains("firedrill undo --run"), "{}", halted.text());
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    for part in [
        "\"by\":\"otto\"",
        "refused: it takes the role operator",
        "no coordinator of it",
        "\"what\":\"note\"",
    ] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
    assert!(room.get("/audit", &viewer).text().contains("refused: it takes the role operator"));
}

#[test]
fn sessions_outlive_a_restart_and_end_when_an_admin_says_so() {
    let (folder, mut room) = start();
    let admin = room.login(&room.link);
    let viewer = person(folder.path(), &room, "vera", "viewer");
    let port = room.address.rsplit_once(':').unwrap().1.to_owned();
    let busy = firedrill(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(busy.status.code(), Some(2));
    assert!(said(&busy).contains("another control room uses the state"), "{}", said(&busy));
    room.end(Signal::KILL);
    // Without a server, a link can be made too.
    let link = firedrill(folder.path(), &["serve", "link", "--as", "late", "--role", "viewer"]);
    let link = String::from_utf8(link.stdout).unwrap();
    drop(room);
    let listen = format!("127.0.0.1:{port}");
    let room = Room::start(FIREDRILL, folder.path(), &["--listen", &listen]);
    let late = room.login(&format!("/login?{}", link.trim().rsplit_once('?').unwrap().1));
    for cookie in [&admin, &viewer, &late] {
        assert_eq!(room.get("/", cookie).status, 200, "{cookie}");
    }
    let own = room.get("/people", &viewer).text();
    assert!(own.contains("vera") && !own.contains("late"), "{own}");
    let people = room.get("/people", &admin).text();
    let at = people.find("of vera\"").unwrap();
    let id = people[..at].rsplit_once("End session ").unwrap().1.trim().to_owned();
    assert_eq!(room.post(&format!("/people/sessions/{id}/end"), &late, "").status, 403);
    assert_eq!(room.get("/", &viewer).status, 200);
    assert_eq!(room.post(&format!("/people/sessions/{id}/end"), &admin, "").status, 303);
    assert_eq!(room.get("/", &viewer).status, 303);
    let made = room.post("/people/links", &admin, "name=new+one&role=operator").text();
    let made = made.split_once("login?link=").unwrap().1.split('<').next().unwrap().to_owned();
    let cookie = room.login(&format!("/login?link={made}"));
    assert!(room.get("/", &cookie).text().contains("new one (operator)"));
}

#[test]
fn what_is_no_run_breaks_no_page() {
    let (folder, room) = start();
    let reports = folder.path().join("reports");
    let cookie = room.login(&room.link);
    fs::create_dir(reports.join("broken")).unwrap();
    fs::write(reports.join("broken/events.jsonl"), "{\"v\":1,\nnothing\n").unwrap();
    fs::create_dir(reports.join("empty")).unwrap();
    fs::create_dir_all(reports.join("odd/events.jsonl")).unwrap();
    fs::create_dir(reports.join("<b>&\"'% ü")).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("elsewhere/report.html"), "secret").unwrap();
    symlink("../elsewhere", reports.join("link")).unwrap();
    symlink("../../secret", reports.join("empty/report.html")).unwrap();
    symlink("../../secret", reports.join("broken/notes.jsonl")).unwrap();
    for pipe in ["pipe/events.jsonl", "pipe/notes.jsonl", "pipe/report.html"] {
        fs::create_dir_all(reports.join("pipe")).unwrap();
        let made = Command::new("mkfifo").arg(reports.join(pipe)).status().unwrap();
        assert!(made.success());
    }
    for path in [
        "/",
        "/runs",
        "/runs?page=0",
        "/runs?page=99999999999999999999",
        "/runs?page=3&scenario=x",
        "/runs?%ff=%",
    ] {
        let answer = room.get(path, &cookie);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(!answer.text().contains("<b>&"), "{path}");
    }
    for name in ["broken", "empty", "odd", "pipe", "%3Cb%3E%26%22%27%25%20%C3%BC"] {
        let answer = room.get(&format!("/runs/{name}"), &cookie);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(
            answer.text().contains("cannot be read") && !answer.text().contains("<b>&"),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert_ne!(room.get(&format!("/runs/{name}/report"), &cookie).status, 200);
        assert_ne!(room.post(&format!("/runs/{name}/notes"), &cookie, "text=hello").status, 303);
    }
    for path in [
        "/runs/..",
        "/runs/%2e%2e",
        "/runs/..%2fsecret",
        "/runs/%2e%2e%2fsecret/report",
        "/runs/link",
        "/runs/link/report",
        "/runs/%00",
        "/runs/%ff",
        "/runs//etc",
        "/runs/%2fetc",
        "/runs/.",
        "/runs/broken/../../secret",
        "/nothing",
        "/runs/a/b/c",
        "/%2e%2e/secret",
        "/runs/empty/report",
        &format!("/runs/{}", "a".repeat(5_000)),
    ] {
        let answer = room.get(path, &cookie);
        assert!((400..600).contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("secret</"), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
    }
    assert_eq!(room.get("/runs/link/report", &cookie).status, 404);
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE"] {
        let head = format!("{method} /runs HTTP/1.1\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n");
        assert_eq!(room.ask(&head, "").status, 405, "{method}");
    }
    fs::remove_dir_all(&reports).unwrap();
    assert_eq!(room.get("/", &cookie).status, 200, "without a directory");
}

#[test]
fn a_run_is_watched_while_its_log_grows() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    let example = folder.path().join("reports").join(RUN).join("events.jsonl");
    let lines: Vec<String> = fs::read_to_string(example).unwrap().lines().map(str::to_owned).collect();
    let half = lines.iter().position(|line| line.contains("\"to\":\"in-force\"")).unwrap() + 1;
    let live = folder.path().join("reports/live");
    fs::create_dir(&live).unwrap();
    let mut log = fs::File::create(live.join("events.jsonl")).unwrap();
    log.lock().unwrap();
    writeln!(log, "{}", lines[..half].join("\n")).unwrap();

    let page = room.get("/runs/live", &cookie).text();
    for part in
        ["data-stream=\"/runs/live/live\"", "running", "in force", "The run so far", "<svg", "Yes, halt live"]
    {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert!(room.get("/", &cookie).text().contains("1 in force"));
    let watch = || room.stream("/runs/live/live", &cookie);
    let mut stream = watch();
    let seq = half;
    assert!(until(&mut stream, "id: ").contains(&format!("id: live/{seq}")));
    until(&mut stream, "event: axis");
    // Half a line is no record.
    let (first, last) = lines[half].split_at(40);
    write!(log, "{first}").unwrap();
    writeln!(log, "{last}").unwrap();
    until(&mut stream, &format!("id: live/{}", seq + 1));

    let mut more: Vec<_> = (0..5).map(|_| watch()).collect();
    for stream in &mut more {
        until(stream, "event: state");
    }
    assert_eq!(room.get("/runs/live/live", &cookie).status, 429, "the seventh of this session");
    drop(more);

    writeln!(log, "{}", lines[half + 1..].join("\n")).unwrap();
    log.unlock().unwrap();
    let rest = until(&mut stream, "event: over");
    assert!(rest.iter().any(|line| line.contains("it is complete")), "the last state comes before");
    let page = room.get("/runs/live", &cookie).text();
    assert!(page.contains("> held<") && !page.contains("data-stream"), "{page}");
}

#[test]
fn findings_and_the_course_of_scenarios_are_shown() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    assert!(room.get("/findings", &cookie).text().contains("None is open."));
    let reports = folder.path().join("reports");
    let log = fs::read_to_string(reports.join(RUN).join("events.jsonl")).unwrap();
    let id = log.split_once("\"run\":\"").unwrap().1.split('"').next().unwrap().to_owned();
    // The same run a day later, with a goal that it misses.
    let later = "20261127-0602-demo-beef";
    let (first, rest) = log.split_once('\n').unwrap();
    let first =
        first.replace("\"good\":\"85%\"", "\"good\":\"99.99%\"").replace("2026-11-26T", "2026-11-27T");
    fs::create_dir(reports.join(later)).unwrap();
    fs::write(reports.join(later).join("events.jsonl"), format!("{first}\n{rest}").replace(&id, later))
        .unwrap();
    let page = room.get("/findings", &cookie).text();
    for part in ["users", "badge open", &format!("href=\"/runs/{later}\""), "99.99 %"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    let page = room.get("/history", &cookie).text();
    for part in ["2 runs: 1 held, 1 violated, 0 unknown", "2026-11-26: held, score", "2026-11-27: violated"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert!(page.find("2026-11-26: held") < page.find("2026-11-27: violated"), "the newest last");
}

#[test]
fn the_next_slots_of_game_days_are_shown() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    let page = room.get("/calendar", &cookie).text();
    assert!(
        page.contains("there is no folder `gamedays` here") && page.contains("Nothing is due."),
        "{page}"
    );
    assert_eq!(room.get("/calendar.ics", &cookie).status, 409);
    drop(room);
    let gamedays = Path::new(env!("CARGO_MANIFEST_DIR")).join("gamedays");
    let room = Room::start(FIREDRILL, folder.path(), &["--gamedays", gamedays.to_str().unwrap()]);
    let cookie = room.login(&room.link);
    let list = firedrill(Path::new(env!("CARGO_MANIFEST_DIR")), &["gameday", "list", "--json"]);
    let days: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let page = room.get("/calendar", &cookie).text();
    for slot in days[0]["slots"].as_array().unwrap() {
        let utc = slot["utc"].as_str().unwrap()[..16].replace('T', " ");
        assert!(page.contains(&utc), "no {utc} in {page}");
    }
    assert!(page.contains(days[0]["name"].as_str().unwrap()), "{page}");
    assert!(room.get("/calendar.ics", &cookie).text().starts_with("BEGIN:VCALENDAR\r\n"));
}

#[test]
fn others_cannot_be_let_in_without_tls() {
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

#[test]
fn tampering_with_the_audit_log_is_found() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    for text in ["one", "two", "three"] {
        room.post(&format!("/runs/{RUN}/notes"), &cookie, &format!("text={text}"));
    }
    drop(room);
    let file = folder.path().join("room/audit.jsonl");
    let verify = |head: Option<&str>| {
        let words = ["audit", "verify", "room/audit.jsonl"];
        let head: Vec<&str> = head.map(|head| vec!["--head", head]).unwrap_or_default();
        firedrill(folder.path(), &[&words[..], &head].concat())
    };
    let whole = verify(None);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    let out = String::from_utf8(whole.stdout).unwrap();
    let head = out.lines().last().unwrap().strip_prefix("head ").unwrap().to_owned();
    assert_eq!(verify(Some(&head)).status.code(), Some(0));
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let write = |lines: &[&str]| {
        fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    };
    let changed = lines[1].replace("made, as admin", "made, as viewer");
    for (lines, by_itself) in [
        ([&lines[..1], &[changed.as_str()], &lines[2..]].concat(), true),
        ([&lines[..1], &lines[2..]].concat(), true),
        (lines[..lines.len() - 1].to_vec(), false),
    ] {
        write(&lines);
        assert_eq!(verify(None).status.code(), Some(if by_itself { 1 } else { 0 }));
        let found = verify(Some(&head));
        assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    }
    assert_eq!(firedrill(folder.path(), &["audit", "verify", "nothing"]).status.code(), Some(2));
}
