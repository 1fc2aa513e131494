//! Runs that people let pause before the next attack, go on, and skip an attack.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    bench::{Bench, assert_ends, end, labs, on_a_terminal, plain_scenario, scenario, wait},
    output::said,
    runs::run_folders,
};

/// Sends a wish to a run, as ann.
pub(crate) fn tell(bench: &Bench, wish: &[&str], run: &Path) -> Output {
    let run = run.file_name().unwrap().to_str().unwrap();
    bench.firedrill(&[wish, &[run, "--by", "ann"]].concat()).output().unwrap()
}

/// Waits until the log of a run has a text, and returns the log.
pub(crate) fn until(bench: &Bench, run: &Path, text: &str) -> String {
    until_so(bench, run, text, |log| log.contains(text))
}

/// Waits until the complete lines of a run's log fulfil a condition, and returns them. `wanted` names the condition.
fn until_so(bench: &Bench, run: &Path, wanted: &str, is_so: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let mut log = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        log.truncate(log.rfind('\n').map_or(0, |last| last + 1));
        if is_so(&log) {
            return log;
        }
        assert!(Instant::now() < end, "no {wanted}: {log}: {}", bench.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a name for each record of a log: its phase or else its event, and the number of its attack if it has one.
pub(crate) fn records(log: &str) -> Vec<String> {
    let record = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let (event, phase) = (record["event"].as_str().unwrap(), record["phase"].as_str());
        match (phase, record["attack"].as_u64()) {
            (Some(phase), Some(attack)) => format!("{phase} {attack}"),
            (None, Some(attack)) => format!("{event} {attack}"),
            _ => event.to_owned(),
        }
    };
    log.lines().map(record).collect()
}

#[test]
fn a_run_pauses_skips_and_goes_on() {
    if !labs() {
        return;
    }
    let bench = Bench::up("between");
    // The first fault holds for long enough to ask for the pause, also on a busy machine.
    let text = scenario(3, "2s", "[ci]\nretry_unknown = 2\n", "");
    let first = "name = \"stop 1\"\n";
    let (mut child, run) =
        bench.until_in_force(&text.replacen(first, &format!("{first}hold = \"15s\"\n"), 1));
    assert_ends(
        &tell(&bench, &["pause", "--for", "5h"], &run),
        4,
        "all pauses of a run 1h at most; 1h is left",
    );
    let pauses = "it pauses before attack 2, \"stop 2\", for at most 10m";
    assert_ends(&tell(&bench, &["pause", "--for", "10m"], &run), 0, pauses);
    let log = until(&bench, &run, "\"event\":\"paused\"");
    // The fault that was in force ended by itself, and its recovery was measured.
    assert!(log.contains("\"reason\":\"hold-over\"") && !log.contains("\"phase\":\"settle\""), "{log}");
    assert!(records(&log).contains(&"recovery 0".to_owned()), "{log}");
    bench.assert_quiet();
    let watched = bench.stderr();
    assert!(watched.contains("paused by ann until 20") && watched.contains("before stop 2"), "{watched}");
    assert_ends(&tell(&bench, &["skip", "--attack", "3"], &run), 4, "attack 2, \"stop 2\" is next");
    assert_ends(&tell(&bench, &["skip", "--attack", "2"], &run), 0, "it skips attack 2, \"stop 2\"");
    until(&bench, &run, "skipped by ann");
    until(&bench, &run, "\"event\":\"paused\",\"attack\":2");
    assert!(child.try_wait().unwrap().is_none(), "the run goes on by itself");
    assert_ends(&tell(&bench, &["resume"], &run), 0, "it goes on with attack 3, \"stop 3\"");
    assert_eq!(wait(&mut child).code(), Some(3), "{}", bench.stderr());
    assert_eq!(run_folders(&bench.reports()).len(), 1, "it is not tried again: a person skipped an attack");
    let log = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let all = records(&log);
    let place = |name: &str| {
        all.iter().position(|record| record == name).unwrap_or_else(|| panic!("no {name}: {all:?}"))
    };
    let armed: Vec<&String> = all.iter().filter(|record| record.starts_with("armed")).collect();
    assert_eq!(armed, ["armed 0", "armed 2"]);
    let meanwhile = &all[place("paused 1")..place("resumed 2")];
    assert!(
        !meanwhile.iter().any(|record| record.starts_with("armed") || record.starts_with("baseline")),
        "{meanwhile:?}"
    );
    assert!(place("resumed 2") < place("baseline 2"), "its baseline is from after the pause: {all:?}");
    let card = bench.card();
    assert_eq!(card["attacks"][1]["course"], serde_json::json!({ "not-run": "skipped by ann" }));
    assert_eq!(card["attacks"][1]["verdict"], serde_json::Value::Null);
    assert_eq!(card["attacks"][2]["course"], "ran");
    for file in ["report.html", "report.md", "report.json", "junit.xml"] {
        let report = fs::read_to_string(run.join(file)).unwrap();
        assert!(report.contains("skipped by ann"), "{file}");
    }
    let junit = fs::read_to_string(run.join("junit.xml")).unwrap();
    assert!(junit.contains("<skipped"), "{junit}");
    assert!(bench.stderr().contains("stop 2: not run, skipped by ann"), "{}", bench.stderr());
    // The run is over.
    assert_ends(&tell(&bench, &["resume"], &run), 3, "no program of this user runs it on this machine");
    bench.assert_quiet();
}

#[test]
fn a_pause_ends_a_baseline_and_a_halt_ends_a_pause() {
    if !labs() {
        return;
    }
    let bench = Bench::up("interrupted");
    let long = plain_scenario(2, "1s").replace("baseline = \"1s\"", "baseline = \"10m\"");
    let (mut child, run) = bench.until_log(&long, &[], "\"phase\":\"baseline\"");
    // The path of its folder names a run, too.
    let folder = ["pause", run.to_str().unwrap(), "--by", "bob"];
    let paused = bench.firedrill(&folder).output().unwrap();
    assert_ends(&paused, 0, "it pauses before attack 1, \"stop 1\", for at most 30m");
    until(&bench, &run, "\"event\":\"paused\"");
    assert_ends(&tell(&bench, &["resume"], &run), 0, "it goes on with attack 1");
    until(&bench, &run, "\"event\":\"resumed\"");
    let baselines = |log: &str| records(log).iter().filter(|record| *record == "baseline 0").count();
    until_so(&bench, &run, "a baseline after the pause", |log| baselines(log) == 2);
    assert_ends(&tell(&bench, &["pause"], &run), 0, "it pauses before attack 1");
    until_so(&bench, &run, "a second pause", |log| log.matches("\"event\":\"paused\"").count() == 2);
    end(&mut child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    assert!(bench.stderr().contains("stop 1: not run, stopped by Ctrl-C"), "{}", bench.stderr());
    bench.assert_untouched();
    let late = tell(&bench, &["skip"], &run);
    assert_eq!(late.status.code(), Some(3), "{}", said(&late));
}

#[test]
fn a_skip_ends_the_wait_for_approvals() {
    if !labs() {
        return;
    }
    let bench = Bench::up("unapproved");
    bench.file("scenario.toml", &scenario(1, "1s", "", "approve = { people = 2, expires = \"10m\" }"));
    let (mut window, mut child) = on_a_terminal(&mut bench.on(&["run", "scenario.toml"]));
    let mut shown = String::new();
    let mut some = [0; 4096];
    while !shown.contains("needs 2 more within 10m") {
        let read = window.read(&mut some).unwrap_or(0);
        assert!(read > 0, "nobody is asked: {shown}");
        shown += &String::from_utf8_lossy(&some[..read]);
    }
    let run = run_folders(&bench.reports()).remove(0);
    // The pause would begin after the approval. The run waits for the approval as long as the scenario says.
    assert_ends(&tell(&bench, &["pause"], &run), 0, "it pauses before attack 1");
    assert_ends(&tell(&bench, &["skip"], &run), 0, "it skips attack 1, \"stop 1\"");
    // The terminal's other side has to be read, or the run waits for it.
    while window.read(&mut some).unwrap_or(0) > 0 {}
    assert_eq!(wait(&mut child).code(), Some(3));
    let card = bench.card();
    assert_eq!(card["attacks"][0]["course"], serde_json::json!({ "not-run": "skipped by ann" }));
    bench.assert_untouched();
}
