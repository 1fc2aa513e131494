//! The API over HTTP: tokens, their permissions, and the answers.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    FIREDRILL, Growing, RUN, firedrill,
    output::said,
    person,
    room::{Answer, Room, until_line},
    start, violated,
};

/// Number of characters of a token, with its `fdr_`.
const TOKEN_LENGTH: usize = 53;

/// Makes a token with a role.
fn token(folder: &Path, name: &str, role: &str) -> String {
    crate::token(folder, name, &["--role", role])
}

/// Asks the API with a token.
fn get(room: &Room, path: &str, token: &str) -> Answer {
    room.ask(&format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n"), "")
}

/// Returns the body of an answer as JSON.
fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// Checks that an answer is a complete problem with that status. Returns its detail.
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = json(answer);
    assert_eq!(problem["status"], status);
    for key in ["title", "tried", "detail", "help"] {
        assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "no {key} in {problem}");
    }
    problem["detail"].as_str().unwrap().to_owned()
}

#[test]
fn only_a_valid_token_gets_an_answer() {
    let (folder, room) = start();
    let secret = token(folder.path(), "ci", "viewer");
    let own = json(&get(&room, "/api/v1/token", &secret));
    assert_eq!((&own["name"], &own["role"]), (&Value::from("ci"), &Value::from("viewer")));
    // Only the digest is stored.
    for file in fs::read_dir(folder.path().join("room")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
    let ask = |head: &str| room.ask(&format!("GET /api/v1/token HTTP/1.1\r\n{head}"), "");
    assert!(refused(&ask(""), 401).contains("no token"));
    assert_eq!(ask("").header("www-authenticate"), Some("Bearer"));
    // A token whose end is missing.
    let cut = "fdr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert!(refused(&get(&room, "/api/v1/token", cut), 401).contains("no whole token"));
    // A token counts only in the header `Authorization`, and only once. The cookie of a session is no token.
    let port = room.address.rsplit_once(':').unwrap().1;
    let cookie = room.login(&room.link);
    for cookie in [&format!("firedrill-{port}={secret}"), &cookie] {
        refused(&ask(&format!("Cookie: {cookie}\r\n")), 401);
    }
    assert_eq!(room.get("/runs", &format!("firedrill-{port}={secret}")).status, 303);
    refused(&room.ask(&format!("GET /api/v1/token?token={secret} HTTP/1.1\r\n"), ""), 401);
    let twice = format!("Authorization: Bearer {secret}\r\nAuthorization: Bearer {secret}\r\n");
    refused(&ask(&twice), 401);
    assert_eq!(
        room.ask(&format!("GET /runs HTTP/1.1\r\nAuthorization: Bearer {secret}\r\n"), "").status,
        303
    );
    // Unknown keys and addresses are refused.
    assert!(refused(&get(&room, "/api/v1/token?nme=ci", &secret), 400).contains("nme"));
    refused(&get(&room, "/api/v1/nothing", &secret), 404);
    refused(
        &room.ask(&format!("DELETE /api/v1/token HTTP/1.1\r\nAuthorization: Bearer {secret}\r\n"), ""),
        405,
    );
    let list = firedrill(folder.path(), &["serve", "token", "list"]);
    assert!(said(&list).contains("ci") && !said(&list).contains("never"), "{}", said(&list));
    let again =
        firedrill(folder.path(), &["serve", "token", "new", "ci", "--role", "viewer", "--expires", "1d"]);
    assert_eq!(again.status.code(), Some(2), "the name is taken");
    for bad in [["admin", "1d"], ["viewer", "1s"], ["viewer", "2y"]] {
        let words = ["serve", "token", "new", "bad", "--role", bad[0], "--expires", bad[1]];
        assert_eq!(firedrill(folder.path(), &words).status.code(), Some(2), "{bad:?}");
    }
    assert_eq!(firedrill(folder.path(), &["serve", "token", "revoke", "ci"]).status.code(), Some(0));
    assert!(refused(&get(&room, "/api/v1/token", &secret), 401).contains("revoked"));
    assert_eq!(firedrill(folder.path(), &["serve", "token", "revoke", "ci"]).status.code(), Some(2));
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    for part in ["\"what\":\"token\",\"on\":\"ci\"", "\"what\":\"revoke-token\"", "refused: no such token"] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}

/// Sends a body of JSON with a token.
fn post(room: &Room, path: &str, token: &str, body: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    room.ask(&head, body)
}

#[test]
fn programs_read_runs_and_their_results() {
    let (folder, room) = start();
    let ci = token(folder.path(), "ci", "viewer");
    let runs = json(&get(&room, "/api/v1/runs", &ci));
    assert_eq!((&runs["runs"][0]["id"], &runs["more"]), (&Value::from(RUN), &Value::from(false)));
    let run = json(&get(&room, &format!("/api/v1/runs/{RUN}"), &ci));
    assert_eq!(run, runs["runs"][0]);
    assert_eq!(
        (&run["state"], &run["verdict"], &run["exit_code"]),
        (&"held".into(), &"held".into(), &0.into())
    );
    assert!(run["course"].is_null(), "it has ended: {run}");
    fs::write(folder.path().join(format!("reports/{RUN}/report.json")), "{\"schema\":1}").unwrap();
    assert_eq!(json(&get(&room, &format!("/api/v1/runs/{RUN}/report"), &ci))["schema"], 1);
    assert_eq!(json(&get(&room, "/api/v1/runs?scenario=other", &ci))["runs"], Value::Array(Vec::new()));
    assert_eq!(json(&get(&room, "/api/v1/runs?skip=1", &ci))["runs"], Value::Array(Vec::new()));
    for (wrong, message) in [
        ("limit=0", "from 1 to 500"),
        ("limit=501", "from 1 to 500"),
        ("limt=1", "limt"),
        ("skip=-1", "skip"),
    ] {
        assert!(
            refused(&get(&room, &format!("/api/v1/runs?{wrong}"), &ci), 400).contains(message),
            "{wrong}"
        );
    }
    // The name of a run must not lead to these files, which are in no run's folder.
    for place in ["reports", "reports/.notify", "room", "."] {
        fs::create_dir_all(folder.path().join(place)).unwrap();
        fs::write(folder.path().join(place).join("report.json"), "{\"schema\":2}").unwrap();
    }
    for missing in ["nothing", "..", ".", "%2e%2e", "%2e%2e%2froom", "..%2froom", ".notify", "%2f"] {
        refused(&get(&room, &format!("/api/v1/runs/{missing}/report"), &ci), 404);
        refused(&get(&room, &format!("/api/v1/runs/{missing}/events"), &ci), 404);
        refused(&get(&room, &format!("/api/v1/runs/{missing}"), &ci), 404);
    }
    // Bytes that are no text are refused before a handler gets them. This answer is a complete problem, too.
    refused(&get(&room, "/api/v1/runs/%ff", &ci), 400);
    let document = json(&room.get("/api/v1/openapi.json", ""));
    assert_eq!(document["openapi"], "3.1.0");
    // An answer has exactly the keys of the document.
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let properties = &document["components"]["schemas"]["RunAnswer"]["properties"];
    assert_eq!(keys(properties), keys(&run));
}

#[test]
fn only_an_operators_token_may_act_and_each_act_is_recorded() {
    let (folder, room) = start();
    let (ci, bot) = (token(folder.path(), "ci", "viewer"), token(folder.path(), "bot", "operator"));
    let (notes, halt) = (format!("/api/v1/runs/{RUN}/notes"), format!("/api/v1/runs/{RUN}/halt"));
    for path in [&notes, &halt] {
        assert!(
            refused(&post(&room, path, &ci, "{\"text\":\"a\"}"), 403).contains("takes the role operator")
        );
        // A session of an admin is no token.
        let cookie = person(folder.path(), &room, "ada", "admin");
        assert_eq!(room.post(path, &cookie, "text=a").status, 401);
    }
    assert_eq!(json(&post(&room, &notes, &bot, "{\"text\":\"the <pager> rang\"}"))["done"], "note");
    for (body, status) in [
        ("{\"text\":1}", 422),
        ("{\"text\":\"a\",\"by\":\"bob\"}", 422),
        ("{", 400),
        ("{\"text\":\"\"}", 400),
    ] {
        refused(&post(&room, &notes, &bot, body), status);
    }
    // The run's coordinator has ended.
    assert!(refused(&post(&room, &halt, &bot, ""), 409).contains("No program on this machine"));
    refused(&post(&room, "/api/v1/runs/nothing/halt", &bot, ""), 404);
    let written = fs::read_to_string(folder.path().join(format!("reports/{RUN}/notes.jsonl"))).unwrap();
    assert!(written.contains("token bot of") && written.contains("the <pager> rang"), "{written}");
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    for (what, outcome) in [
        ("note", "written"),
        ("halt", "no coordinator"),
        ("note", "refused: it takes"),
        ("halt", "refused: it takes"),
    ] {
        let line = |line: &str| {
            line.contains(&format!("\"what\":\"{what}\""))
                && line.contains(outcome)
                && line.contains("\"via\":\"token ")
        };
        assert!(audit.lines().any(line), "{what}, {outcome}: {audit}");
    }
}

#[test]
fn wrong_tokens_are_limited_without_locking_valid_ones_out() {
    let (folder, room) = start();
    let secret = token(folder.path(), "ci", "viewer");
    let tries: Vec<u16> = (0..30).map(|_| get(&room, "/api/v1/token", "fdr_guess").status).collect();
    assert_eq!(tries[..10], [401; 10]);
    let limited = tries.iter().filter(|status| **status == 429).count();
    assert!(limited > 0, "{tries:?}");
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("refused: no such token").count(), 30 - limited);
    assert_eq!(get(&room, "/api/v1/token", &secret).status, 200);
}

#[test]
fn a_command_elsewhere_writes_a_note_and_halts_a_run() {
    let (folder, room) = start();
    // In this run an objective is violated, so there are findings by a run.
    violated(folder.path());
    let bot = token(folder.path(), "bot", "operator");
    let server = format!("http://{}", room.address);
    let elsewhere = |words: &[&str]| {
        let mut command = Command::new(FIREDRILL);
        command.args(words).args(["--server", &server]).current_dir("/").env("FIREDRILL_TOKEN", &bot);
        let ended = command.output().unwrap();
        (ended.status.code(), said(&ended))
    };
    let (code, told) = elsewhere(&["note", RUN, "traffic is back"]);
    assert!(code == Some(0) && told.contains("the note is written"), "{told}");
    let written = fs::read_to_string(folder.path().join(format!("reports/{RUN}/notes.jsonl"))).unwrap();
    assert!(written.contains("token bot of") && written.contains("traffic is back"), "{written}");
    let (code, told) = elsewhere(&["findings", "add", RUN, "nobody was paged", "--severity", "high"]);
    assert!(
        code == Some(0) && told.contains("severity: high") && told.contains("found by: token bot of"),
        "{told}"
    );
    let id = told.split_whitespace().find(|word| word.starts_with("f-")).expect("an id").to_owned();
    let (code, told) = elsewhere(&["findings"]);
    assert!(code == Some(0) && told.contains(&id) && told.contains("nobody was paged"), "{told}");
    let (code, told) = elsewhere(&["findings", "set", &id, "--owner", "payments", "--close"]);
    assert!(code == Some(0) && told.contains("state: closed") && told.contains("owner: payments"), "{told}");
    let reports = folder.path().join("reports");
    // The finding of the person is closed, so all open ones are by a run.
    let listed = firedrill(folder.path(), &["findings", "--json", "--reports", reports.to_str().unwrap()]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let by_run = listed["findings"][0]["id"].as_str().expect("a finding of a run");
    let (code, told) = elsewhere(&["findings", "set", by_run, "--close"]);
    assert!(code == Some(2) && told.contains("a run found it"), "{told}");
    for (words, wanted, why) in [
        (&["findings", "add", RUN, "a", "--by", "bob"][..], 2, "whoever found it is the token"),
        (&["findings", "add", "nothing", "a"], 2, "There is no run nothing"),
        (&["findings", "set", "f-none", "--owner", "x"], 2, "There is no finding f-none"),
        (&["note", RUN], 2, "it needs a text"),
        (&["note", RUN, "a", "--by", "bob"], 2, "the author is the token"),
        (&["note", "nothing", "a"], 2, "There is no run nothing"),
        (&["undo", "--all"], 2, "name one by --run"),
        (&["undo", "--run", RUN, "--host", "app1"], 2, "without --host"),
        (&["undo", "--run", RUN, "--json"], 2, "--json does not go with --server"),
        // The run's coordinator has ended, so it is not known whether all was undone.
        (&["undo", "--run", RUN], 6, "No program on this machine"),
    ] {
        let (code, told) = elsewhere(words);
        assert!(code == Some(wanted) && told.contains(why), "{words:?}: {code:?}: {told}");
    }
}

#[test]
fn an_administrator_makes_and_revokes_tokens_on_a_page() {
    let (folder, room) = start();
    let (admin, operator) = (room.login(&room.link), person(folder.path(), &room, "otto", "operator"));
    let form = "name=ci&role=viewer&days=30";
    assert_eq!(room.post("/people/tokens", &operator, form).status, 403);
    assert_eq!(room.post_from("Origin: http://evil.example", "/people/tokens", &admin, form).status, 403);
    for bad in ["name=ci&role=admin&days=30", "name=ci&role=viewer&days=0", "name=ci&role=viewer&days=x"] {
        assert_eq!(room.post("/people/tokens", &admin, bad).status, 400, "{bad}");
    }
    let page = room.post("/people/tokens", &admin, form).text();
    let at = page.find("fdr_").unwrap_or_else(|| panic!("no token in {page}"));
    let secret = &page[at..at + TOKEN_LENGTH];
    assert_eq!(get(&room, "/api/v1/token", secret).status, 200);
    assert_eq!(room.post("/people/tokens", &admin, form).status, 409);
    let people = room.get("/people", &admin).text();
    assert!(people.contains("Revoke token ci") && !people.contains(secret), "{people}");
    assert!(!room.get("/people", &operator).text().contains("Revoke token"));
    assert_eq!(room.post("/people/tokens/revoke", &operator, "name=ci").status, 403);
    assert_eq!(room.post("/people/tokens/revoke", &admin, "name=ci").status, 303);
    refused(&get(&room, "/api/v1/token", secret), 401);
}

#[test]
fn a_program_follows_a_run_to_its_end() {
    let (folder, room) = start();
    let ci = token(folder.path(), "ci", "viewer");
    let live = Growing::begin(folder.path());
    let half = live.half;
    let who = format!("Authorization: Bearer {ci}");
    let path = "/api/v1/runs/live/events";
    let mut stream = room.stream_as(path, &who);
    let mut next = || {
        let lines = until_line(&mut stream, "data: {", |line| line.starts_with("data: {"));
        serde_json::from_str::<Value>(lines.last().unwrap().strip_prefix("data: ").unwrap()).unwrap()
    };
    let first = next();
    assert_eq!((&first["state"], &first["verdict"]), (&"running".into(), &Value::Null), "{first}");
    assert!(first["course"]["in_force"].as_u64().unwrap() > 0, "{first}");
    assert!(first["course"]["stage"].as_str().unwrap().starts_with("fault of"), "{first}");
    let more: Vec<_> = (0..5).map(|_| room.stream_as(path, &who)).collect();
    for mut stream in more {
        until_line(&mut stream, "event: run", |line| line.starts_with("event: run"));
    }
    live.end(half);
    let last = loop {
        let event = next();
        if event["state"] != "running" {
            break event;
        }
    };
    assert_eq!((&last["state"], &last["exit_code"]), (&"held".into(), &0.into()), "{last}");
    assert_eq!(json(&get(&room, "/api/v1/runs/live", &ci)), last);
    // The stream of a run that is over has one event. The number of streams is limited, and the other streams count until
    // the server has noticed that they are closed.
    let mut answer = get(&room, path, &ci);
    let end = Instant::now() + Duration::from_secs(60);
    while answer.status == 429 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
        answer = get(&room, path, &ci);
    }
    assert_eq!((answer.status, answer.text().matches("event: run").count()), (200, 1), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
}

#[test]
fn programs_read_game_days_and_findings() {
    let (folder, room) = start();
    let ci = token(folder.path(), "ci", "viewer");
    let records = folder.path().join("reports/.gamedays/friday");
    for (slot, lines) in [
        (
            "2026-11-20T14:00",
            "{\"v\":1,\"at\":\"2026-11-20T14:00:00.100Z\",\"event\":\"not-held\",\"why\":\"an incident\",\"reason\":\"incident\"}\n",
        ),
        (
            "by-hand-20261127T140000.000Z",
            "{\"v\":1,\"at\":\"2026-11-27T14:02:00.100Z\",\"event\":\"ended\",\"exit\":1}\n",
        ),
    ] {
        fs::create_dir_all(records.join(slot)).unwrap();
        fs::write(records.join(slot).join("record.jsonl"), lines).unwrap();
    }
    let days = json(&get(&room, "/api/v1/gamedays", &ci));
    assert_eq!(
        (&days["starts_gamedays"], &days["slots"]),
        (&false.into(), &Value::Array(Vec::new())),
        "{days}"
    );
    assert_eq!(days["starts"].as_array().unwrap().len(), 2, "{days}");
    let start = json(&get(&room, "/api/v1/gamedays/friday/2026-11-20T14:00", &ci));
    assert_eq!((&start["state"], &start["reason"]), (&"not-held".into(), &"incident".into()), "{start}");
    let by_hand = json(&get(&room, "/api/v1/gamedays/friday/by-hand-20261127T140000.000Z", &ci));
    assert_eq!((&by_hand["state"], &by_hand["exit_code"]), (&"ended".into(), &1.into()), "{by_hand}");
    for missing in
        ["friday/2026-11-21T14:00", "monday/2026-11-20T14:00", "..%2ffriday/2026-11-20T14:00", "friday/.."]
    {
        refused(&get(&room, &format!("/api/v1/gamedays/{missing}"), &ci), 404);
    }
    let findings = json(&get(&room, "/api/v1/findings", &ci));
    assert_eq!((&findings["findings"], &findings["why_not_kept"]), (&Value::Array(Vec::new()), &Value::Null));
    let later = violated(folder.path());
    let found = json(&get(&room, "/api/v1/findings", &ci));
    let first = &found["findings"][0];
    assert_eq!((&first["state"], &first["seen_in"]), (&"open".into(), &later.into()), "{found}");
    let scenario = first["scenario"].as_str().unwrap();
    let only = |keys: &str| {
        json(&get(&room, &format!("/api/v1/findings?{keys}"), &ci))["findings"].as_array().unwrap().len()
    };
    assert_eq!(only(&format!("scenario={scenario}")), found["findings"].as_array().unwrap().len());
    assert_eq!(only("scenario=another&all=true"), 0);
}
