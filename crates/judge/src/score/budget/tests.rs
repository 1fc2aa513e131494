//! Shares of budgets that known outages burn, and limits of them.

use firedrill_plan::plan::model::Budget;
use firedrill_wire::{Share, Span, evidence::Seen};

use super::*;
use crate::{
    log::{Event, Outcome},
    score::{card::Scorecard, fold},
    testing::{Act, Drill, stop},
};

/// Returns a budget that an outage of 72 s burns completely: 2 % of an hour.
fn budget(burn_below: Option<f64>) -> Budget {
    Budget {
        target: Share::per_cent(98),
        window: Span::secs(3600),
        affected: Share::ALL,
        burn_below: burn_below.and_then(Share::from_fraction),
    }
}

fn judged(drill: &Drill, budget: &Budget) -> Scorecard {
    let mut records = drill.records();
    for record in &mut records {
        if let Event::RunStarted { plan, .. } = &mut record.event {
            plan.budgets.insert("users".to_owned(), *budget);
        }
    }
    fold(&records)
}

/// Returns a drill with an outage of that many seconds from the fault's start on. Its objective allows most requests to fail.
fn outage(seconds: i64) -> Drill {
    let mut drill = Drill::one();
    drill.goals.truncate(1);
    drill.goals[0].1 = firedrill_plan::plan::model::Goal::Good(Share::per_cent(10));
    drill.acts[0].bad = if seconds > 0 { vec![(0..seconds, 100)] } else { Vec::new() };
    drill
}

fn burnt_in(card: &Scorecard) -> &BudgetCard {
    card.attacks[0].objectives[0].budget.as_deref().expect("a budget")
}

#[test]
fn an_outage_burns_its_time() {
    let card = judged(&outage(18), &budget(None));
    let found = burnt_in(&card);
    // 18 of 72 s, whose edges are sharp.
    assert!((found.burnt.unwrap() - 0.25).abs() < 0.003, "{found:?}");
    let (low, high) = (found.low.unwrap(), found.high.unwrap());
    assert!(low < 0.25 && 0.25 < high && low > 0.23 && high < 0.27, "{low} {high}");
    assert_eq!((found.verdict, card.verdict), (None, Verdict::Held));
    let third = Budget { affected: Share::per_cent(30), ..budget(None) };
    let part = judged(&outage(18), &third);
    assert!((burnt_in(&part).burnt.unwrap() - 0.3 * found.burnt.unwrap()).abs() < 1e-9);
    assert_eq!(
        judged(&outage(18), &budget(None)).budgets[0].budget.burnt,
        found.burnt,
        "one attack is the run"
    );
}

#[test]
fn a_limit_is_held_violated_or_too_close() {
    for (limit, verdict) in [(0.2, Verdict::Violated), (0.25, Verdict::Unknown), (0.4, Verdict::Held)] {
        let card = judged(&outage(18), &budget(Some(limit)));
        assert_eq!((burnt_in(&card).verdict, card.verdict), (Some(verdict), verdict), "{limit}");
        let why = &card.attacks[0].objectives[0].why;
        assert_eq!(why.contains("error budget burnt"), verdict != Verdict::Held, "{why}");
        assert_eq!(card.why, Vec::<String>::new(), "the attack has the reason");
    }
}

#[test]
fn time_without_measurements_may_have_burnt_and_gives_no_figure() {
    let mut drill = outage(18);
    drill.bins = Box::new(|_, second, bin| (!(50..60).contains(&second)).then_some(bin));
    let card = judged(&drill, &budget(Some(0.4)));
    let found = burnt_in(&card);
    assert_eq!((found.burnt, found.high, found.verdict), (None, None, Some(Verdict::Unknown)), "{found:?}");
    assert!(found.low.is_some_and(|low| low > 0.2 && low < 0.25), "{found:?}");
    assert!(found.figure().starts_with("unknown, 2"), "{}", found.figure());
    // The failures that were measured burn too much, even if none was missed.
    assert_eq!(burnt_in(&judged(&drill, &budget(Some(0.2)))).verdict, Some(Verdict::Violated));
    drill.bins = Box::new(|_, _, _| None);
    let none = judged(&drill, &budget(None));
    assert_eq!((burnt_in(&none).burnt, burnt_in(&none).figure().as_str()), (None, "unknown"));
    let mut cut = outage(18);
    cut.acts[0].outcome = Outcome::Aborted("a guard".to_owned());
    let aborted = judged(&cut, &budget(Some(0.4)));
    assert!(burnt_in(&aborted).burnt.is_some(), "it burnt what it burnt");
    assert_eq!(burnt_in(&aborted).verdict, Some(Verdict::Unknown));
}

#[test]
fn attacks_that_hold_by_themselves_can_be_too_much_together() {
    let mut drill = outage(18);
    let second = Act { name: "again", ..Act::new("again", &["app1"], stop()) };
    drill.acts.push(Act { bad: vec![(0..18, 100)], ..second });
    let card = judged(&drill, &budget(Some(0.4)));
    assert!(card.attacks.iter().all(|attack| attack.verdict == Some(Verdict::Held)), "{:?}", card.why);
    let sum = &card.budgets[0];
    assert_eq!(
        (sum.attacks, sum.budget.verdict, card.verdict),
        (2, Some(Verdict::Violated), Verdict::Violated)
    );
    assert_eq!(card.exit, 1);
    assert!((sum.budget.burnt.unwrap() - 0.5).abs() < 0.006, "{sum:?}");
    assert!(card.why[0].starts_with("users: in 2 attacks together 50"), "{:?}", card.why);
}

#[test]
fn an_attack_that_did_not_land_burns_nothing_that_is_known() {
    let mut drill = outage(18);
    let second = Act { bad: vec![(0..18, 100)], exercised: Seen::No, ..Act::new("again", &["app1"], stop()) };
    drill.acts.push(second);
    let card = judged(&drill, &budget(Some(0.4)));
    let void = card.attacks[1].objectives[0].budget.as_deref().expect("a budget");
    assert_eq!(
        (void.burnt, void.low, void.high, void.verdict),
        (None, Some(0.0), None, Some(Verdict::Unknown))
    );
    assert!(void.why.contains("never exercised"), "{void:?}");
    let sum = &card.budgets[0].budget;
    assert_eq!((sum.burnt, sum.high, sum.verdict), (None, None, Some(Verdict::Unknown)), "{sum:?}");
    assert_eq!(sum.low, burnt_in(&card).low, "only what the other one burnt");
    assert_eq!(card.verdict, Verdict::Unknown, "{:?}", card.why);
    // The share that the other attack burnt is too much alone.
    let little = judged(&drill, &budget(Some(0.2)));
    assert_eq!(little.budgets[0].budget.verdict, Some(Verdict::Violated));
}

#[test]
fn a_fault_that_was_never_in_force_burns_no_known_share() {
    let mut records = outage(18).records();
    records.retain(|record| !matches!(record.event, Event::Agent { .. }));
    if let Event::RunStarted { plan, .. } = &mut records[0].event {
        plan.budgets.insert("users".to_owned(), budget(None));
    }
    let card = fold(&records);
    let found = burnt_in(&card);
    assert_eq!(found.burnt, None, "{found:?}");
    assert_eq!(found.why, "service-stop on app1 was never in force");
}
