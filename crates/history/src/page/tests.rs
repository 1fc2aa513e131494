//! Tests of the page over all runs: its content, its links and its size.

use std::fs;

use super::*;
use crate::{
    testing::{Sample, sample},
    trend::tests::entry,
};

#[test]
fn the_page_shows_scenarios_runs_and_open_findings() {
    let reports = tempfile::tempdir().unwrap();
    let here = reports.path();
    for (day, bad) in [(6, 0), (13, 40)] {
        let run = format!("202611{day:02}-1402-friday-7f3a");
        let wall = format!("2026-11-{day:02}T14:02:11Z");
        sample(&here.join(&run), &Sample { run: run.clone(), wall, bad, ..Sample::default() });
    }
    fs::write(here.join("20261106-1402-friday-7f3a/report.html"), "page").unwrap();
    fs::create_dir(here.join("a<b>")).unwrap();
    let mut history = History::open(here, |_| {}).unwrap();
    let findings = history.findings().unwrap().all;
    let path = history.write_page(&findings).unwrap();
    let page = fs::read_to_string(&path).unwrap();
    for part in [
        "Of 1 scenario the newest run ended: 1 violated. There is 1 open finding.",
        "stop checkout: users",
        "href=\"20261106-1402-friday-7f3a&#x2f;report.html\"",
        "held in 1 of 2 that could tell",
        "a&lt;b&gt;",
        "<svg class=\"chart\"",
        "badge violated big",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    assert!(!page.contains("href=\"20261113"), "that run has no page");
    for outside in ["http://", "https://", "src=", "url(", "@import", "<script", "a<b>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    fs::write(&path, "<html>mine</html>").unwrap();
    let refused = history.write_page(&[]).unwrap_err().to_string();
    assert!(refused.contains("did not write"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "<html>mine</html>");
}

/// The page is about as many runs as a team makes in years, with very long texts.
#[test]
fn the_page_stays_below_two_mebibytes() {
    let reports = tempfile::tempdir().unwrap();
    let long = |number: i64| format!("{number} {}", "<&\">".repeat(48));
    let mut entries = Vec::new();
    for number in 0..10_000 {
        let mut entry = entry(
            number,
            "a",
            match number % 3 {
                0 => Verdict::Held,
                1 => Verdict::Violated,
                _ => Verdict::Unknown,
            },
        );
        entry.scenario = Some(long(number % 400));
        entry.run = Some(long(number));
        entry.score = Some(90);
        entry.violated = (0..40).map(long).collect();
        entries.push(entry);
    }
    let view = View::of(reports.path(), &entries, &[]);
    assert_eq!((view.scenarios.len(), view.others.len()), (SCENARIOS, OTHERS));
    assert!(view.fewer_others.starts_with("300 of 370 scenarios"), "{}", view.fewer_others);
    let page = render(&view).unwrap();
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
}

#[test]
fn any_name_is_one_part_of_an_address() {
    assert_eq!(address("20261120-1402-friday-7f3a"), "20261120-1402-friday-7f3a");
    assert_eq!(address("a b/ü?#"), "a%20b%2F%C3%BC%3F%23");
}
