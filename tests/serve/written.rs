//! Notes, halts, and the audit log of people's actions.

use std::fs;

use crate::{RUN, firedrill, output::said, person, start};

#[test]
fn a_viewer_may_look_and_an_operator_may_write() {
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
    // Texts are shown as text, and not as markup of a page.
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
    // The run is over and cannot be halted here; the page names the alternatives.
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
    assert_eq!(
        room.post_from(&own, &note, &cookie, "text=hello").status,
        303,
        "an older browser, which sends no Sec-Fetch-Site"
    );
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
        let option: Vec<&str> = head.map(|head| vec!["--head", head]).unwrap_or_default();
        firedrill(folder.path(), &[&words[..], &option].concat())
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
    // A cut at the end is found only by somebody who knows the head from before.
    for (lines, without_head) in [
        ([&lines[..1], &[changed.as_str()], &lines[2..]].concat(), 1),
        ([&lines[..1], &lines[2..]].concat(), 1),
        (lines[..lines.len() - 1].to_vec(), 0),
    ] {
        write(&lines);
        assert_eq!(verify(None).status.code(), Some(without_head));
        let found = verify(Some(&head));
        assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    }
    assert_eq!(firedrill(folder.path(), &["audit", "verify", "nothing"]).status.code(), Some(2));
}

#[test]
fn what_a_person_finds_stays_until_somebody_closes_it() {
    let (folder, room) = start();
    let viewer = person(folder.path(), &room, "vera", "viewer");
    let operator = person(folder.path(), &room, "otto", "operator");
    let address = format!("/runs/{RUN}/findings");
    assert_eq!(room.post(&address, &viewer, "text=hello").status, 403);
    for bad in ["text=+", "text=a&severity=bad"] {
        assert_eq!(room.post(&address, &operator, bad).status, 400, "{bad}");
    }
    assert_eq!(room.post("/runs/nothing/findings", &operator, "text=hello").status, 404);
    let form = "text=the+%3Crunbook%3E+is+old&severity=high";
    // The form is sent twice.
    for _ in 0..2 {
        let written = room.post(&address, &operator, form);
        let done = format!("/runs/{RUN}?done=finding");
        assert_eq!(written.header("location"), Some(done.as_str()), "{}", written.text());
    }
    let page = room.get(&format!("/runs/{RUN}"), &viewer).text();
    assert_eq!(page.matches("the &lt;runbook&gt; is old").count(), 1, "the finding is there twice: {page}");
    let list = room.get("/findings", &viewer).text();
    assert!(list.contains("high, found by otto") && list.contains("the &lt;runbook&gt; is old"), "{list}");
    let id = list.split("/findings/f-").nth(1).and_then(|rest| rest.get(..8)).expect("a link").to_owned();
    let one = format!("/findings/f-{id}");
    let looked = room.get(&one, &viewer).text();
    assert!(looked.contains("found by otto") && !looked.contains("<textarea"), "{looked}");
    let change =
        "owner=payments&severity=&ticket=OPS-7&follow_up=friday+of+2026-12-18&note=a%0D%0Ab&state=close";
    assert_eq!(room.post(&one, &viewer, change).status, 403);
    assert_eq!(room.post("/findings/f-none", &operator, change).status, 404);
    assert_eq!(room.post(&one, &operator, change).status, 303);
    let told = firedrill(folder.path(), &["findings", "--all", "--json"]);
    let all: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let found = all["findings"].as_array().unwrap().iter().find(|one| one["by"] == "otto").unwrap();
    for (key, wanted) in [
        ("state", "closed"),
        ("closed_by", "otto"),
        ("ticket", "OPS-7"),
        ("note", "a\nb"),
        ("found", "the <runbook> is old"),
    ] {
        assert_eq!(found[key], wanted, "{key}");
    }
    assert!(!room.get("/findings", &viewer).text().contains("runbook"), "a closed finding is listed");
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    for part in [
        "\"what\":\"finding\"",
        &format!("written: f-{id}"),
        &format!("was there: f-{id}"),
        "written; closed",
    ] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}
