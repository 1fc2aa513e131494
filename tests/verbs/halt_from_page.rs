//! People halt runs, let them pause, and skip attacks on the control room's page.

use std::time::{Duration, Instant};

use crate::{
    bench::{Bench, FIREDRILL, assert_ends, labs, plain_scenario, wait},
    room::{Room, until, until_line},
};

#[test]
fn a_run_is_halted_from_the_page() {
    if !labs() {
        return;
    }
    let bench = Bench::up("page");
    let (mut child, folder) = bench.until_in_force(&plain_scenario(2, "60s"));
    let run = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let room = Room::start(FIREDRILL, bench.folder.path(), &[]);
    let admin = room.login(&room.link);
    let viewer = room.invite(&admin, "vera", "viewer");

    let page = format!("/runs/{run}");
    for path in ["/", page.as_str()] {
        let text = room.get(path, &admin).text();
        assert!(text.contains("running") && text.contains("Yes, halt"), "{path}: {text}");
        assert!(!room.get(path, &viewer).text().contains("Yes, halt"), "{path}");
    }
    let text = room.get(&page, &viewer).text();
    assert!(text.contains("service-stop") && text.contains("in force"), "{text}");
    assert_eq!(room.post(&format!("{page}/halt"), &viewer, "").status, 403);
    assert!(child.try_wait().unwrap().is_none(), "a viewer has halted the run");

    let mut watched = room.stream(&format!("{page}/live"), &viewer);
    until(&mut watched, "event: state");
    let halted = room.post(&format!("{page}/halt"), &admin, "");
    assert_eq!(halted.header("location"), Some(format!("{page}?done=ends").as_str()), "{}", halted.text());
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    until(&mut watched, "event: over");
    bench.assert_quiet();
    let end = Instant::now() + Duration::from_secs(60);
    let text = loop {
        let text = room.get(&page, &viewer).text();
        if text.contains("> stopped<") || Instant::now() > end {
            break text;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    for part in [
        "in the control room undid the run on this machine",
        "How hosts were proven",
        "badge clean",
        "not run",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(room.get(&format!("{page}/report"), &viewer).status, 200);
    let audit = bench.firedrill(&["audit", "verify", "room/audit.jsonl"]).output().unwrap();
    assert_ends(&audit, 0, "each follows the one before");
}

#[test]
fn a_run_pauses_and_skips_from_the_page() {
    if !labs() {
        return;
    }
    let bench = Bench::up("steered");
    // The pause has to be asked for while the fault holds, so everything else that takes time comes before the fault.
    std::fs::create_dir_all(bench.reports()).unwrap();
    let room = Room::start(FIREDRILL, bench.folder.path(), &[]);
    let admin = room.login(&room.link);
    let viewer = room.invite(&admin, "vera", "viewer");
    let (mut child, folder) = bench.until_in_force(&plain_scenario(2, "15s"));
    let run = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let page = format!("/runs/{run}");
    assert!(!room.get(&page, &viewer).text().contains("/pause"), "a viewer is shown no form");
    assert_eq!(room.post(&format!("{page}/pause"), &viewer, "minutes=10").status, 403);
    let foreign =
        room.post_from("Sec-Fetch-Site: cross-site", &format!("{page}/pause"), &admin, "minutes=10");
    assert_eq!(foreign.status, 403, "{}", foreign.text());
    let early = room.post(&format!("{page}/resume"), &admin, "");
    assert!(early.status == 409 && early.text().contains("it does not pause"), "{}", early.text());
    let paused = room.post(&format!("{page}/pause"), &admin, "minutes=10");
    assert_eq!(paused.header("location"), Some(format!("{page}?done=pause").as_str()), "{}", paused.text());
    let mut watched = room.stream(&format!("{page}/live"), &viewer);
    let told = " in the control room until ";
    until_line(&mut watched, told, |line| line.contains(told));
    bench.assert_quiet();
    let text = room.get(&page, &admin).text();
    for part in [
        "UTC, before &quot;stop 2&quot;",
        "name=\"attack\" value=\"2\"",
        "If nobody lets the run go on, it ends at",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let other = room.post(&format!("{page}/skip"), &admin, "attack=1");
    assert!(other.status == 409 && other.text().contains("nothing is skipped"), "{}", other.text());
    let skipped = room.post(&format!("{page}/skip"), &admin, "attack=2");
    assert_eq!(skipped.header("location"), Some(format!("{page}?done=skip").as_str()), "{}", skipped.text());
    assert_eq!(wait(&mut child).code(), Some(3), "{}", bench.stderr());
    assert!(bench.stderr().contains("stop 2: not run, skipped by"), "{}", bench.stderr());
    let audit = std::fs::read_to_string(bench.folder.path().join("room/audit.jsonl")).unwrap();
    for part in ["\"what\":\"pause\"", "it pauses before attack 2", "\"what\":\"skip\"", "it skips attack 2"]
    {
        assert!(audit.contains(part), "no `{part}` in {audit}");
    }
}
