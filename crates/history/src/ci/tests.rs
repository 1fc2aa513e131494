//! Tests of all formats: each reason of the gate is in them, and texts are escaped.

use firedrill_judge::verdict::{Exit, Verdict};

use super::*;
use crate::{
    baseline::Results,
    compare::tests::results,
    gate::gate,
    testing::{UNKNOWN_ALLOWED, UNKNOWN_FAILS},
};

/// Returns a run with one violated objective, whose reason has characters that the formats have to escape, and with a doubt about the run.
fn bad() -> Results {
    let mut run = results(40);
    run.attacks[0].objectives[0].why = "80 % of <users>\n::error::no".to_owned();
    run.why = vec!["the coordinator was blind for 11 s".to_owned()];
    run
}

fn place(attack: Option<&str>) -> Option<Place> {
    attack.map(|_| Place { file: "scenarios/friday.toml".to_owned(), line: 7 })
}

#[test]
fn each_reason_is_an_annotation_at_its_attack() {
    let run = bad();
    let (_, decided) = gate(&run, None, UNKNOWN_FAILS);
    let text = annotations(&run, &decided, &place);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), decided.reasons.len(), "{text}");
    assert_eq!(
        lines[0],
        "::error file=scenarios/friday.toml,line=7,title=friday%3A violated::stop checkout, users: 80 %25 of <users> ::error::no"
    );
    assert!(lines.iter().any(|line| line.contains("title=friday%3A unknown::the coordinator")), "{text}");
    assert!(lines.iter().all(|line| line.starts_with("::error ")), "{text}");
    let summary = summary(&run, &decided);
    assert!(summary.contains("❌ fails: friday") && summary.contains("80 % of \\<users\\>"), "{summary}");
}

#[test]
fn many_reasons_are_few_annotations_and_all_in_the_summary() {
    let mut run = bad();
    let objective = run.attacks[0].objectives[0].clone();
    run.attacks[0].objectives.extend(
        (0..30).map(|number| crate::ObjectiveResult { name: format!("more{number}"), ..objective.clone() }),
    );
    let (_, decided) = gate(&run, None, UNKNOWN_FAILS);
    let text = annotations(&run, &decided, &place);
    assert_eq!(text.lines().count(), 10);
    assert!(text.lines().last().is_some_and(|line| line.contains("more: see the job's summary")), "{text}");
    assert!(summary(&run, &decided).contains("more29"));
}

#[test]
fn a_passing_run_is_a_notice_and_an_allowed_reason_a_warning() {
    let mut run = results(0);
    (run.verdict, run.exit) = (Verdict::Unknown, 3);
    run.attacks[0].verdict = Some(Verdict::Unknown);
    run.attacks[0].objectives[0].verdict = Verdict::Unknown;
    let (exit, decided) = gate(&run, None, UNKNOWN_ALLOWED);
    assert_eq!(exit, Exit::Held);
    let text = annotations(&run, &decided, &place);
    assert!(
        text.starts_with("::warning ") && text.contains("\n::notice title=friday%3A passes::unknown"),
        "{text}"
    );
    let issues = code_quality(&run, &decided, &place);
    assert_eq!(issues[0]["severity"], "info");
    assert!(junit(&run, &decided).contains("<skipped message=\"unknown: "));
}

#[test]
fn issues_have_fingerprints_that_figures_do_not_change() {
    let fingerprints = |run: &Results| {
        let issues = code_quality(run, &gate(run, None, UNKNOWN_FAILS).1, &place);
        let issues = issues.as_array().unwrap().clone();
        issues.iter().map(|issue| issue["fingerprint"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let run = bad();
    let first = fingerprints(&run);
    let mut other = run.clone();
    other.attacks[0].objectives[0].why = "70 %".to_owned();
    assert_eq!(fingerprints(&other), first);
    other.why = vec!["one".to_owned(), "two".to_owned()];
    let several = fingerprints(&other);
    assert_eq!(several.iter().collect::<std::collections::BTreeSet<_>>().len(), several.len(), "{several:?}");
    let issues = code_quality(&run, &gate(&run, None, UNKNOWN_FAILS).1, &place);
    assert_eq!(issues[0]["location"]["path"], "scenarios/friday.toml");
    assert_eq!(
        (&issues[0]["severity"], &issues[0]["check_name"]),
        (&"critical".into(), &"firedrill-violated".into())
    );
    let bare = code_quality(&run, &gate(&run, None, UNKNOWN_FAILS).1, &|_| None);
    assert_eq!(bare[0]["location"]["path"], "friday", "GitLab needs a path");
}

#[test]
fn cases_are_those_of_the_run_and_of_its_baseline() {
    let mut baseline = results(0);
    let gone =
        crate::ObjectiveResult { name: "gone".to_owned(), ..baseline.attacks[0].objectives[0].clone() };
    baseline.attacks[0].objectives.push(gone);
    let run = results(40);
    let text = junit(&run, &gate(&run, Some(crate::compare(&baseline, &run)), UNKNOWN_FAILS).1);
    let case = |name: &str| {
        text.split("<testcase ").find(|part| part.starts_with(&format!("name=\"{name}\""))).unwrap()
    };
    assert!(case("users").contains("<failure message=\"violated: "), "{text}");
    assert!(case("gone").contains("it was judged in the baseline"), "{text}");
    assert!(!case("gate").contains("<failure"), "{text}");
}
