//! Time goals, outages, and the edges of phases.

use super::*;

#[test]
fn a_relapse_that_costs_more_than_was_saved_is_no_mitigation() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(0..3, 50), (20..26, 100)];
    drill.goals = vec![("failover", Goal::MitigateWithin(Span::secs(15)), vec![])];
    let card = judged(&drill);
    assert_eq!(card.verdict, Verdict::Violated, "{:#?}", card.attacks[0].objectives);
    let took = card.attacks[0].figures[0].mitigated_us;
    assert!(took.is_some_and(|us| (26_000_000..26_100_000).contains(&us)), "{took:?}");
}

#[test]
fn a_late_outage_that_is_longer_than_the_goal_violates_it() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(0..1, 100), (40..42, 100)];
    drill.goals = vec![("failover", Goal::MitigateWithin(Span::millis(1500)), vec![])];
    let why = &judged(&drill).attacks[0].objectives[0];
    assert_eq!(why.verdict, Verdict::Violated, "{why:#?}");
    assert!(why.why.contains("longest outage 2.0 s"), "{}", why.why);
    drill.goals = vec![("failover", Goal::MitigateWithin(Span::secs(3)), vec![])];
    assert_eq!(judged(&drill).verdict, Verdict::Held);
}

#[test]
fn an_outage_beyond_the_goal_is_never_held_whatever_the_threshold() {
    // Good for long, then 60 % bad for 25 s: on the mean the good time outweighs the outage, but users still waited.
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(30..55, 60)];
    drill.goals = vec![("failover", Goal::MitigateWithin(Span::secs(10)), vec![])];
    for per_cent in [30, 50, 70, 90] {
        let mut records = drill.records();
        if let Event::RunStarted { plan, .. } = &mut records[0].event {
            plan.objectives[0].good_at = Share::per_cent(per_cent);
        }
        let failover = &fold(&records).attacks[0].objectives[0];
        assert_ne!(failover.verdict, Verdict::Held, "{per_cent} %: {failover:#?}");
    }
}

#[test]
fn an_outage_over_the_heal_is_one() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(HOLD - 8..HOLD + 4, 100)];
    let outage = judged(&drill).attacks[0].figures[0].outage.expect("measured");
    assert!((11_900_000..12_100_000).contains(&outage.low_us), "{outage:?}");
}

#[test]
fn a_time_goal_does_not_depend_on_other_objectives() {
    // A total outage of 2.2 s exceeds the limit, whatever share another objective needs.
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(0..2, 100), (2..3, 20)];
    let time = ("failover", Goal::MitigateWithin(Span::millis(500)), vec![]);
    let half = ("users", Goal::Good(Share::per_cent(50)), vec![]);
    for goals in [vec![time.clone()], vec![time, half]] {
        drill.goals = goals;
        let failover = &judged(&drill).attacks[0].objectives[0];
        assert_eq!(failover.verdict, Verdict::Violated, "{failover:#?}");
        assert!(failover.why.contains("good again 2.2 s from the fault's start"), "{failover:#?}");
    }
}

#[test]
fn phases_end_when_the_plan_says() {
    // 12 s of outage begin with the heal, and the recovery is 8 s; the probes go on for long after it.
    let mut drill = Drill::one();
    let over = Drill::start(0) + HOLD;
    drill.acts[0].bad = vec![(HOLD..HOLD + 12, 100)];
    let mut records = drill.records();
    for record in &mut records {
        if let Event::Phase { phase: Phase::Recovery, until_us, .. } = &mut record.event {
            *until_us = (over + 8) * crate::testing::S;
        }
    }
    let attack = &fold(&records).attacks[0];
    let recovery = attack.figures[0].phases.iter().find(|one| one.phase == Phase::Recovery).expect("there");
    assert!(recovery.good.is_some_and(|good| good < 0.01), "{recovery:?}");
    assert!((790..=810).contains(&recovery.samples), "{recovery:?}");
}

#[test]
fn bad_requests_in_the_second_of_the_start_belong_to_the_fault() {
    // All bad requests are in the one bin across the fault's start.
    let mut drill = Drill::one();
    drill.acts[0].bad.clear();
    drill.goals = vec![("users", Goal::Good(Share::from_fraction(0.95).unwrap()), vec![Phase::Fault])];
    let edge = Drill::start(0) - 1;
    let with = move |first: u64| {
        move |_: &str, second: i64, bin: firedrill_wire::probe::Bin| {
            if second != edge {
                return Some(bin);
            }
            let mut bad = crate::testing::bin("buy", second, 40, 60);
            (bad.first_bad_us, bad.last_bad_us) = (Some(first), Some(first + 10_000));
            Some(bad)
        }
    };
    // The fault starts 980 ms into it.
    drill.bins = Box::new(with(985_000));
    let fault = |drill: &Drill| judged(drill).attacks[0].objectives[0].measured.value.unwrap();
    assert!(fault(&drill) < 1.0);
    drill.bins = Box::new(with(400_000));
    assert!(fault(&drill) >= 1.0, "what was bad before is not the fault's");
    drill.bins = Box::new(with(975_000));
    assert_eq!(judged(&drill).verdict, Verdict::Held, "both ways it holds");
    drill.goals[0].1 = Goal::Good(Share::from_fraction(0.9995).unwrap());
    assert_eq!(judged(&drill).verdict, Verdict::Unknown);
}
