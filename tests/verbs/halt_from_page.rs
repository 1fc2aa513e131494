//! A run that is halted from the control room's page.

use std::time::{Duration, Instant};

use crate::{
    bench::{Bench, FIREDRILL, assert_ends, labs, scenario, wait},
    room::{Room, until},
};

#[test]
fn a_run_is_halted_from_the_page() {
    if !labs() {
        return;
    }
    let bench = Bench::up("page");
    let (mut child, folder) = bench.until_in_force(&scenario(2, "60s", "", ""));
    let run = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let room = Room::start(FIREDRILL, bench.folder.path(), &[]);
    let admin = room.login(&room.link);
    let invited = room.post("/people/links", &admin, "name=vera&role=viewer").text();
    let link = invited.split_once("login?link=").unwrap().1.split('<').next().unwrap().to_owned();
    let viewer = room.login(&format!("/login?link={link}"));

    let page = format!("/runs/{run}");
    for path in ["/", page.as_str()] {
        let text = room.get(path, &admin).text();
        assert!(text.contains("running") && text.contains("Yes, halt"), "{path}: {text}");
        assert!(!room.get(path, &viewer).text().contains("Yes, halt"), "{path}");
    }
    let text = room.get(&page, &viewer).text();
    assert!(text.contains("service-stop") && text.contains("in force"), "{text}");
    assert_eq!(room.post(&format!("{page}/halt"), &viewer, "").status, 403);
    assert!(child.try_wait().unwrap().is_none(), "a viewer halts nothing");

    let mut watched = room.stream(&format!("{page}/live"), &viewer);
    until(&mut watched, "event: state");
    let halted = room.post(&format!("{page}/halt"), &admin, "");
    assert_eq!(halted.header("location"), Some(format!("{page}?done=ends").as_str()), "{}", halted.text());
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    until(&mut watched, "event: over");
    bench.assert_quiet();
    let end = Instant::now() + Duration::from_secs(10);
    let text = loop {
        let text = room.get(&page, &viewer).text();
        if text.contains("> stopped<") || Instant::now() > end {
            break text;
        }
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
