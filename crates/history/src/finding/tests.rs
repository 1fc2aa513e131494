//! Tests of findings: runs open and close them, and the texts that people wrote are kept.

use std::{collections::BTreeMap, fs, path::Path};

use firedrill_judge::verdict::Verdict;

use super::{
    derive::{Seen, derive},
    *,
};
use crate::{
    History,
    outcome::{Outcome, Told},
    testing::{Sample, sample},
};

/// For [`Finding::set_closed`]: close the finding.
const CLOSE: bool = true;
/// For [`Finding::set_closed`]: open the finding again.
const REOPEN: bool = false;

/// Returns a run that started at this second, with verdicts on objectives of one attack.
fn seen(at_s: i64, outcomes: &[(&str, Verdict)]) -> Seen {
    let outcome = |(objective, verdict): &(&str, Verdict)| Outcome {
        attack: "stop checkout".to_owned(),
        objective: (*objective).to_owned(),
        goal: "at least 99 %".to_owned(),
        verdict: *verdict,
        measured: String::new(),
    };
    let outcomes = outcomes.iter().map(outcome).collect();
    let told = Told { run: Some(format!("run-{at_s}")), environment: None, outcomes };
    Seen { at_s, folder: format!("run-{at_s}"), scenario: "friday".to_owned(), told }
}

use Verdict::{Held, Violated};

/// Returns the state of each finding, the run that opened it, and the number of runs that showed it.
fn states(findings: &[Finding]) -> Vec<(State, &str, usize)> {
    findings.iter().map(|finding| (finding.state, finding.opened_in.as_str(), finding.runs)).collect()
}

#[test]
fn a_violation_opens_a_finding_more_are_counted_and_a_run_that_holds_closes_it() {
    let mut runs = vec![seen(1, &[("users", Held)]), seen(2, &[("users", Violated)]), seen(3, &[])];
    let open = derive(Vec::new(), runs.clone());
    assert_eq!(
        states(&open),
        [(State::Open, "run-2", 1)],
        "the third run, in which it is unknown, closes nothing"
    );
    runs.push(seen(4, &[("users", Violated)]));
    let still = derive(open.clone(), runs.clone());
    assert_eq!(states(&still), [(State::Open, "run-2", 2)]);
    assert_eq!(still[0].id, open[0].id);
    runs.push(seen(5, &[("other", Held)]));
    assert_eq!(
        derive(still.clone(), runs.clone())[0].state,
        State::Open,
        "the verdict on another objective does not count"
    );
    runs.push(seen(6, &[("users", Held)]));
    let closed = derive(still, runs.clone());
    assert_eq!(states(&closed), [(State::Closed, "run-2", 2)]);
    assert_eq!(closed[0].closed_in.as_deref(), Some("run-6"));
    runs.push(seen(7, &[("users", Violated)]));
    let again = derive(closed, runs);
    assert_eq!(states(&again), [(State::Open, "run-7", 1), (State::Closed, "run-2", 2)]);
    assert_ne!(again[0].id, again[1].id, "what comes back is another finding");
}

#[test]
fn texts_of_people_are_kept_if_runs_come_go_or_are_judged_differently() {
    let mut first = derive(Vec::new(), vec![seen(5, &[("users", Violated)])]);
    first[0].owner = "payments".to_owned();
    first[0].more.insert("severity".to_owned(), toml::Value::from(2));
    // An earlier run turns up: the finding begins with that.
    let earlier =
        derive(first.clone(), vec![seen(2, &[("users", Violated)]), seen(5, &[("users", Violated)])]);
    assert_eq!(states(&earlier), [(State::Open, "run-2", 2)]);
    assert_eq!((&earlier[0].owner, &earlier[0].more), (&first[0].owner, &first[0].more));
    // The folders were removed. A later run still closes the finding.
    let kept = derive(earlier.clone(), Vec::new());
    assert_eq!(kept, earlier);
    let closed = derive(kept, vec![seen(9, &[("users", Held)])]);
    assert_eq!(states(&closed), [(State::Closed, "run-2", 2)]);
    assert_eq!(derive(closed.clone(), Vec::new()), closed, "also when that run is gone");
    // The run is judged differently now.
    let withdrawn = derive(first.clone(), vec![seen(5, &[("users", Held)])]);
    assert_eq!(states(&withdrawn), [(State::Withdrawn, "run-5", 1)]);
    assert_eq!(withdrawn[0].owner, "payments");
    first[0].owner.clear();
    first[0].more.clear();
    assert_eq!(
        derive(first, vec![seen(5, &[("users", Held)])]),
        [],
        "without texts of people the finding is removed"
    );
}

#[test]
fn a_finding_opens_again_if_the_run_that_closed_it_is_unknown_now() {
    let runs = vec![seen(1, &[("users", Violated)]), seen(2, &[("users", Held)])];
    let closed = derive(Vec::new(), runs);
    assert_eq!(closed[0].state, State::Closed);
    let reopened = derive(closed, vec![seen(1, &[("users", Violated)]), seen(2, &[])]);
    assert_eq!((reopened[0].state, &reopened[0].closed), (State::Open, &None));
}

#[test]
fn a_run_in_another_environment_closes_nothing_and_an_easier_goal_is_named() {
    let mut staging = seen(2, &[("users", Held)]);
    staging.told.environment = Some("staging".to_owned());
    let open = derive(Vec::new(), vec![seen(1, &[("users", Violated)]), staging]);
    assert_eq!(open[0].state, State::Open);
    let mut easier = seen(3, &[("users", Held)]);
    easier.told.outcomes[0].goal = "at least 90 %".to_owned();
    let closed = derive(open, vec![seen(1, &[("users", Violated)]), easier]);
    assert_eq!(closed[0].closed_by_goal.as_deref(), Some("at least 90 %"));
}

#[test]
fn two_findings_become_one_if_the_run_between_them_is_unknown_now() {
    let runs = |held: &[(&str, Verdict)]| {
        vec![seen(1, &[("users", Violated)]), seen(2, held), seen(3, &[("users", Violated)])]
    };
    let mut two = derive(Vec::new(), runs(&[("users", Held)]));
    assert_eq!(two.len(), 2);
    two[0].note = "second".to_owned();
    two[1].note = "first".to_owned();
    let one = derive(two, runs(&[]));
    assert_eq!(states(&one), [(State::Open, "run-1", 2)]);
    assert_eq!(one[0].note, "first\nsecond");
}

/// Writes the folder of a run on a day of November 2026. `bad` is as in [`Sample`].
fn friday(reports: &Path, day: u32, bad: u64) {
    let run = format!("202611{day:02}-1402-friday-7f3a");
    let wall = format!("2026-11-{day:02}T14:02:11Z");
    let folder = reports.join(&run);
    sample(&folder, &Sample { run, wall, bad, ..Sample::default() });
}

#[test]
fn the_file_is_brought_up_to_date_and_keeps_edits() {
    let reports = tempfile::tempdir().unwrap();
    let here = reports.path();
    friday(here, 6, 40);
    let mut history = History::open(here, |_| {}).unwrap();
    let found = history.findings().unwrap();
    assert_eq!((found.all.len(), found.why_not_kept), (1, None));
    assert_eq!(found.all[0].what(), "stop checkout: users");
    let id = found.all[0].id.clone();
    // A person edits the file by hand, and adds a field.
    let text = fs::read_to_string(here.join("findings.toml")).unwrap();
    let edited = text.replace("owner = \"\"", "owner = \"payments\"\ncomponent = 2");
    fs::write(here.join("findings.toml"), &edited).unwrap();
    let edit = |finding: &mut Finding| finding.ticket = "OPS-7".to_owned();
    assert_eq!(history.edit_finding(&id[..6], edit).unwrap().ticket, "OPS-7");
    assert!(history.edit_finding("f-none", edit).unwrap_err().to_string().contains("`f-none`"));
    friday(here, 13, 0);
    history.refresh().unwrap();
    let closed = history.findings().unwrap().all;
    assert_eq!((closed[0].state, closed[0].id.as_str()), (State::Closed, id.as_str()));
    assert_eq!((closed[0].owner.as_str(), closed[0].ticket.as_str()), ("payments", "OPS-7"));
    let text = fs::read_to_string(here.join("findings.toml")).unwrap();
    assert!(text.starts_with("# Findings of the drills") && text.contains("component = 2"), "{text}");
    // If the index is made anew, nothing changes.
    drop(history);
    fs::remove_file(here.join(".history.sqlite")).unwrap();
    assert_eq!(History::open(here, |_| {}).unwrap().findings().unwrap().all, closed);
    assert_eq!(fs::read_to_string(here.join("findings.toml")).unwrap(), text);
}

#[test]
fn a_file_with_a_mistake_is_not_written_over() {
    let reports = tempfile::tempdir().unwrap();
    let here = reports.path();
    friday(here, 6, 40);
    let mut history = History::open(here, |_| {}).unwrap();
    history.findings().unwrap();
    let text = fs::read_to_string(here.join("findings.toml")).unwrap();
    let cases = BTreeMap::from([
        ("owner = \"\"", ("owner = payments", "line 11")),
        ("schema = 1", ("schema = 2", "schema is 2")),
        ("opened = \"2026-11-06", ("opened = \"today", "`opened` is no time")),
    ]);
    for (old, (new, said)) in cases {
        let wrong = text.replace(old, new);
        fs::write(here.join("findings.toml"), &wrong).unwrap();
        let error = history.findings().unwrap_err().to_string();
        assert!(error.contains("findings.toml") && error.contains(said), "{error}");
        assert_eq!(fs::read_to_string(here.join("findings.toml")).unwrap(), wrong);
    }
}

#[test]
fn texts_of_the_file_are_cleaned() {
    let reports = tempfile::tempdir().unwrap();
    friday(reports.path(), 6, 40);
    let mut history = History::open(reports.path(), |_| {}).unwrap();
    history.findings().unwrap();
    let path = reports.path().join("findings.toml");
    let text = fs::read_to_string(&path).unwrap().replace("owner = \"\"", "owner = \"\\u001b[31mred\"");
    fs::write(&path, text).unwrap();
    assert_eq!(history.findings().unwrap().all[0].owner, "␛[31mred");
}

#[test]
fn what_a_person_found_is_closed_by_people_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("20261120-1402-one");
    sample(&run, &Sample { run: "20261120-1402-one".to_owned(), ..Sample::default() });
    let mut history = History::open(folder.path(), |_| {}).unwrap();
    let new = NewFinding {
        by: "bob",
        found: "the runbook names a host that is gone",
        severity: Some(Severity::High),
        owner: "payments",
    };
    let (finding, is_new) = history.add_finding("20261120-1402-one", &new).unwrap();
    assert!(is_new && finding.is_by_person() && finding.what() == new.found, "{finding:?}");
    // A form that is sent twice makes one.
    let (again, is_new) = history.add_finding("20261120-1402-one", &new).unwrap();
    assert_eq!((again.id, is_new), (finding.id.clone(), false));
    assert!(matches!(history.add_finding("no-run", &new), Err(crate::HistoryError::NoRun { .. })));
    // A run in which all objectives hold does not close it, and it is kept when the history is opened again.
    sample(
        &folder.path().join("20261121-1402-two"),
        &Sample {
            run: "20261121-1402-two".to_owned(),
            wall: "2026-11-21T14:02:00Z".to_owned(),
            ..Sample::default()
        },
    );
    let mut history = History::open(folder.path(), |_| {}).unwrap();
    let all = history.findings().unwrap().all;
    let mine = all.iter().find(|one| one.id == finding.id).expect("it is kept");
    assert_eq!((mine.state, mine.severity), (State::Open, Some(Severity::High)));
    assert!(
        mine.is_about(&mine.scenario, mine.environment.as_deref(), "2026-11-20T14:02:00Z"),
        "its run's report shows it"
    );
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000);
    let closed =
        history.edit_finding(&finding.id, |one| one.set_closed(CLOSE, "carol", now).unwrap()).unwrap();
    assert_eq!((closed.state, closed.closed_by.as_deref()), (State::Closed, Some("carol")));
    assert!(closed.course().contains("carol closed it on 2026-09-21"), "{}", closed.course());
    let open =
        history.edit_finding(&finding.id, |one| one.set_closed(REOPEN, "carol", now).unwrap()).unwrap();
    assert_eq!((open.state, open.closed, open.closed_by), (State::Open, None, None));
}

#[test]
fn nobody_closes_what_a_run_found() {
    let open = derive(Vec::new(), vec![seen(2, &[("users", Violated)])]);
    let mut finding = open[0].clone();
    assert_eq!(finding.set_closed(CLOSE, "bob", std::time::UNIX_EPOCH), Err(ByRuns));
    assert_eq!(finding, open[0]);
}
