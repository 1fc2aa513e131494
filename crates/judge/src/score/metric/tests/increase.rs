//! Counters that must not increase by too much.

use super::*;

#[test]
fn a_counters_increase_is_bounded_by_samples_inside_and_around() {
    // It counts one each second from second 41 on: 80 until the end of the recovery.
    let count = |second: i64| (second - 41).max(0) as f64;
    let increase = |bound: f64| {
        judged(MetricGoal::IncreaseBelow(bound), move |second| Some(sample(second, count(second))))
    };
    let held = increase(85.0);
    assert_eq!(held.verdict, Verdict::Held, "{held:#?}");
    assert_eq!((held.measured.low, held.measured.high), (Some(79.0), Some(84.0)));
    assert_eq!(increase(82.0).verdict, Verdict::Unknown, "it may have been before or after the edge");
    assert_eq!(increase(79.0).verdict, Verdict::Violated);
    let reset = judged(MetricGoal::IncreaseBelow(500.0), |second| {
        Some(sample(second, if second < 60 { 50.0 } else { 0.0 }))
    });
    assert_eq!(reset.verdict, Verdict::Unknown);
    assert!(reset.why.contains("it was reset"), "{}", reset.why);
    let cut = judged(MetricGoal::IncreaseBelow(30.0), |second| {
        (second <= 80).then(|| sample(second, count(second)))
    });
    assert_eq!(cut.verdict, Verdict::Violated, "what was seen is enough: {cut:#?}");
}

#[test]
fn a_series_that_was_away_and_is_back_is_no_increase_and_leaves_it_open() {
    let away = judged(MetricGoal::IncreaseBelow(50.0), |second| {
        let away = (50..70).contains(&second);
        let (value, behind) = if away { (50.0, vec![1]) } else { (100.0, vec![2]) };
        Some(Sample { behind, ..sample(second, value) })
    });
    assert_eq!(away.verdict, Verdict::Unknown, "{away:#?}");
    assert_eq!((away.measured.low, away.measured.high), (Some(0.0), None));
    assert!(away.why.contains("series came or went"), "{}", away.why);
    let metric = metric(MetricGoal::IncreaseBelow(50.0));
    let all: Vec<Sample> = [(1, 2, 100.0), (2, 1, 50.0), (3, 2, 100.0), (4, 2, 120.0)]
        .into_iter()
        .map(|(second, series, value)| Sample { behind: vec![series], ..sample(second, value) })
        .collect();
    assert_eq!(violated_by(&metric, &all.iter().collect::<Vec<_>>()), None, "it rose by 20 only");
}

#[test]
fn a_counter_that_was_not_seen_for_a_while_may_have_been_reset() {
    for (lack, from, until) in [(Lack::Empty, 50, 55), (Lack::Stale, 50, 55), (Lack::Empty, 20, 25)] {
        let gap = judged(MetricGoal::IncreaseBelow(100.0), |second| {
            let away = (from..until).contains(&second);
            Some(if away {
                lacking(second, lack)
            } else {
                sample(second, if second < 50 { 5.0 } else { 9.0 })
            })
        });
        assert_eq!(gap.verdict, Verdict::Unknown, "{lack:?}: {gap:#?}");
        assert!(gap.why.contains(&format!("1 sample {}", lack.word())), "{}", gap.why);
    }
    let before = judged(MetricGoal::IncreaseBelow(100.0), |second| {
        Some(if second < 10 { lacking(second, Lack::Empty) } else { sample(second, 5.0) })
    });
    assert_eq!(before.verdict, Verdict::Held, "what was long before it does not matter: {before:#?}");
}

#[test]
fn an_increase_ends_with_the_first_sample_after_the_phases_also_without_an_age() {
    // Samples are taken at 118 and 123, and the recovery ends at 121.
    let between = |second: i64| Some(Sample { at_us: (second + 3) * S, ..sample(second, 4.0) });
    let held = judged(MetricGoal::IncreaseBelow(1.0), between);
    assert_eq!(held.verdict, Verdict::Held, "{held:#?}");
    let late = judged(MetricGoal::IncreaseBelow(1.0), |second| between(second).filter(|_| second < 120));
    assert_eq!(late.verdict, Verdict::Unknown, "{late:#?}");
}

#[test]
fn an_increase_in_the_first_phase_is_counted_from_the_sample_before_it() {
    // The second attack's baseline begins with its records, and there are samples before it.
    let during = vec![Phase::Baseline];
    let metric = Metric { during, ..metric(MetricGoal::IncreaseBelow(30.0)) };
    let card = judged_as(
        metric.clone(),
        (Drill::good(), 1),
        |_| 1_000,
        |second| Some(sample(second, second as f64)),
    );
    assert_eq!(card.verdict, Verdict::Held, "{card:#?}");
    let from = (Drill::start(1) - 20) * S;
    let points = &card.metric.as_ref().expect("a metric").points;
    assert!(points.iter().all(|point| point.at_us >= from), "{points:?}");
    // The sample before it was taken when the clock was known to 7 s only, so an earlier one is the one before it.
    let unsure = judged_as(
        metric,
        (Drill::good(), 1),
        |second| if second * S < from { 7 * S } else { 1_000 },
        |second| Some(sample(second, second as f64)),
    );
    assert!(unsure.measured.high > card.measured.high, "{unsure:#?} {card:#?}");
}

#[test]
fn an_increase_knows_the_clock_as_well_as_at_the_sample_before_it() {
    // It rose by 30 in second 18 and in second 60. The fault begins in second 21, and sample 20 may be of second 12 to 28.
    let rose = |second: i64| {
        let times = i32::from(second >= 18) + i32::from(second >= 60);
        sample(second, f64::from(times) * 30.0)
    };
    let metric = metric(MetricGoal::IncreaseBelow(50.0));
    let judged = |early: i64| {
        let unsure = |second: i64| if second <= 20 { early } else { 1_000 };
        judged_as(metric.clone(), (Drill::one(), 0), unsure, |second| Some(rose(second)))
    };
    assert_eq!(judged(1_000).verdict, Verdict::Held);
    assert_eq!(judged(8 * S).verdict, Verdict::Unknown);
}
