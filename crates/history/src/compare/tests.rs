use super::*;
use crate::testing::UNKNOWN_FAILS;
use firedrill_judge::{log::Log, testing::Drill};

/// Returns the results of a drill with `bad` bad requests among 100 in each second of the fault.
pub(crate) fn results(bad: u64) -> Results {
    let mut drill = Drill::one();
    drill.acts[0].bad = if bad > 0 { vec![(0..60, bad)] } else { Vec::new() };
    Results::of_log(&Log::of(&drill.records()))
}

fn changes(comparison: &Comparison) -> Vec<(&str, Change)> {
    comparison.rows.iter().map(|row| (row.objective.as_str(), row.change)).collect()
}

#[test]
fn a_run_compared_with_itself_shows_no_difference() {
    let one = results(1);
    let comparison = compare(&one, &one);
    assert_eq!(comparison.plans, Plans::Same);
    assert!(comparison.rows.iter().all(|row| matches!(row.change, Change::Same | Change::Unknown)));
    assert_eq!(changes(&comparison)[0], ("users", Change::Same));
}

#[test]
fn a_lower_share_is_worse_and_a_higher_one_better() {
    let (good, bad) = (results(0), results(40));
    assert_eq!(changes(&compare(&good, &bad))[0], ("users", Change::Worse));
    assert_eq!(changes(&compare(&bad, &good))[0], ("users", Change::Better));
}

#[test]
fn an_unknown_objective_or_one_with_another_goal_is_not_compared() {
    let (good, mut other) = (results(0), results(40));
    other.attacks[0].objectives[0].goal = "99 % good".to_owned();
    let comparison = compare(&good, &other);
    assert_eq!(comparison.rows[0].change, Change::Unknown);
    assert!(comparison.rows[0].why.as_ref().unwrap().contains("99 % good"));
    let mut blind = results(40);
    blind.attacks[0].objectives[0].verdict = Verdict::Unknown;
    blind.attacks[0].objectives[0].why = "the fault did not land".to_owned();
    let row = compare(&good, &blind).rows.remove(0);
    assert_eq!(row.change, Change::Unknown);
    assert!(row.why.unwrap().contains("later run: the fault did not land"));
}

#[test]
fn an_objective_that_only_one_run_has_is_added_or_removed() {
    let (one, mut other) = (results(0), results(0));
    other.attacks[0].objectives.remove(0);
    assert_eq!(compare(&one, &other).count(Change::Removed), 1);
    assert_eq!(compare(&other, &one).count(Change::Added), 1);
}

#[test]
fn times_are_better_when_shorter_and_endless_ones_are_the_worst() {
    let time = |low: f64, high: Option<f64>| {
        let mut results = results(0);
        let objective = &mut results.attacks[0].objectives[0];
        objective.verdict = Verdict::Held;
        objective.measured = Measured {
            unit: Unit::Time,
            value: high.map(|_| low),
            endless: high.is_none(),
            low: Some(low),
            high,
            samples: 100,
        };
        results
    };
    let (short, long, never) = (time(1e6, Some(2e6)), time(3e6, Some(4e6)), time(9e6, None));
    let change = |one, other| compare(one, other).rows[0].change;
    assert_eq!(change(&short, &long), Change::Worse);
    assert_eq!(change(&long, &short), Change::Better);
    assert_eq!(change(&long, &never), Change::Worse);
    assert_eq!(change(&never, &never), Change::Same);
    assert_eq!(change(&time(1e6, Some(3e6)), &long), Change::Same, "ranges that touch overlap");
}

/// Returns the results of a run with an objective that a source measured. Without an upper end the figure is endless.
fn of_source(unit: Unit, asked: &str, (low, high): (f64, Option<f64>)) -> Results {
    let mut results = results(0);
    let objective = &mut results.attacks[0].objectives[0];
    (objective.probe, objective.asked) = (String::new(), asked.to_owned());
    objective.verdict = Verdict::Held;
    let (value, endless) = (high, high.is_none());
    objective.measured = Measured { unit, value, endless, low: Some(low), high, samples: 9 };
    results
}

#[test]
fn ranges_between_two_answers_of_a_source_are_not_compared() {
    for unit in [Unit::Number, Unit::Time] {
        for after in [(1.0, Some(1.0)), (5e6, None)] {
            let (one, other) =
                (of_source(unit, "prom: x", (0.0, Some(0.0))), of_source(unit, "prom: x", after));
            let row = compare(&one, &other).rows.remove(0);
            assert_eq!((row.change, row.without_ranges), (Change::Unknown, true), "{unit:?}");
            assert_eq!(row.after.and_then(|side| side.measured.low), Some(after.0), "it is shown");
            let (_, gate) = crate::gate(&other, Some(compare(&one, &other)), UNKNOWN_FAILS);
            assert!(
                gate.reasons.iter().all(|reason| reason.objective.as_deref() != Some("users")),
                "{gate:#?}"
            );
        }
    }
}

#[test]
fn another_question_is_another_objective() {
    let (one, other) = (
        of_source(Unit::Number, "prom: x", (0.0, Some(0.0))),
        of_source(Unit::Number, "prom: y", (0.0, Some(0.0))),
    );
    let row = compare(&one, &other).rows.remove(0);
    assert_eq!((row.change, row.without_ranges), (Change::Unknown, false));
    assert_eq!(row.why.as_deref(), Some("it was “prom: x” that was asked, and is “prom: y”"));
    let old = of_source(Unit::Number, "", (0.0, Some(0.0)));
    assert!(compare(&old, &other).rows[0].without_ranges, "baselines of earlier versions have no question");
}
