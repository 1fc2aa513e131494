//! Tests of samples that are made from the points of an answer.

use firedrill_judge::testing::metric;
use firedrill_wire::Share;

use super::*;

const S: i64 = 1_000_000;

fn sample(goal: MetricGoal, point: Point, age: f64) -> Sample {
    let behind = Behind { at_us: 10 * S, age: Some(age), series: vec![1] };
    let answer = Answer { values: vec![point], total: None, behind: Some(vec![behind]), within_us: 0 };
    answer.sample(&metric(goal), 0, 10 * S)
}

#[test]
fn an_incomplete_value_gives_bounds_for_the_time_of_its_data_until_they_are_old() {
    let full = Point { lacks: Some(Lacks::TooMany), ..Point::of(10 * S, 900.0) };
    let young = sample(MetricGoal::Below(500.0), full, 3.0);
    assert_eq!((young.lacks, young.high, young.from_us()), (Some(Lack::TooMany), Some(900.0), 7 * S));
    let old = sample(MetricGoal::Below(500.0), full, 6.0);
    assert_eq!((old.lacks, old.low, old.high), (Some(Lack::TooMany), None, None));
    let whole = sample(MetricGoal::Below(500.0), Point::of(10 * S, 900.0), 6.0);
    assert_eq!(whole.lacks, Some(Lack::Stale));
}

#[test]
fn an_estimate_counts_if_both_its_bounds_are_on_the_same_side_of_the_goal() {
    let point = Point { sampled: Some((60.0, 160.0)), ..Point::of(10 * S, 100.0) };
    let lacks = |goal| sample(goal, point, 0.0).lacks;
    for (bound, lack) in
        [(50.0, None), (60.0, None), (90.0, Some(Lack::Sampled)), (160.0, Some(Lack::Sampled)), (161.0, None)]
    {
        assert_eq!(lacks(MetricGoal::Below(bound)), lack, "below {bound}");
    }
    for (bound, lack) in
        [(59.0, None), (60.0, Some(Lack::Sampled)), (110.0, Some(Lack::Sampled)), (160.0, None)]
    {
        assert_eq!(lacks(MetricGoal::Above(bound)), lack, "above {bound}");
    }
    let share = MetricGoal::Good(Share::per_cent(99));
    assert_eq!(
        (lacks(share), lacks(MetricGoal::IncreaseBelow(500.0))),
        (Some(Lack::Sampled), Some(Lack::Sampled))
    );
    let open = sample(MetricGoal::Below(90.0), point, 0.0);
    assert_eq!((open.low, open.high), (None, None), "an estimate is no bound");
}
