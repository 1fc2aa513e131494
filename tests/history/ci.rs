//! Tests of `gate` in CI systems: annotations, summaries and files.

use std::{fs, path::Path};

use super::{BAD, GOOD, command, runs};

/// Runs `gate` as in a CI system, with these variables.
fn in_ci(folder: &Path, variables: &[(&str, &str)], words: &[&str]) -> String {
    let output = command(folder).arg("gate").args(words).envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    format!("{text}exit code {}\n", output.status.code().unwrap())
}

#[test]
fn github_gets_annotations_at_the_scenario_and_a_summary() {
    let folder = runs();
    let here = folder.path();
    fs::create_dir(here.join("scenarios")).unwrap();
    let scenario = "schema = 1\n\n[[attack]]\nname = \"stop checkout\"\n";
    fs::write(here.join("scenarios/friday.toml"), scenario).unwrap();
    fs::write(here.join("summary.md"), "before\n").unwrap();
    let root = here.to_str().unwrap();
    let github =
        [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "summary.md"), ("GITHUB_WORKSPACE", root)];
    let text = in_ci(here, &github, &[BAD]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(
            "::error file=scenarios/friday.toml,line=4,title=friday%3A violated::stop checkout, users: "
        ),
        "{text}"
    );
    // The text for people is between commands that switch commands off and on.
    let word = lines.iter().find_map(|line| line.strip_prefix("::stop-commands::")).unwrap();
    assert!(text.contains(&format!("\n::{word}::\n")), "{text}");
    assert!(text.contains("fails, exit code 1\n") && text.ends_with("exit code 1\n"), "{text}");
    let summary = fs::read_to_string(here.join("summary.md")).unwrap();
    assert!(summary.starts_with("before\n## ❌ fails: friday"), "{summary}");
    in_ci(here, &github, &[GOOD, "--baseline", GOOD]);
    let summary = fs::read_to_string(here.join("summary.md")).unwrap();
    assert!(summary.contains("✅ passes: friday") && summary.contains("no difference shown"), "{summary}");
    // If a format is named, there is no other.
    assert!(
        serde_json::from_str::<serde_json::Value>(
            in_ci(here, &github, &[BAD, "--json"]).trim_end_matches("exit code 1\n")
        )
        .is_ok()
    );
    assert!(in_ci(here, &github, &[BAD, "--format", "text"]).starts_with("violated: "));
    // A summary that cannot be written does not hide the verdict.
    let lost = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "no/such/file")];
    let text = in_ci(here, &lost, &[BAD]);
    assert!(
        text.contains("cannot write the summary no/such/file") && text.ends_with("exit code 1\n"),
        "{text}"
    );
    assert!(in_ci(here, &lost, &[GOOD]).ends_with("exit code 2\n"));
}

#[test]
fn gitlab_gets_files_and_any_format_can_be_asked_for() {
    let folder = runs();
    let here = folder.path();
    let text = in_ci(here, &[("GITLAB_CI", "true")], &[BAD]);
    assert!(
        text.starts_with("violated: stop checkout, users: ") && text.ends_with("exit code 1\n"),
        "{text}"
    );
    let read = |name: &str| fs::read_to_string(here.join(name)).unwrap();
    let issues: serde_json::Value = serde_json::from_str(&read("gl-code-quality-report.json")).unwrap();
    assert_eq!(
        (&issues[0]["severity"], &issues[0]["location"]["path"]),
        (&"critical".into(), &"friday".into())
    );
    assert!(read("firedrill-gate.xml").contains("<failure message=\"violated: stop checkout, users: "));
    let two = ["--format", "junit", "--format", "gitlab"];
    assert!(
        in_ci(here, &[], &[&[BAD], &two[..]].concat()).contains("only one format can go to standard output")
    );
    let files = ["--format", "junit=a.xml", "--format", "gitlab=b.json", "--format", "json"];
    let text = in_ci(here, &[], &[&[GOOD], &files[..]].concat());
    assert!(text.contains("\"passes\": true"), "{text}");
    assert_eq!(read("b.json"), "[]\n");
    assert!(read("a.xml").contains("failures=\"0\""));
    // A runner reads annotations from standard output, so the file has only the summary.
    let text = in_ci(here, &[], &[BAD, "--format", "github=c.md"]);
    assert!(text.starts_with("::error ") && text.contains("\n::stop-commands::"), "{text}");
    assert!(read("c.md").starts_with("## ❌ fails: friday") && !read("c.md").contains("::error"));
    let both = in_ci(here, &[], &[GOOD, "--format", "json", "--format", "github=d.md"]);
    assert!(
        both.contains("only one format can go to standard output") && both.ends_with("exit code 2\n"),
        "{both}"
    );
    assert!(!here.join("d.md").exists());
}
