//! Logs of earlier versions and of this one are judged alike; damage and crashes are reported, and never `held`.

use std::path::{Path, PathBuf};

use firedrill_wire::probe::ProbeKind;
use serde_json::Value;

use super::*;
use crate::{
    score::{self, Scorecard, fold},
    testing::{Act, Drill, HOLD, S, stop},
};

/// Writes the log of a drill into a folder, as a coordinator does.
fn written(records: &[Record]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("events.jsonl");
    let mut writer = Writer::create(&path).expect("new");
    for record in records {
        writer.append(record.at_us, record.event.clone()).expect("appends");
    }
    drop(writer);
    (folder, path)
}

/// Returns the log as earlier versions wrote it: each bin in its own record.
fn one_by_one(records: &[Record]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|record| [serde_json::to_vec(record).expect("JSON"), b"\n".to_vec()].concat())
        .collect()
}

fn judged(path: &Path) -> Scorecard {
    score::judge(&read(path).expect("reads"))
}

/// A drill that holds in part, with an outage, a vantage whose bins come late, and another probe's second in between.
fn mixed() -> Drill {
    let mut drill = Drill::good();
    drill.acts[0].bad = vec![(0..3, 100), (3..9, 4), (HOLD - 2..HOLD + 3, 60)];
    drill.acts[1] = Act { bad: vec![(0..30, 2)], ..Act::new("stop again", &["app2", "db2"], stop()) };
    drill.bins = Box::new(|vantage, second, bin| match (vantage, second) {
        ("canary", 40..45) => None,
        ("canary", 90) => Some(crate::testing::bin_with("buy", second, [50, 30, 20])),
        _ => Some(bin),
    });
    drill
}

#[test]
fn logs_of_blocks_and_of_single_bins_are_judged_alike() {
    for drill in [Drill::good(), Drill::one(), mixed()] {
        let records = drill.records();
        let (_folder, path) = written(&records);
        let old = path.with_file_name("old.jsonl");
        std::fs::write(&old, one_by_one(&records)).expect("writes");
        let card = fold(&records);
        assert_eq!(judged(&path), card);
        assert_eq!(judged(&old), card);
        assert_eq!(score::judge(&parse(&one_by_one(&records), &old).expect("reads")), card);
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(!text.contains("\"event\":\"bin\"") && text.contains("\"event\":\"bins\""));
        let (new, old) = (text.len(), old.metadata().expect("there").len());
        assert!(new as u64 * 4 < old, "{new} bytes, {old} before");
    }
}

/// Asserts that two values are equal, except latencies, which may be 1 % more now.
fn assert_alike(before: &Value, now: &Value, path: &str) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let latency = before.get("unit") == Some(&Value::from("latency"));
            for (key, value) in before {
                let kind = if latency { "latency" } else { "" };
                assert_alike(value, now.get(key).unwrap_or(&Value::Null), &format!("{path}.{kind}{key}"));
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            before
                .iter()
                .zip(now)
                .enumerate()
                .for_each(|(at, (before, now))| assert_alike(before, now, &format!("{path}.{at}")));
        }
        (Value::Number(before), Value::Number(now)) => {
            let (before, now) = (before.as_f64().expect("a number"), now.as_f64().expect("a number"));
            let field = path.rsplit('.').next().unwrap_or_default();
            let rounded = ["latencyvalue", "latencylow", "latencyhigh", "p50_us", "p99_us", "late_p99_us"];
            let rounded = rounded.contains(&field);
            let slack = if rounded { before / 100.0 + 1.0 } else { 1e-9 };
            assert!(now >= before - 1e-9 && now <= before + slack, "{path}: {before} before, {now} now");
        }
        _ => assert_eq!(before, now, "{path}"),
    }
}

#[test]
fn logs_of_earlier_versions_get_the_same_cards_as_then() {
    for name in ["demo", "mixed"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/log/golden");
        let card = judged(&folder.join(format!("{name}.jsonl")));
        let before = std::fs::read(folder.join(format!("{name}.card.json"))).expect("there");
        let before: Value = serde_json::from_slice(&before).expect("JSON");
        assert_alike(&before, &serde_json::to_value(card).expect("JSON"), name);
    }
}

#[test]
fn a_log_that_was_cut_at_any_byte_is_read_and_never_held() {
    let mut drill = Drill::one();
    drill.vantages.truncate(1);
    let records = drill.records();
    let (_folder, path) = written(&records);
    assert_eq!(judged(&path).verdict, Verdict::Held);
    let bytes = std::fs::read(&path).expect("reads");
    for cut in (0..bytes.len() - 1).step_by(97) {
        std::fs::write(&path, &bytes[..cut]).expect("writes");
        let log = read(&path).unwrap_or_else(|why| panic!("cut at {cut}: {why}"));
        let torn = bytes[..cut].last().is_some_and(|byte| *byte != b'\n');
        assert_eq!(!log.warnings.is_empty(), torn, "cut at {cut}: {:?}", log.warnings);
        assert_ne!(score::judge(&log).verdict, Verdict::Held, "cut at {cut}");
    }
}

/// Returns the position of the data of the block that contains a second of the run.
fn block(path: &Path, second: i64) -> std::ops::Range<usize> {
    let text = std::fs::read_to_string(path).expect("text");
    let mut at = 0;
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let holds = |value: &Value| {
            value["from_us"].as_i64().is_some_and(|from| from <= second * S)
                && value["until_us"].as_i64().is_some_and(|until| second * S < until)
        };
        if record["event"] == "bins" && holds(&record) {
            let data = line.find("\"data\":\"").expect("data") + "\"data\":\"".len();
            return at + data..at + line.len() - 2;
        }
        at += line.len() + 1;
    }
    panic!("no block has second {second}")
}

#[test]
fn damage_to_a_block_makes_only_its_attack_unknown() {
    let records = Drill::good().records();
    let (_folder, path) = written(&records);
    assert_eq!(judged(&path).verdict, Verdict::Held);
    let whole = std::fs::read(&path).expect("reads");
    let within = block(&path, Drill::start(1) + 20);
    let middle = within.start + (within.end - within.start) / 2;
    let other = if whole[middle] == b'A' { b'B' } else { b'A' };
    for (damage, valid) in [(other, true), (b'%', true), (b'"', false), (0, false)] {
        let mut bytes = whole.clone();
        bytes[middle] = damage;
        std::fs::write(&path, &bytes).expect("writes");
        let card = judged(&path);
        assert_eq!(card.verdict, Verdict::Unknown, "{damage}: {:?}", card.why);
        assert_ne!(card.exit, 0);
        // Data outside of the block are unchanged.
        assert_eq!(card.attacks[0].verdict, Some(Verdict::Held), "{damage}: {:?}", card.attacks[0].why);
        assert_eq!(card.attacks[1].verdict, Some(Verdict::Unknown), "{damage}");
        let line = 1 + whole[..middle].iter().filter(|byte| **byte == b'\n').count();
        if valid {
            let why = card.attacks[1].why.join("\n");
            assert!(why.contains(&format!("line {line}: what was measured from")), "{damage}: {why}");
            assert!(card.why.iter().any(|why| why.contains("are damaged")), "{:?}", card.why);
        } else {
            let warnings = read(&path).expect("reads").warnings.join("\n");
            assert!(
                warnings.contains(&format!("line {line}: a record of measurements is damaged")),
                "{warnings}"
            );
            assert!(card.why.iter().any(|why| why.contains("missing from the log")), "{:?}", card.why);
        }
    }
    // One file without a block, and one whose block states a wrong time.
    let mut gone = whole[..within.start].to_vec();
    let begin = gone.iter().rposition(|byte| *byte == b'\n').expect("a line before") + 1;
    gone.truncate(begin);
    let rest = within.end + whole[within.end..].iter().position(|byte| *byte == b'\n').expect("its end") + 1;
    gone.extend_from_slice(&whole[rest..]);
    std::fs::write(&path, &gone).expect("writes");
    assert_eq!(judged(&path).verdict, Verdict::Unknown);
    let head = String::from_utf8(whole[begin..within.start].to_vec()).expect("text");
    let moved =
        head.replacen("\"from_us\":", "\"from_us\":9", 1).replacen("\"until_us\":", "\"until_us\":9", 1);
    std::fs::write(&path, [&whole[..begin], moved.as_bytes(), &whole[within.start..]].concat())
        .expect("writes");
    assert_eq!(judged(&path).verdict, Verdict::Unknown);
    // All bins are there and can be read, but not those of the time that the block claims.
    let end = head.split("\"until_us\":").nth(1).and_then(|rest| rest.split(',').next()).expect("its end");
    let later = end.parse::<i64>().expect("a number") + 1;
    let longer = head.replacen(&format!("\"until_us\":{end}"), &format!("\"until_us\":{later}"), 1);
    std::fs::write(&path, [&whole[..begin], longer.as_bytes(), &whole[within.start..]].concat())
        .expect("writes");
    let card = judged(&path);
    let why = card.attacks[1].why.join("\n");
    assert!(card.verdict == Verdict::Unknown && why.contains("of another time than it says"), "{why}");
}

#[test]
fn a_writer_that_gave_up_its_file_still_has_the_whole_log() {
    let records = Drill::one().records();
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("events.jsonl");
    let mut writer = Writer::create(&path).expect("new");
    let half = records.len() / 2;
    for record in &records[..half] {
        writer.append(record.at_us, record.event.clone()).expect("appends");
    }
    writer.give_up_file();
    let before = path.metadata().expect("there").len();
    for record in &records[half..] {
        writer.append(record.at_us, record.event.clone()).expect("needs no file");
    }
    assert_eq!(path.metadata().expect("there").len(), before);
    assert_eq!(score::judge(&writer.take_log()), fold(&records));
}

#[test]
fn bins_are_written_some_seconds_later_and_before_records_that_depend_on_them() {
    let drill = Drill::one();
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("events.jsonl");
    let mut writer = Writer::create(&path).expect("new");
    let blocks = || std::fs::read_to_string(&path).expect("text").matches("\"event\":\"bins\"").count();
    let bin = |second: i64| crate::testing::bin("buy", second, 100, 0);
    let start = drill.records().remove(0);
    writer.append(0, start.event).expect("appends");
    writer.measured(S, "canary", S, &bin(1)).expect("waits");
    writer.append(2 * S, Event::Note { text: "waits for nobody".to_owned() }).expect("appends");
    assert_eq!(blocks(), 0);
    writer.measured(7 * S, "canary", 2 * S, &bin(2)).expect("writes");
    assert_eq!(blocks(), 1, "five seconds are over");
    let clock = Event::Clock {
        host: "canary".to_owned(),
        boot_at_zero_us: 0,
        uncertainty_us: 9,
        boot_id: "boot".to_owned(),
    };
    writer.append(8 * S, clock).expect("appends");
    assert_eq!(blocks(), 2, "the clock does not count for what came before");
    let log = read(&path).expect("reads");
    assert_eq!((log.uncertainty_us("canary", 1), log.uncertainty_us("canary", 2)), (None, Some(9)));
    writer.measured(9 * S, "canary", 3 * S, &bin(3)).expect("waits");
    // The agent was restarted and counts from 1 again.
    writer.measured(9 * S, "canary", 4 * S, &bin(0)).expect("writes");
    assert_eq!(blocks(), 3);
    drop(writer);
    assert_eq!(blocks(), 4, "a writer that ends in order writes the rest");
    let counts: Vec<usize> =
        (0..4).map(|chunk| read(&path).expect("reads").measured(chunk).expect("whole").len()).collect();
    assert_eq!(counts, [1, 1, 1, 1]);
}

#[test]
fn bins_that_could_not_be_written_are_written_later() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("events.jsonl");
    let mut writer = Writer::create(&path).expect("new");
    writer.append(0, Drill::one().records().remove(0).event).expect("appends");
    writer.measured(S, "canary", S, &crate::testing::bin("buy", 1, 100, 0)).expect("waits");
    let file = writer.swap_file(std::fs::File::open(&path).expect("read only"));
    assert!(writer.flush(2 * S).is_err());
    assert!(writer.append(2 * S, Event::RunEnded { outcome: RunOutcome::Completed }).is_err());
    writer.swap_file(file);
    writer.flush(3 * S).expect("writes");
    let log = read(&path).expect("reads");
    assert!(log.missing.is_empty() && log.chunks.len() == 1, "{log:?}");
}

#[test]
fn a_record_in_a_later_format_is_not_read_as_one_of_this_version() {
    let (_folder, path) = written(&Drill::one().records());
    let text = std::fs::read_to_string(&path).expect("text");
    let place = text.find("\"event\":\"bins\"").expect("there");
    let line = text[..place].rfind('\n').expect("a line before") + 1;
    let newer = format!("{}{}", &text[..line], text[line..].replacen("{\"v\":1,", "{\"v\":2,\"how\":1,", 1));
    std::fs::write(&path, newer.replacen("\"data\":", "\"other\":", 1)).expect("writes");
    let log = read(&path).expect("reads");
    assert!(log.warnings[0].contains("`bins`, format 2"), "{:?}", log.warnings);
    assert_eq!(score::judge(&log).verdict, Verdict::Unknown);
}

#[test]
fn the_decoder_of_the_docs_reads_what_is_written() {
    let docs = include_str!("../../../../docs/log.md");
    let (_, program) = docs.split_once("```python\n").expect("a decoder");
    let (program, _) = program.split_once("```").expect("its end");
    let records = mixed().records();
    let (_folder, path) = written(&records);
    let run = std::process::Command::new("python3").arg("-c").arg(program).arg(&path).output();
    let Ok(output) = run else { return println!("skipped: there is no python3") };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut said: Vec<String> =
        text.lines().map(|line| line.rsplit_once(' ').expect("words").0.to_owned()).collect();
    let mut wanted: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Bin { vantage, start_us, bin } => Some(format!(
                "{vantage} {} {start_us} {} {} {} {}",
                bin.probe,
                bin.due,
                bin.good,
                bin.bad_total(),
                bin.slipped
            )),
            _ => None,
        })
        .collect();
    said.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(said, wanted);
    // Latencies are some ten to twenty milliseconds, rounded up.
    let median =
        text.lines().next().and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).expect("a number");
    assert!((15.0..17.0).contains(&median), "{median}");
}

#[test]
fn texts_of_a_log_have_no_line_breaks() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(0..HOLD, 90)];
    drill.bins = Box::new(|_, _, mut bin| {
        if let Some(count) = bin.bad.remove("timeout") {
            bin.bad.insert("time\u{1b}[2J\r\nheld".to_owned(), count);
        }
        Some(bin)
    });
    let (_folder, path) = written(&drill.records());
    let text = std::fs::read_to_string(&path).expect("text");
    let evil = text
        .replace("\"stop checkout\"", r#""stop\r\ncheckout\u000aheld""#)
        .replace("\"operator\":\"alice\"", r#""operator":"alice\n\theld""#);
    assert_ne!(text, evil);
    std::fs::write(&path, evil).expect("writes");
    let card = judged(&path);
    assert_eq!(card.attacks[0].name, "stop  checkout held");
    let shown = serde_json::to_string(&card).expect("prints");
    assert!(shown.contains("time␛[2J  held") && !shown.contains('\\'), "{shown}");
    // Texts that are compared byte by byte are not cleaned.
    let kind = r#"{"http":{"contains":"a\nb","headers":{"x":"a\nb"},"url":"a\nb"},"contains":"a\nb"}"#;
    let line = format!(r#"{{"plan":{{"probes":[{{"name":"a\nb","kind":{kind}}}]}},"kind":{kind}}}"#);
    let kept = from_line::<Value>(line.as_bytes()).expect("reads");
    let http = serde_json::json!({"contains": "a\nb", "headers": {"x": "a\nb"}, "url": "a b"});
    assert_eq!(
        kept["plan"]["probes"][0],
        serde_json::json!({"name": "a b", "kind": {"http": http, "contains": "a b"}})
    );
    // The same keys elsewhere are texts for people.
    let http = serde_json::json!({"contains": "a b", "headers": {"x": "a b"}, "url": "a b"});
    assert_eq!(kept["kind"], serde_json::json!({"http": http, "contains": "a b"}));
    // Counts of causes that become equal are added.
    let bad = from_line::<Value>(br#"{"bad":{"time out":2,"time\nout":3,"time\tout":4}}"#).expect("reads");
    assert_eq!(bad["bad"], serde_json::json!({"time out": 9}));
}

/// People approve what they read in a log, and the run compares that with its own plan.
#[test]
fn a_plan_is_read_as_it_was_written() {
    let mut records = Drill::one().records();
    let Event::RunStarted { plan, .. } = &mut records[0].event else { panic!("the first record") };
    let ProbeKind::Http(http) = &mut plan.probes[0].kind else { panic!("made as http") };
    http.contains = Some("a\nb\tc".to_owned());
    http.headers.insert("accept".to_owned(), "a\tb".to_owned());
    let plan = plan.clone();
    let (_folder, path) = written(&records);
    let Event::RunStarted { plan: read, .. } = read(&path).expect("reads").records[0].event.clone() else {
        panic!("the first record")
    };
    assert_eq!(read, plan);
    assert_eq!(read.agreement(), plan.agreement());
}
