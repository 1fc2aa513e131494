//! The metrics for Prometheus, checked by its tools, and the rules for them.

use std::{
    process::Stdio,
    time::{Duration, SystemTime},
};

use firedrill_notify::{
    Message, What,
    spool::{Ended, Spool},
};

use super::{room::ask, *};

#[test]
fn metrics_are_about_runs_findings_and_game_days_and_need_no_login() {
    let (temp, plain) = start();
    assert_eq!(plain.get("/metrics", "").status, 404, "the metrics are among the pages");
    drop(plain);
    let folder = temp.path();
    fs::create_dir_all(folder.join("gamedays")).unwrap();
    // The newest file is that of the last start. The first number is its age in days.
    let records = folder.join("reports/.gamedays/friday");
    for (age, slot, line) in [
        (2, "2026-11-20T14:00", r#"{"v":1,"at":"2026-11-20T14:00:00.100Z","event":"ended","exit":1}"#),
        (
            1,
            "2026-11-27T14:00",
            r#"{"v":1,"at":"2026-11-27T14:02:00.100Z","event":"missed","why":"nobody ran"}"#,
        ),
    ] {
        fs::create_dir_all(records.join(slot)).unwrap();
        let file = records.join(slot).join("record.jsonl");
        fs::write(&file, format!("{line}\n")).unwrap();
        let at = SystemTime::now() - Duration::from_secs(age * 86_400);
        fs::File::open(file).unwrap().set_modified(at).unwrap();
    }
    let skipped = folder.join("reports/.gamedays/monday/2026-11-23T14:00");
    fs::create_dir_all(&skipped).unwrap();
    let line = r#"{"v":1,"at":"2026-11-23T14:00:00.100Z","event":"not-held","why":"an incident is running: Down","reason":"incident"}"#;
    fs::write(skipped.join("record.jsonl"), format!("{line}\n")).unwrap();
    fs::write(folder.join("reports/.gamedays/.looked"), "2026-11-27T14:02:00Z").unwrap();
    let spool = Spool::of(&folder.join("reports"));
    for channel in ["ops", "pager"] {
        spool.put(channel, &Message::new("r/ended", What::Ended, "a run has ended")).unwrap();
    }
    for mut entry in spool.pending().unwrap() {
        if entry.channel == "pager" {
            let ended =
                Ended::GivenUp { at: "2026-11-27T14:02:00Z".into(), why: "status 404".into(), by: None };
            spool.end(&entry, ended).unwrap();
        } else {
            entry.tries = 7;
            spool.save(&entry).unwrap();
        }
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let day = format!(
        "schema = 1\nname = \"daily\"\nscenarios = [\"{root}/scenarios/single-host.toml\"]\nfleet = \"{root}/scenarios/fleet.toml\"\n\
         schedule = {{ cron = \"0 14 * * *\", zone = \"UTC\" }}\n"
    );
    fs::write(folder.join("gamedays/daily.toml"), day).unwrap();
    let room = Room::start(FIREDRILL, folder, &["--metrics", "127.0.0.1:0"]);
    let page = room.get("/messages", &room.login(&room.link)).text();
    for shown in ["status 404", "given up", "7 tries failed", "takes none", "a run has ended"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(room.get("/messages", "").status == 303, "the messages are shown without a login");
    let audit = fs::read_to_string(folder.join("room/audit.jsonl")).unwrap();
    let address =
        audit.split_once("metrics on ").expect("it says where its metrics are").1.split('"').next().unwrap();
    let metrics = |path: &str| ask(address, &format!("GET {path} HTTP/1.1\r\n"), "");
    let answer = metrics("/metrics");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text();
    for line in [
        "firedrill_runs_going_on{} 0",
        "firedrill_faults_in_force{} 0",
        "firedrill_hosts_not_answering{} 0",
        "firedrill_runs_ended{result=\"held\"} 1",
        "firedrill_messages_waiting{channel=\"ops\"} 1",
        "firedrill_messages_waiting_tries{channel=\"ops\"} 7",
        "firedrill_messages_given_up{channel=\"pager\"} 1",
        "firedrill_scenario_last_exit_code{scenario=\"demo\",environment=\"demo\"} 0",
        "firedrill_gameday_last{gameday=\"friday\",state=\"missed\"} 1",
        "firedrill_gameday_last{gameday=\"monday\",state=\"not-held\"} 1",
        "firedrill_gameday_last_not_held{gameday=\"monday\",reason=\"incident\"} 1",
        // 2026-11-27T14:02:00Z
        "firedrill_schedule_last_look_timestamp_seconds{} 1795788120",
    ] {
        assert!(text.lines().any(|sample| sample.starts_with(line)), "{line}:\n{text}");
    }
    let next = text
        .lines()
        .find(|line| line.starts_with("firedrill_gameday_next_start_timestamp_seconds{gameday=\"daily\"}"));
    let next = next.unwrap().rsplit(' ').next().unwrap().trim_end_matches(".0").parse::<u64>().unwrap();
    assert_eq!(next % 86_400, 14 * 3600, "{text}");
    assert!(!text.contains("last_not_held{gameday=\"friday\""), "it was missed:\n{text}");
    assert!(!text.contains("firedrill_gameday_last_exit_code"), "the last start did not end:\n{text}");
    for path in ["/", "/runs", "/calendar", "/audit", "/login"] {
        assert_eq!(metrics(path).status, 404, "{path} is no page there");
    }
    checked(&["check", "metrics"], &text);
    dashboard_reads(&text);
}

/// Checks that the dashboard reads only metrics that the server has, and that Prometheus can parse each of its queries.
fn dashboard_reads(metrics: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/grafana-dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = queries.map(|target| target["expr"].as_str().unwrap()).collect();
    let known: Vec<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = include_str!("../../docs/serve.md");
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let names: Vec<&str> = query
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .filter(|word| word.starts_with("firedrill_"))
            .collect();
        assert!(!names.is_empty(), "{query} reads nothing of Firedrill");
        for name in names {
            // The server leaves out a metric without samples. Then the documentation must have it.
            assert!(
                known.contains(&name) || page.contains(&format!("`{name}{{")),
                "the server does not have {name}: {known:?}"
            );
        }
        rules.push_str(&format!("      - record: panel:query:{number}\n        expr: {query:?}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    fs::write(&file, rules).unwrap();
    checked(&["check", "rules", file.to_str().unwrap()], "");
}

#[test]
fn the_rules_are_valid() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/prometheus-rules.yml");
    checked(&["check", "rules", rules.to_str().unwrap()], "");
    checked(&["test", "rules", rules.with_file_name("prometheus-rules-test.yml").to_str().unwrap()], "");
}

/// Runs Prometheus' checker with these arguments and this standard input, and checks that it finds no error.
fn checked(words: &[&str], input: &str) {
    use std::io::Write as _;
    let tool = Command::new("promtool")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match tool {
        Ok(mut tool) => {
            tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let checked = tool.wait_with_output().unwrap();
            assert!(checked.status.success(), "{checked:?}\n{input}");
        }
        Err(_) => eprintln!("skipped: promtool is not installed (tests/packages.sh metrics)"),
    }
}
