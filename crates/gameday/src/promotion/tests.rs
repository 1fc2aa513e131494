use super::*;

const DAY: i64 = 86_400;
/// The day of the slot, in days since 1970.
const SLOT: i64 = 100;

/// Returns a run of the right files in staging that held. It began on a day since 1970.
fn held(day: i64) -> Run {
    Run {
        id: format!("run-{day}"),
        began_s: day * DAY,
        environment: Some("staging".to_owned()),
        held: true,
        result: "held",
        files: Some("same".to_owned()),
        scenario: Some("friday".to_owned()),
    }
}

/// Returns the clause about a scenario that must have held in staging within the 14 days before the slot.
fn said(runs: &[Run]) -> String {
    let requires = Requires { environment: "staging".to_owned(), held_within: Span::secs(14 * 86_400) };
    let found = Promotion::of(&requires, "friday", "same", SLOT * DAY, runs);
    found.words(&requires, &|at_s| format!("day {}", at_s / DAY))
}

#[test]
fn the_newest_run_that_held_in_time_is_named() {
    assert_eq!(said(&[held(90), held(95), held(70)]), "held on day 95 in staging (run run-95)");
    assert_eq!(said(&[held(86)]), "held on day 86 in staging (run run-86)", "14 days are in time");
    let late = "missing: held on day 85 in staging (run run-85), more than 14days before the slot";
    assert_eq!(said(&[held(85)]), late);
}

#[test]
fn a_run_that_did_not_hold_is_told_with_its_result() {
    for result in ["violated", "unknown", "refused"] {
        let run = |day| Run { held: false, result, ..held(day) };
        let words = |day: i64| {
            format!(
                "missing: the newest run of these files in staging, on day {day}, is `{result}` (run run-{day})"
            )
        };
        assert_eq!(said(&[run(95), run(90), held(70)]), words(95));
        assert_eq!(said(&[run(70), run(60)]), words(70), "also long ago");
        assert!(said(&[run(95), held(90)]).starts_with("held on day 90"));
    }
}

#[test]
fn runs_of_other_files_environments_and_times_are_no_runs_of_these_files() {
    let never = "missing: no run of these files in staging before the slot is known";
    let other = || Run { files: Some("other".to_owned()), ..held(95) };
    for run in [
        Run { environment: Some("prod".to_owned()), ..held(95) },
        Run { environment: None, ..held(95) },
        held(SLOT + 1),
        // There are runs in staging in time, and none of them is of these files.
        Run { scenario: Some("monday".to_owned()), ..other() },
        Run { held: false, result: "violated", ..other() },
        Run { files: None, held: false, result: "unknown", ..held(95) },
        Run { began_s: 70 * DAY, ..other() },
    ] {
        assert_eq!(said(std::slice::from_ref(&run)), never, "{run:?}");
    }
    assert_eq!(said(&[]), never);
    let changed = "missing: held on day 95 in staging (run run-95), and its files have changed since, or only some of its attacks were drawn";
    assert_eq!(said(&[other()]), changed);
    assert!(
        said(&[Run { files: None, ..held(95) }]).starts_with("unknown: a run of that name held on day 95")
    );
}
