//! Pages about running runs, about folders that are no runs, and about many runs.

use std::{fs, io::Write as _, os::unix::fs::symlink, path::Path, process::Command};

use crate::{
    FIREDRILL, Growing, RUN, firedrill,
    room::{Room, until},
    start, violated,
};

#[test]
fn folders_that_are_no_runs_break_no_page() {
    let (folder, room) = start();
    let reports = folder.path().join("reports");
    let cookie = room.login(&room.link);
    fs::create_dir(reports.join("broken")).unwrap();
    fs::write(reports.join("broken/events.jsonl"), "{\"v\":1,\nnothing\n").unwrap();
    fs::create_dir(reports.join("empty")).unwrap();
    fs::create_dir_all(reports.join("odd/events.jsonl")).unwrap();
    fs::create_dir(reports.join("<b>&\"'% ü")).unwrap();
    fs::write(folder.path().join("secret"), "hidden-text").unwrap();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("elsewhere/report.html"), "hidden-text").unwrap();
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
        assert!(!answer.text().contains("hidden-text"), "{}", answer.text());
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
        assert!(!answer.text().contains("hidden-text"), "{path}");
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
fn a_log_that_is_a_link_is_not_followed() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    let reports = folder.path().join("reports");
    let example = fs::read_to_string(reports.join(RUN).join("events.jsonl")).unwrap();
    let end = example.find("\"to\":\"in-force\"").unwrap();
    let end = end + example[end..].find('\n').unwrap() + 1;
    // The log ends while a fault is in force, and is locked: if the link were followed, it would be shown as a running run.
    let mut log = fs::File::create(folder.path().join("elsewhere.jsonl")).unwrap();
    log.lock().unwrap();
    log.write_all(&example.as_bytes()[..end]).unwrap();
    fs::create_dir(reports.join("linked")).unwrap();
    symlink("../../elsewhere.jsonl", reports.join("linked/events.jsonl")).unwrap();
    let page = room.get("/runs/linked", &cookie).text();
    assert!(
        page.contains("cannot be read: events.jsonl in its folder cannot be opened")
            && !page.contains("in force"),
        "{page}"
    );
    assert!(!room.get("/", &cookie).text().contains("in force"), "its course is not shown either");
    assert_eq!(room.post("/runs/linked/notes", &cookie, "text=hello").status, 409);
    assert!(!reports.join("linked/notes.jsonl").exists());
}

#[test]
fn a_run_is_watched_while_its_log_grows() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    let mut live = Growing::begin(folder.path());
    let half = live.half;
    let page = room.get("/runs/live", &cookie).text();
    for part in
        ["data-stream=\"/runs/live/live\"", "running", "in force", "The run so far", "<svg", "Yes, halt live"]
    {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert!(room.get("/", &cookie).text().contains("1 in force"));
    let watch = || room.stream("/runs/live/live", &cookie);
    let mut stream = watch();
    // The id has the number of the last record. Records are numbered from 1, so it is the number of lines, too.
    assert!(until(&mut stream, "id: ").contains(&format!("id: live/{half}")));
    until(&mut stream, "event: axis");
    // An incomplete line is not a record yet.
    let (first, last) = live.lines[half].split_at(40);
    write!(live.log, "{first}").unwrap();
    writeln!(live.log, "{last}").unwrap();
    until(&mut stream, &format!("id: live/{}", half + 1));

    let mut more: Vec<_> = (0..5).map(|_| watch()).collect();
    for stream in &mut more {
        until(stream, "event: state");
    }
    assert_eq!(room.get("/runs/live/live", &cookie).status, 429, "a session has more than six streams");
    drop(more);

    live.end(half + 1);
    let rest = until(&mut stream, "event: over");
    assert!(rest.iter().any(|line| line.contains("it is complete")), "the last state comes before the end");
    let page = room.get("/runs/live", &cookie).text();
    assert!(page.contains("> held<") && !page.contains("data-stream"), "{page}");
}

#[test]
fn findings_and_the_course_of_scenarios_are_shown() {
    let (folder, room) = start();
    let cookie = room.login(&room.link);
    assert!(room.get("/findings", &cookie).text().contains("None is open."));
    let later = violated(folder.path());
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
