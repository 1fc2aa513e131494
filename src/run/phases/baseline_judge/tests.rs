//! Baselines that hold, that do not hold, and that were not measured.

use firedrill_wire::Share;

use super::*;
use firedrill_judge::testing::{Drill, S, bin};

/// Judges a baseline of three seconds with these bins.
fn judged(drill: &Drill, bins: &[(&str, i64, Bin)]) -> Judged {
    let plan = drill.plan();
    let bins = bins.iter().map(|(vantage, second, bin)| (*vantage, second * S, bin));
    Baseline::of(&plan, &plan.attacks[0], (S / 10, 3 * S + S / 10), bins).judge()
}

fn drill(goals: Vec<(&'static str, Goal, Vec<crate::plan::model::Phase>)>) -> Drill {
    Drill { goals, vantages: vec!["coordinator"], ..Drill::one() }
}

fn good() -> Drill {
    drill(vec![("users", Goal::Good(Share::from_fraction(0.9).unwrap()), vec![])])
}

fn seconds(range: std::ops::Range<i64>, good: u64, bad: u64) -> Vec<(&'static str, i64, Bin)> {
    range.map(|second| ("coordinator", second, bin("buy", second, good, bad))).collect()
}

#[test]
fn a_healthy_system_passes_once_its_last_second_was_measured() {
    let early = judged(&good(), &seconds(0..2, 100, 0));
    assert!(!early.is_final(), "the last second is missing");
    assert!(
        early.against[0].contains("nothing was measured of buy in the last 1.1 s"),
        "{:?}",
        early.against
    );
    let whole = judged(&good(), &seconds(0..3, 100, 0));
    assert!(whole.is_final() && whole.against.is_empty(), "{:?}", whole.against);
}

#[test]
fn a_failure_is_described_with_objective_vantage_and_causes() {
    let mut bins = seconds(0..4, 0, 100);
    for (place, (_, _, bin)) in bins.iter_mut().enumerate() {
        let cause = if place == 0 { "timeout" } else { "status 503" };
        bin.bad = BTreeMap::from([(cause.to_owned(), 100)]);
    }
    let judged = judged(&good(), &bins);
    assert!(judged.is_final());
    assert_eq!(
        judged.against,
        [
            "objective users: from coordinator 0 % of 300 requests of buy good, 90 % wanted (status 503: 200, timeout 100)"
        ]
    );
}

#[test]
fn a_baseline_that_was_not_measured_does_not_pass() {
    assert!(judged(&good(), &[]).against[0].contains("from coordinator nothing was measured of buy"));
    let mut bins = seconds(0..4, 0, 0);
    bins.iter_mut().for_each(|(_, _, bin)| (bin.due, bin.slipped) = (100, 100));
    let all_slipped = judged(&good(), &bins);
    assert!(all_slipped.is_final());
    assert!(
        all_slipped.against[0].contains("nothing was measured of buy (300 requests slipped"),
        "{:?}",
        all_slipped.against
    );
}

#[test]
fn each_vantage_is_judged_separately() {
    let mut two = good();
    two.vantages.push("canary");
    let mut bins = seconds(0..4, 100, 0);
    assert!(!judged(&two, &bins).is_final(), "the canary has not reported");
    bins.extend((0..4).map(|second| ("canary", second, bin("buy", second, 85, 15))));
    let seen = judged(&two, &bins);
    assert_eq!(seen.against.len(), 1, "{:?}", seen.against);
    assert!(seen.against[0].contains("from canary 85 % of"), "92.5 % together would do: {:?}", seen.against);
    // A vantage on a target does not count.
    two.vantages[1] = "app1";
    assert!(judged(&two, &seconds(0..4, 100, 0)).is_final());
}

#[test]
fn latencies_have_to_hold_too_and_equal_findings_are_listed_once() {
    use firedrill_wire::Span;
    let slow = Goal::Latency { quantile: 0.95, below: Span::millis(5) };
    let seen = judged(&drill(vec![("fast", slow, vec![])]), &seconds(0..4, 100, 0));
    assert!(seen.against[0].contains("good within 5ms, 95 % wanted"), "{:?}", seen.against);
    let back = || Goal::RecoverWithin(Span::secs(5));
    let seen = judged(&drill(vec![("a", back(), vec![]), ("b", back(), vec![])]), &seconds(0..4, 50, 50));
    assert_eq!(seen.against.len(), 1, "{:?}", seen.against);
    assert!(seen.against[0].starts_with("objectives a and b: from coordinator"), "{:?}", seen.against);
}
