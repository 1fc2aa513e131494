//! Attacks on a moving target: those on other hosts than the leader do not count.

use firedrill_plan::plan::model::Leader;

use super::*;
use crate::log::{Outcome, Record};

/// Returns the records of a drill whose attacks are on the candidates of one target.
fn alternatives(drill: &Drill) -> Vec<Record> {
    let mut records = drill.records();
    for record in &mut records {
        if let Event::RunStarted { plan, .. } = &mut record.event {
            for attack in &mut plan.attacks {
                attack.base = "stop the leader".to_owned();
                attack.leader =
                    Some(Leader { target: "leader".to_owned(), host: attack.injections[0].host.clone() });
            }
        }
    }
    records
}

#[test]
fn a_spared_attack_does_not_count() {
    let mut drill = Drill::good();
    drill.acts[1].outcome = Outcome::Spared("the leader was app1".to_owned());
    drill.ends.truncate(1);
    let card = fold(&alternatives(&drill));
    assert_eq!(card.attacks[1].course, Course::Spared("the leader was app1".to_owned()));
    assert_eq!((card.attacks[1].verdict, card.attacks[1].word()), (None, "spared"));
    assert_eq!((card.verdict, card.exit, card.ran, card.planned), (Verdict::Held, 0, 1, 1), "{:?}", card.why);
    assert!(card.score.is_some() && card.story.starts_with("One failure, held"), "{}", card.story);
}

#[test]
fn without_a_leader_the_run_is_unknown() {
    let mut drill = Drill::good();
    drill.acts[0].outcome = Outcome::NotRun("two hosts answered".to_owned());
    drill.acts[1].outcome = Outcome::Spared("two hosts answered".to_owned());
    drill.ends.clear();
    let card = fold(&alternatives(&drill));
    assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Unknown as u8));
    assert_eq!((card.ran, card.planned), (0, 1));
    assert_eq!(card.story, "One failure planned, none run: two hosts answered.");
}

#[test]
fn the_leader_counts_also_if_the_log_ends_before_its_attack_begins() {
    let mut drill = Drill::good();
    drill.acts[0].outcome = Outcome::Spared("the leader was app2".to_owned());
    let whole = alternatives(&drill);
    let spared =
        |record: &Record| matches!(&record.event, Event::AttackEnded { outcome: Outcome::Spared(_), .. });
    let cut = whole.iter().position(spared).unwrap() + 1;
    let card = fold(&whole[..cut]);
    assert!(matches!(card.attacks[0].course, Course::Spared(_)), "{:?}", card.attacks[0].course);
    assert!(matches!(card.attacks[1].course, Course::NotRun(_)), "{:?}", card.attacks[1].course);
    assert_eq!((card.planned, card.verdict), (1, Verdict::Unknown));
}

#[test]
fn of_alternatives_in_a_cut_log_one_counts() {
    let drill = Drill::good();
    let whole = alternatives(&drill);
    let begun = |record: &Record| matches!(record.event, Event::Phase { .. });
    let cut = whole.iter().position(begun).unwrap();
    let card = fold(&whole[..cut]);
    assert!(matches!(card.attacks[0].course, Course::NotRun(_)), "{:?}", card.attacks[0].course);
    assert!(matches!(card.attacks[1].course, Course::Spared(_)), "{:?}", card.attacks[1].course);
    assert_eq!((card.planned, card.verdict), (1, Verdict::Unknown));
}
