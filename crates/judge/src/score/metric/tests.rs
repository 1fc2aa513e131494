//! Verdicts on metrics whose samples are known: with gaps, old data, unsure clocks and lost packets.

mod increase;
mod series;

use firedrill_plan::plan::model::{Asks, Metric, MetricGoal, Phase, Source};
use firedrill_wire::{Share, Span, journal::HealReason};

use super::*;
use crate::{
    log::{Event, Lack, Outcome, Record},
    score,
    testing::{Drill, S},
};

fn metric(goal: MetricGoal) -> Metric {
    let asks = match goal {
        MetricGoal::Good(_) => Asks::Ratio { good: "g".to_owned(), total: "t".to_owned() },
        _ => Asks::One { query: "x".to_owned() },
    };
    Metric {
        name: "errors".to_owned(),
        source: "prom".to_owned(),
        asks,
        goal,
        every: Span::secs(5),
        lag: Span::secs(5),
        stale_after: Span::secs(15),
        window: Span::ZERO,
        unit: String::new(),
        during: vec![Phase::Fault, Phase::Recovery],
    }
}

fn sample(second: i64, value: f64) -> Sample {
    Sample {
        at_us: second * S,
        window_us: 0,
        own_us: 0,
        age_us: 0,
        low: Some(value),
        high: Some(value),
        total: None,
        series: 1,
        behind: Vec::new(),
        lacks: None,
        lost: 0,
    }
}

fn lacking(second: i64, lack: Lack) -> Sample {
    Sample { low: None, high: None, series: 0, lacks: Some(lack), ..sample(second, 0.0) }
}

/// Returns `value` from second 30 on, and a good value before it.
fn from_30(second: i64, value: f64) -> f64 {
    if second < 30 { 0.1 } else { value }
}

/// Judges a drill of one attack (fault from second 21 to 81, recovery to 121) by a metric, with these samples; one that is `None` had
/// no answer.
fn judged(goal: MetricGoal, samples: impl Fn(i64) -> Option<Sample>) -> ObjectiveCard {
    judged_with(goal, 1_000, samples)
}

fn judged_with(goal: MetricGoal, unsure_us: i64, samples: impl Fn(i64) -> Option<Sample>) -> ObjectiveCard {
    judged_as(metric(goal), (Drill::one(), 0), |_| unsure_us, samples)
}

/// Judges an attack of a drill by a metric, with samples of every fifth second, each recorded with an uncertainty of the source's clock.
fn judged_as(
    metric: Metric,
    (drill, attack): (Drill, usize),
    unsure_us: impl Fn(i64) -> i64,
    samples: impl Fn(i64) -> Option<Sample>,
) -> ObjectiveCard {
    let until = Drill::start(attack) / 5 + 22;
    let extra = (1..until).map(|step| {
        let second = step * 5;
        let sample = samples(second);
        let failed = sample.is_none().then(|| "no answer within 5s".to_owned());
        let event = Event::Sampled {
            objective: "errors".to_owned(),
            until_us: second * S,
            samples: sample.into_iter().collect(),
            unsure_us: unsure_us(second),
            took_us: 2_000,
            failed,
            again: false,
        };
        (second, event)
    });
    let drill = Drill { extra: extra.collect(), ..drill };
    let mut records: Vec<Record> = drill.records();
    if let Event::RunStarted { plan, .. } = &mut records[0].event {
        plan.sources = vec![prometheus()];
        plan.metrics = vec![metric];
        plan.attacks[attack].judge = vec!["errors".to_owned()];
    }
    let mut card = score::fold(&records);
    let attack = card.attacks.remove(attack);
    assert_eq!(attack.objectives.len(), 1, "{attack:#?}");
    attack.objectives.into_iter().next().expect("one")
}

fn prometheus() -> Source {
    let kind = r#"{"prometheus":{"url":"http://10.1.0.9:9090"}}"#;
    Source {
        name: "prom".to_owned(),
        kind: serde_json::from_str(kind).expect("a source"),
        timeout: Span::secs(5),
        names: std::collections::BTreeMap::new(),
    }
}

#[test]
fn samples_over_all_phases_hold_and_one_bad_one_violates() {
    let held = judged(MetricGoal::Below(0.5), |second| Some(sample(second, 0.1)));
    assert_eq!(held.verdict, Verdict::Held, "{held:#?}");
    assert_eq!(held.metric.as_ref().map(|metric| (metric.samples, metric.gaps.len())), Some((20, 0)));
    let violated =
        judged(MetricGoal::Below(0.5), |second| Some(sample(second, if second == 60 { 1.5 } else { 0.1 })));
    assert_eq!(violated.verdict, Verdict::Violated, "{violated:#?}");
    assert_eq!(violated.why, "1 of 20 samples is not below 0.5; the worst is 1.5 at 01:00.0");
    assert_eq!(violated.measured.value, Some(1.5));
    let above =
        judged(MetricGoal::Above(2.0), |second| Some(sample(second, if second == 60 { 2.0 } else { 9.0 })));
    assert_eq!(above.verdict, Verdict::Violated, "a bound is not reached: {above:#?}");
}

#[test]
fn a_source_that_stopped_is_unknown_unless_its_samples_violate_the_goal() {
    let stopped =
        |value: f64| move |second: i64| (second <= 50).then(|| sample(second, from_30(second, value)));
    let unknown = judged(MetricGoal::Below(0.5), stopped(0.1));
    assert_eq!(unknown.verdict, Verdict::Unknown, "{unknown:#?}");
    assert!(unknown.why.contains("the source did not answer (no answer within 5s)"), "{}", unknown.why);
    assert!(unknown.why.contains("the first from 00:50.0 to"), "{}", unknown.why);
    assert_eq!(judged(MetricGoal::Below(0.5), stopped(0.9)).verdict, Verdict::Violated);
}

#[test]
fn a_failure_of_another_time_is_no_reason() {
    let early = judged(MetricGoal::Below(0.5), |second| match second {
        40..=55 => Some(lacking(second, Lack::Empty)),
        100.. => None,
        _ => Some(sample(second, 0.1)),
    });
    let gaps = &early.metric.as_ref().expect("a metric").gaps;
    assert_eq!(gaps[0].why, "4 samples empty");
    assert!(gaps[1].why.contains("did not answer"), "{gaps:?}");
}

#[test]
fn empty_stale_and_missing_samples_are_unknown() {
    for (lack, word) in [
        (Lack::Empty, "empty"),
        (Lack::Stale, "stale"),
        (Lack::NotANumber, "not a number"),
        (Lack::Several, "of several series"),
    ] {
        let some = judged(MetricGoal::Below(0.5), |second| {
            Some(if (55..70).contains(&second) { lacking(second, lack) } else { sample(second, 0.1) })
        });
        assert_eq!(some.verdict, Verdict::Unknown, "{some:#?}");
        assert!(some.why.contains(&format!("3 samples {word}")), "{}", some.why);
        let all = judged(MetricGoal::Below(0.5), |second| Some(lacking(second, lack)));
        assert_eq!(all.verdict, Verdict::Unknown);
        assert!(all.why.starts_with("no sample shows anything: "), "{}", all.why);
    }
    assert_eq!(judged(MetricGoal::Below(0.5), |_| None).verdict, Verdict::Unknown);
}

#[test]
fn a_value_of_old_data_is_about_the_time_of_the_data() {
    // The only bad value is of data from before the fault.
    let old = judged(MetricGoal::Below(0.5), |second| {
        Some(if second == 25 { Sample { age_us: 6 * S, ..sample(second, 9.0) } } else { sample(second, 0.1) })
    });
    assert_ne!(old.verdict, Verdict::Violated, "{old:#?}");
    // The same value of a rate over 10 s that reaches back into the baseline.
    let rate = judged(MetricGoal::Below(0.5), |second| {
        let value = if second == 25 || second == 30 { 9.0 } else { 0.1 };
        Some(Sample { window_us: 10 * S, ..sample(second, value) })
    });
    assert_eq!(rate.verdict, Verdict::Held, "{rate:#?}");
}

#[test]
fn samples_near_an_uncertain_edge_do_not_decide() {
    let at_edge = |unsure_us| {
        judged_with(MetricGoal::Below(0.5), unsure_us, |second| {
            // The fault begins in second 21.
            Some(sample(second, if second == 25 { 9.0 } else { 0.1 }))
        })
    };
    assert_eq!(at_edge(1_000).verdict, Verdict::Violated);
    let unsure = at_edge(5 * S);
    assert_ne!(unsure.verdict, Verdict::Violated, "{unsure:#?}");
}

#[test]
fn a_share_is_over_all_events_of_the_phases() {
    let share = |good: f64, total: f64| {
        judged(MetricGoal::Good(Share::from_fraction(0.99).expect("a share")), move |second| {
            let (good, total) = if second == 40 { (good, total) } else { (100.0, 100.0) };
            Some(Sample { total: Some(total), ..sample(second, good) })
        })
    };
    assert_eq!(share(90.0, 100.0).verdict, Verdict::Held, "10 of 2,000");
    let violated = share(50.0, 100.0);
    assert_eq!(violated.verdict, Verdict::Violated, "{violated:#?}");
    assert_eq!(violated.why, "97.5 % were good in 20 samples, 99 % wanted");
    let nothing = judged(MetricGoal::Good(Share::ALL), |second| {
        Some(Sample { total: Some(0.0), ..sample(second, 0.0) })
    });
    assert_eq!((nothing.verdict, nothing.why.as_str()), (Verdict::Unknown, "there were no events"));
    let gap = judged(MetricGoal::Good(Share::ALL), |second| {
        (second != 60 && second != 65).then(|| Sample { total: Some(1.0), ..sample(second, 0.0) })
    });
    assert_eq!(gap.verdict, Verdict::Unknown, "what happened in the gap is not known: {gap:#?}");
}

#[test]
fn a_share_of_infinitely_many_events_is_unknown() {
    let share = judged(MetricGoal::Good(Share::ALL), |second| {
        Some(Sample { total: Some(f64::MAX), ..sample(second, f64::MAX) })
    });
    assert_eq!(share.verdict, Verdict::Unknown, "{share:#?}");
}

#[test]
fn lost_data_are_unknown_unless_the_rest_violates() {
    let lossy = |lack: Lack, value: f64| {
        move |second: i64| {
            let lost = if lack == Lack::Dropped { 7 } else { 0 };
            // What arrived is the least.
            let part = Sample { low: None, lacks: Some(lack), lost, ..sample(second, value) };
            Some(if (40..50).contains(&second) { part } else { sample(second, 0.1) })
        }
    };
    for lack in [Lack::Dropped, Lack::Unreadable, Lack::TooMany, Lack::Silent] {
        assert_eq!(judged(MetricGoal::Below(0.5), lossy(lack, 9.0)).verdict, Verdict::Violated, "{lack:?}");
        let card = judged(MetricGoal::Below(0.5), lossy(lack, 0.1));
        assert_eq!(card.verdict, Verdict::Unknown, "{card:#?}");
        assert!(card.why.contains(lack.word()), "{}", card.why);
        assert_eq!(
            card.why.contains("2 samples of which the kernel dropped packets (14 packets)"),
            lack == Lack::Dropped
        );
        let above = judged(MetricGoal::Above(0.05), lossy(lack, 0.01));
        assert_eq!(above.verdict, Verdict::Unknown, "there may have been more: {above:#?}");
    }
    let other = judged(MetricGoal::Below(0.5), lossy(Lack::OtherType, 9.0));
    assert_eq!(other.verdict, Verdict::Unknown, "{other:#?}");
    let counted = |second: i64| {
        let lacks = (40..45).contains(&second).then_some(Lack::Dropped);
        let part = sample(second, 3.0);
        Some(if lacks.is_some() { Sample { low: None, high: None, lacks, lost: 7, ..part } } else { part })
    };
    let increase = judged(MetricGoal::IncreaseBelow(1.0), counted);
    assert!(
        increase.verdict == Verdict::Unknown && increase.why.contains("so it may have increased by more"),
        "{increase:#?}"
    );
}

#[test]
fn a_recording_rule_describes_the_time_that_it_looks_back_before_its_age() {
    // The value of second 45 is 15 s old, so that of second 30, and looks 10 s back from there: to before the fault.
    let rule = |own_us: i64| {
        judged(MetricGoal::Below(0.5), move |second| {
            let one = sample(second, if second == 45 { 9.0 } else { 0.1 });
            let age_us = if second == 45 { 15 * S } else { 0 };
            Some(Sample { window_us: 10 * S, own_us, age_us, ..one })
        })
    };
    assert_ne!(rule(10 * S).verdict, Verdict::Violated);
    assert_eq!(
        rule(0).verdict,
        Verdict::Violated,
        "the data of a range are at most as old as the range is long"
    );
    let first_second = |window: i64, own: i64, age: i64| {
        let one = Sample { window_us: window * S, own_us: own * S, age_us: age * S, ..sample(100, 0.0) };
        one.from_us() / S
    };
    let seconds = [(30, 10, 5), (30, 10, 25), (10, 10, 5), (10, 0, 5)];
    assert_eq!(seconds.map(|(window, own, age)| first_second(window, own, age)), [70, 65, 85, 90]);
    let old: Sample =
        serde_json::from_str(r#"{"at_us":9000000,"window_us":4000000,"age_us":1}"#).expect("an old log");
    assert_eq!(old.from_us(), 5 * S);
    assert!(!serde_json::to_string(&old).expect("it prints").contains("own"), "as older versions wrote it");
}

#[test]
fn a_fault_that_was_lifted_by_an_abort_shows_nothing_that_held() {
    for during in [vec![Phase::Fault, Phase::Recovery], vec![Phase::Recovery]] {
        let aborted = |value: f64| {
            let mut drill = Drill::one();
            drill.acts[0].lifted = 30;
            drill.acts[0].reason = HealReason::Asked { by: "guard".to_owned() };
            drill.acts[0].outcome = Outcome::Aborted("a guard".to_owned());
            let metric = Metric { during: during.clone(), ..metric(MetricGoal::Below(0.5)) };
            judged_as(metric, (drill, 0), |_| 1_000, |second| Some(sample(second, from_30(second, value))))
        };
        let card = aborted(0.1);
        assert_eq!(card.verdict, Verdict::Unknown, "{card:#?}");
        assert!(card.why.contains("lifted early, asked for by guard"), "{}", card.why);
        assert_eq!(aborted(9.0).verdict, Verdict::Violated, "{during:?}");
    }
}

#[test]
fn a_metric_without_a_baseline_is_not_held() {
    let late = |first: i64, value: f64| {
        judged(MetricGoal::Below(0.5), move |second| {
            Some(if second < first { lacking(second, Lack::Empty) } else { sample(second, value) })
        })
    };
    assert_eq!(late(20, 0.1).verdict, Verdict::Held, "the sample of second 20 is of the baseline");
    let card = late(25, 0.1);
    assert_eq!(
        (card.verdict, card.why.as_str()),
        (Verdict::Unknown, "nothing was measured of it before the fault")
    );
    assert_eq!(
        late(25, 9.0).verdict,
        Verdict::Violated,
        "what was measured in the fault is beyond the bound"
    );
}
