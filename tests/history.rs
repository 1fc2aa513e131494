//! The output and the exit codes of `history`, `trend`, `compare`, `gate`, `findings` and `note`, for folders of made-up runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "history/ci.rs"]
mod ci;

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output},
    time::{Duration, UNIX_EPOCH},
};

use firedrill_judge::testing::{Drill, RUN};

/// Makes a folder with three runs of one plan, of which the last violates its objective, and a run's folder without a log.
fn runs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (day, bad) in [(6, 0), (13, 1), (20, 40)] {
        run(folder.path(), day, bad, "OPS-7");
    }
    let damaged = folder.path().join("reports/20261114-0900-friday-dead");
    fs::create_dir(&damaged).unwrap();
    // 2026-11-14T09:00:00Z.
    File::open(&damaged).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1_794_646_800)).unwrap();
    folder
}

/// Writes the run of a day in November 2026. `bad` of a hundred requests fail in each second of its fault.
fn run(folder: &Path, day: u32, bad: u64, ticket: &str) {
    let id = of_day(day);
    Drill::users(bad).write(&folder.join("reports").join(&id), &id, |plan, wall| {
        *wall = format!("2026-11-{day:02}T14:02:11Z");
        plan.seed = u64::from(day);
        plan.meta.insert("ticket".to_owned(), ticket.to_owned());
    });
}

/// Returns a command without the environment of a CI system, in which these tests may run.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    for name in ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "GITLAB_CI", "CI_PROJECT_DIR"] {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

/// Runs the program in a folder.
fn firedrill(folder: &Path, words: &[&str]) -> Output {
    command(folder).args(words).output().unwrap()
}

/// Returns all output of a command, and its exit code.
fn said(folder: &Path, words: &[&str]) -> String {
    let output = firedrill(folder, words);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}exit code {}\n", text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

/// Returns the JSON that a command prints.
fn json(folder: &Path, words: &[&str]) -> serde_json::Value {
    serde_json::from_slice(&firedrill(folder, words).stdout).unwrap()
}

/// The run of [`runs`] in which no request failed.
const GOOD: &str = "20261106-1402-friday-7f3a";
/// The run of [`runs`] in which few requests failed.
const FAIR: &str = "20261113-1402-friday-7f3a";
/// The run of [`runs`] that violates its objective: that of the 20th, whose id the helpers of tests have, too.
const BAD: &str = RUN;

#[test]
fn the_history_is_a_table_and_names_damaged_folders() {
    let folder = runs();
    insta::assert_snapshot!("history", said(folder.path(), &["history"]));
    insta::assert_snapshot!("history_flaky", said(folder.path(), &["history", "--flaky"]));
    let violated = json(folder.path(), &["history", "--verdict", "violated", "--json"]);
    assert_eq!(violated["runs"][0]["folder"], BAD);
    assert_eq!(violated["runs"].as_array().unwrap().len(), 1);
    assert_eq!(violated["damaged"][0]["folder"], "20261114-0900-friday-dead");
    assert_eq!(violated["folders"], 4);
    let newest = json(folder.path(), &["history", "--since", "2026-11-13", "--limit", "1", "--json"]);
    assert_eq!(newest["runs"][0]["run"], BAD);
    let none = said(folder.path(), &["history", "--scenario", "monday"]);
    assert!(none.contains("none of the 4 runs"), "{none}");
    let nowhere = said(folder.path(), &["history", "--reports", "nowhere"]);
    assert!(
        nowhere.contains("cannot list the runs in nowhere") && nowhere.ends_with("exit code 2\n"),
        "{nowhere}"
    );
}

#[test]
fn a_trend_has_a_column_for_each_run() {
    let folder = runs();
    run(folder.path(), 25, 0, "OPS-8");
    insta::assert_snapshot!("trend", said(folder.path(), &["trend", "friday"]));
    let trend = json(folder.path(), &["trend", "friday", "--json"]);
    assert_eq!(trend["runs"].as_array().unwrap().len(), 4);
    assert_eq!(trend["summary"]["flaky"]["differing"], 1);
    let other = said(folder.path(), &["trend", "monday"]);
    assert!(other.contains("there are runs of friday") && other.ends_with("exit code 2\n"), "{other}");
}

#[test]
fn two_runs_are_compared() {
    let folder = runs();
    insta::assert_snapshot!("compare", said(folder.path(), &["compare", GOOD, BAD]));
    let same = json(folder.path(), &["compare", GOOD, GOOD, "--json"]);
    assert_eq!(same["comparison"]["plans"], "same");
    assert_eq!(same["comparison"]["rows"][0]["change"], "same");
}

#[test]
fn a_gate_fails_with_a_line_for_each_reason() {
    let folder = runs();
    let here = folder.path();
    insta::assert_snapshot!("gate_violated", said(here, &["gate", BAD, "--baseline", GOOD]));
    insta::assert_snapshot!("gate_worse", said(here, &["gate", FAIR, "--baseline", GOOD]));
    assert_eq!(said(here, &["gate", GOOD]), "passes\nexit code 0\n");
    let decided = json(here, &["gate", FAIR, "--baseline", GOOD, "--json"]);
    assert_eq!((&decided["passes"], &decided["exit"]), (&false.into(), &1.into()));
    assert_eq!(decided["reasons"][0]["kind"], "worse");
}

/// Returns the id of the run of a day.
fn of_day(day: u32) -> String {
    format!("202611{day:02}-1402-friday-7f3a")
}

#[test]
fn five_baseline_runs_show_the_usual_values() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // The ids are those of days other than the 20th, which is that of `RUN`.
    for (day, bad) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 3)] {
        run(here, day, bad, "OPS-7");
    }
    let ids: Vec<String> = (1..=7).map(of_day).collect();
    let gate = |run: &str, days: &[u32]| {
        let mut words = vec!["gate".to_owned(), run.to_owned()];
        words.extend(days.iter().flat_map(|day| ["--baseline".to_owned(), of_day(*day)]));
        said(here, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(gate(&ids[5], &[1, 2, 3, 4, 5]), "passes\nexit code 0\n");
    let worse = gate(&ids[6], &[5, 3, 1, 2, 4]);
    assert!(
        worse.contains("worse: stop checkout, users: ") && worse.contains("usual is 99.5 % ("),
        "{worse}"
    );
    assert!(worse.ends_with("exit code 1\n"), "{worse}");
    let few = gate(&ids[6], &[1, 2]);
    assert!(few.contains("note: 5 baseline runs show what is usual; of these 2, worse is"), "{few}");
    assert!(few.contains("in the newest baseline run") && few.ends_with("exit code 1\n"), "{few}");
    let own = gate(&ids[5], &[1, 6]);
    assert!(own.contains("note: the baseline has this same run, too; it is left out"), "{own}");

    // The file grows by one run at a time, and keeps the newest ones.
    said(here, &["gate", &ids[0], "--write", "main.json"]);
    for id in &ids[1..6] {
        said(here, &["gate", id, "--baseline", "main.json", "--write", "main.json", "--runs", "5"]);
    }
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(here.join("main.json")).unwrap()).unwrap();
    let runs: Vec<&str> =
        kept["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!((&kept["baseline"], runs), (&2.into(), ids[1..6].iter().map(String::as_str).collect()));
    let by_file = json(here, &["gate", &ids[6], "--baseline", "main.json", "--json"]);
    assert_eq!((&by_file["exit"], by_file["baselines"].as_array().unwrap().len()), (&1.into(), 5));
    assert_eq!(by_file["comparison"]["rows"][0]["usual"]["runs"], 5);
    let wide = said(here, &["gate", &ids[6], "--baseline", "main.json", "--margin", "400%"]);
    assert!(wide.contains("is not a share"), "{wide}");

    let mut words = vec!["compare"];
    words.extend(ids.iter().map(String::as_str));
    insta::assert_snapshot!("compare_usual", said(here, &words));
    let several = said(here, &["compare", &ids[0], "main.json"]);
    assert!(
        several.contains("main.json has several runs, and the later side must be a single run"),
        "{several}"
    );
}

#[test]
fn a_baseline_is_kept_as_a_file_if_the_run_passes() {
    let folder = runs();
    let here = folder.path();
    assert!(said(here, &["gate", BAD, "--write", "main.json"]).contains("was not written"));
    assert!(!here.join("main.json").exists());
    assert_eq!(said(here, &["gate", GOOD, "--write", "main.json"]), "passes\nexit code 0\n");
    let by_file = said(here, &["gate", FAIR, "--baseline", "main.json"]);
    assert_eq!(by_file, said(here, &["gate", FAIR, "--baseline", GOOD]));
    firedrill(here, &["report", GOOD]);
    let report = format!("reports/{GOOD}/report.json");
    assert_eq!(said(here, &["gate", FAIR, "--baseline", &report]), by_file, "a report is a baseline, too");
    let other = said(here, &["gate", GOOD, "--write", "some.json", "--objective", "speed"]);
    assert!(other.contains("no objective of the run is named `speed`; there are users"), "{other}");
    firedrill(here, &["gate", GOOD, "--write", "some.json", "--objective", "users"]);
    assert_eq!(
        fs::read_to_string(here.join("some.json")).unwrap(),
        fs::read_to_string(here.join("main.json")).unwrap()
    );
    let printed = format!("reports/{FAIR}/report.json");
    firedrill(here, &["report", FAIR]);
    assert_eq!(
        said(here, &["gate", &printed, "--baseline", GOOD]),
        said(here, &["gate", FAIR, "--baseline", GOOD])
    );
    let no_run = said(here, &["gate", "main.json"]);
    assert!(
        no_run.contains("main.json is a baseline, not a run") && no_run.ends_with("exit code 2\n"),
        "{no_run}"
    );
    fs::write(here.join("other.json"), "{}").unwrap();
    let bad = said(here, &["gate", FAIR, "--baseline", "other.json"]);
    assert!(bad.contains("other.json is no baseline") && bad.ends_with("exit code 2\n"), "{bad}");
    let gone = said(here, &["gate", FAIR, "--baseline", "gone.json"]);
    assert!(gone.contains("cannot read gone.json") && gone.ends_with("exit code 2\n"), "{gone}");
}

#[test]
fn a_run_without_its_end_is_unknown_and_passes_only_if_that_is_allowed() {
    let folder = runs();
    let log = folder.path().join("reports").join(GOOD).join("events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap();
    fs::write(&log, &text[..=cut]).unwrap();
    let strict = said(folder.path(), &["gate", GOOD]);
    assert!(
        strict.contains("unknown: ") && strict.ends_with("fails, exit code 3\nexit code 3\n"),
        "{strict}"
    );
    let allowed = said(folder.path(), &["gate", GOOD, "--allow-unknown"]);
    assert!(
        allowed.contains("unknown (allowed): ") && allowed.ends_with("passes\nexit code 0\n"),
        "{allowed}"
    );
}

#[test]
fn a_finding_is_opened_assigned_shown_and_closed() {
    let folder = runs();
    let here = folder.path();
    insta::assert_snapshot!("findings", said(here, &["findings"]));
    let listed = json(here, &["findings", "--json"]);
    // The beginning of an id is enough for `set`.
    let id = listed["findings"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(json(here, &["history", "--json"])["open_findings"][0], id.as_str());
    let set = [
        "findings",
        "set",
        &id[..6],
        "--owner",
        "payments",
        "--ticket",
        "OPS-7",
        "--note",
        "a pool\ntoo small",
    ];
    insta::assert_snapshot!("findings_set", said(here, &set));
    insta::assert_snapshot!("findings_owned", said(here, &["findings", "--owner", "payments"]));
    assert!(
        said(here, &["findings", "--owner", ""])
            .contains("none of the 1 findings in reports matches; 1 are open")
    );
    let unknown = said(here, &["findings", "set", "f-none", "--owner", "x"]);
    assert!(unknown.contains("`f-none`") && unknown.ends_with("exit code 2\n"), "{unknown}");
    // The reports of the run and the page about all runs show the finding.
    firedrill(here, &["report", BAD]);
    let read = |name: &str| fs::read_to_string(here.join("reports").join(name)).unwrap();
    for file in ["report.html", "report.md", "report.json"] {
        let text = read(&format!("{BAD}/{file}"));
        assert!(text.contains(&id) && text.contains("payments"), "{file}: {text}");
    }
    let page = read("index.html");
    assert!(
        page.contains(&id) && page.contains("payments") && page.contains(&format!("{BAD}&#x2f;report.html")),
        "{page}"
    );
    firedrill(here, &["report", GOOD]);
    assert!(
        !read(&format!("{GOOD}/report.md")).contains(&id),
        "the report of an earlier run has the finding"
    );
    // In a run of another plan of the same scenario the objective holds.
    run(here, 25, 0, "OPS-8");
    let closed = said(here, &["findings", "--all"]);
    assert!(closed.contains("closed 2026-11-25") && closed.contains("0 open of 1"), "{closed}");
    assert!(said(here, &["history"]).ends_with("why\nexit code 0\n"), "a closed finding is still mentioned");
    assert!(read("findings.toml").contains("ticket = \"OPS-7\""));
}

#[test]
fn the_page_about_all_runs_is_written_only_into_a_directory_of_reports() {
    let folder = runs();
    let here = folder.path();
    let index = said(here, &["report", "--index"]);
    assert_eq!(index, "reports/index.html\nexit code 0\n");
    assert!(fs::read_to_string(here.join("reports/index.html")).unwrap().contains("1 open finding"));
    let both = said(here, &["report", GOOD, "--index"]);
    assert!(both.ends_with("exit code 2\n"), "{both}");
    // A run's folder was copied to another place.
    let desk = here.join("desk");
    fs::create_dir_all(desk.join(GOOD)).unwrap();
    fs::copy(here.join("reports").join(GOOD).join("events.jsonl"), desk.join(GOOD).join("events.jsonl"))
        .unwrap();
    firedrill(here, &["report", &format!("desk/{GOOD}")]);
    let mut left: Vec<_> = fs::read_dir(&desk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [GOOD]);
    // Unreadable findings are a warning for the other commands.
    fs::write(here.join("reports/findings.toml"), "schema = one\n").unwrap();
    let history = said(here, &["history"]);
    assert!(
        history.contains("warning: cannot use the findings") && history.ends_with("exit code 0\n"),
        "{history}"
    );
    assert!(said(here, &["findings"]).contains("line 1, column 10"));
}

#[test]
fn a_note_is_written_and_shown_also_in_reports() {
    let folder = runs();
    let here = folder.path();
    let wrote = said(here, &["note", BAD, "--by", "alice", "the pager rang\n at the second phone"]);
    assert!(wrote.contains("Z alice: the pager rang at the second phone\nexit code 0\n"), "{wrote}");
    let shown = said(here, &["note", BAD]);
    assert!(shown.contains("alice") && shown.contains("the pager rang at the second phone"), "{shown}");
    let notes = json(here, &["note", BAD, "--json"]);
    assert_eq!(notes["notes"][0]["by"], "alice");
    assert!(said(here, &["note", GOOD]).contains("nobody has written a note about reports/"));
    firedrill(here, &["report", BAD]);
    for file in ["report.html", "report.md", "report.json"] {
        let text = fs::read_to_string(here.join("reports").join(BAD).join(file)).unwrap();
        assert!(text.contains("the pager rang at the second phone"), "{file}");
    }
    for (words, wanted) in [
        (&["note", BAD, "--by", "alice", "  "][..], "the note is empty"),
        (&["note", BAD, "--by", " ", "x"], "nobody is named as the one who does this"),
        (&["note", BAD, "--by", "alice", &"x".repeat(2_001)], "longer than 2000 characters"),
        (&["note", "reports/none", "x"], "no run's log was found"),
    ] {
        let refused = said(here, words);
        assert!(refused.contains(wanted) && refused.ends_with("exit code 2\n"), "{refused}");
    }
    assert_eq!(
        json(here, &["note", BAD, "--json"])["notes"].as_array().unwrap().len(),
        1,
        "a refused note was written"
    );
}
