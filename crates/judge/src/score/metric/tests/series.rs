//! Series that leave, or that are no numbers.

use super::*;

#[test]
fn a_missing_series_is_never_held_but_the_other_series_can_violate() {
    let left = |value: f64| {
        move |second: i64| {
            Some(Sample { series: if second < 50 { 3 } else { 2 }, ..sample(second, from_30(second, value)) })
        }
    };
    let unknown = judged(MetricGoal::Below(0.5), left(0.1));
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert!(unknown.why.contains("of fewer series than before"), "{}", unknown.why);
    assert_eq!(judged(MetricGoal::Below(0.5), left(0.9)).verdict, Verdict::Violated);
}

#[test]
fn a_target_missing_from_an_aggregate_is_noticed_and_the_others_can_violate() {
    let cut_off = |value: f64| {
        move |second: i64| {
            let behind = vec![1, if (50..70).contains(&second) { 3 } else { 4 }];
            Some(Sample { behind, ..sample(second, from_30(second, value)) })
        }
    };
    let unknown = judged(MetricGoal::Below(0.5), cut_off(0.1));
    assert_eq!(unknown.verdict, Verdict::Unknown, "{unknown:#?}");
    assert!(unknown.why.contains("4 samples of fewer series than before"), "{}", unknown.why);
    assert_eq!(judged(MetricGoal::Below(0.5), cut_off(0.9)).verdict, Verdict::Violated);
    // Series that are new hide nothing.
    let new = judged(MetricGoal::Below(0.5), |second| {
        Some(Sample { behind: vec![if second < 50 { 3 } else { 4 }], ..sample(second, 0.1) })
    });
    assert_eq!(new.verdict, Verdict::Held, "{new:#?}");
}

#[test]
fn a_series_that_is_no_number_hides_no_violation_of_another() {
    let nan = |value: f64| {
        move |second: i64| {
            let lacks = (second >= 30).then_some(Lack::NotANumber);
            Some(Sample { lacks, series: 2, ..sample(second, from_30(second, value)) })
        }
    };
    assert_eq!(judged(MetricGoal::Below(0.5), nan(9.0)).verdict, Verdict::Violated);
    assert_eq!(judged(MetricGoal::Below(0.5), nan(0.1)).verdict, Verdict::Unknown);
    assert_eq!(
        judged(MetricGoal::Below(0.5), |second| Some(Sample {
            lacks: Some(Lack::Stale),
            ..sample(second, 9.0)
        }))
        .verdict,
        Verdict::Unknown
    );
}

/// Judges a query with four series behind its value; from second 50 to 70 there are `left` series, and the value is another.
fn cut_off(query: &str, goal: MetricGoal, (left, value): (u32, f64), usual: f64) -> Verdict {
    let asks = Asks::One { query: query.to_owned() };
    let card = judged_as(
        Metric { asks, ..metric(goal) },
        (Drill::one(), 0),
        |_| 1_000,
        |second| {
            let cut = (50..70).contains(&second);
            let (behind, value) = if cut { (left, value) } else { (4, usual) };
            Some(Sample { behind: vec![behind, 1], ..sample(second, value) })
        },
    );
    if card.verdict == Verdict::Unknown {
        assert!(card.why.contains("4 samples of fewer series than before"), "{}", card.why);
    }
    card.verdict
}

#[test]
fn a_value_beyond_a_bound_counts_only_if_the_missing_series_could_not_change_that() {
    let (above, below) = (MetricGoal::Above(100.0), MetricGoal::Below(100.0));
    for (query, low, high) in [
        ("sum(rate(orders_total[10s]))", Verdict::Unknown, Verdict::Violated),
        ("max by (zone) (x)", Verdict::Unknown, Verdict::Violated),
        ("min(x)", Verdict::Violated, Verdict::Unknown),
        ("avg(x)", Verdict::Unknown, Verdict::Unknown),
        ("sum(rate(a[10s])) / sum(rate(b[10s]))", Verdict::Unknown, Verdict::Unknown),
        ("rate(x[10s])", Verdict::Violated, Verdict::Violated),
    ] {
        assert_eq!(cut_off(query, above, (3, 90.0), 120.0), low, "{query} above 100");
        assert_eq!(cut_off(query, below, (3, 110.0), 80.0), high, "{query} below 100");
    }
    assert_eq!(cut_off("sum(x)", below, (0, 110.0), 80.0), Verdict::Unknown, "made from nothing");
    assert_eq!(cut_off("sum(x)", below, (0, 10.0), 80.0), Verdict::Unknown, "made from nothing");
}

#[test]
fn a_guard_ignores_values_that_are_bad_only_for_lack_of_series() {
    let mut plan = Drill::one().plan();
    plan.sources = vec![prometheus()];
    let asks = Asks::One { query: "sum(rate(orders_total[10s]))".to_owned() };
    let mut showing = Showing::new(&plan, &Metric { asks, ..metric(MetricGoal::Above(100.0)) });
    let made_from =
        |second: i64, behind: u32, value: f64| Sample { behind: vec![behind], ..sample(second, value) };
    assert!(showing.shows(&made_from(5, 4, 120.0)));
    assert!(!showing.shows(&made_from(10, 3, 90.0)), "the fourth has 30");
    assert!(showing.shows(&made_from(15, 3, 110.0)) && showing.shows(&made_from(20, 4, 90.0)));
    assert!(!showing.shows(&made_from(25, 0, 110.0)), "made from nothing");
    showing.forget();
    assert!(showing.shows(&made_from(30, 3, 90.0)) && showing.shows(&made_from(35, 3, 110.0)));
}
