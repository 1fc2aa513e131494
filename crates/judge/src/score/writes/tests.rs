use firedrill_plan::plan::model::{COORDINATOR, Goal, LostWrites};

use firedrill_wire::writes::Counts;

use super::*;
use crate::{
    log::{Event, Record},
    score,
    score::card::ObjectiveCard,
    testing::{Drill, S},
};

const NONE: LostWrites = LostWrites { at_most: 0, duplicates: None, ghosts: None };

/// Counts of writes that were all kept but for those that are lost.
fn counts(acked: u64, lost: u64) -> Counts {
    Counts { acked, kept: acked - lost, lost, ..Counts::default() }
}

fn read(moment: Moment, counts: Counts) -> WritesRead {
    let example = |second: i64| WriteExample {
        seq: 1,
        due_us: Some(second * S),
        at_us: Some(second * S + 1000),
        late: false,
        cause: None,
    };
    WritesRead {
        attack: 0,
        moment,
        vantage: COORDINATOR.to_owned(),
        probe: "buy".to_owned(),
        from_us: 0,
        lost: if counts.newly_lost() > 0 { vec![example(25), example(40)] } else { Vec::new() },
        counts: Some(counts),
        ghosts: Vec::new(),
        failed: None,
    }
}

/// A drill of one attack whose fault begins in the second 21.
fn records(limits: LostWrites, told: Vec<WritesRead>) -> Vec<Record> {
    let at = |one: &WritesRead| if one.moment == Moment::Before { 20 } else { 122 };
    let mut drill = Drill::one();
    drill.vantages = vec![COORDINATOR];
    drill.goals = vec![("kept", Goal::LostWrites(limits), vec![])];
    drill.extra = told.into_iter().map(|one| (at(&one), Event::WritesRead(one))).collect();
    drill.records()
}

fn judged(limits: LostWrites, told: Vec<WritesRead>) -> ObjectiveCard {
    score::fold(&records(limits, told)).attacks.remove(0).objectives.remove(0)
}

/// Judged after a sound read-back before the fault.
fn after(limits: LostWrites, counts_after: Counts) -> ObjectiveCard {
    judged(limits, vec![read(Moment::Before, counts(100, 0)), read(Moment::After, counts_after)])
}

#[test]
fn each_lost_write_is_proof_and_none_holds() {
    let held = after(NONE, counts(500, 0));
    assert_eq!((held.verdict, held.why.as_str()), (Verdict::Held, "0 of 400 acknowledged writes are lost"));
    assert_eq!(held.goal, "no acknowledged write lost");
    let violated = after(NONE, counts(500, 1));
    assert_eq!(violated.verdict, Verdict::Violated);
    assert!(
        violated.why.starts_with("1 of 400 acknowledged writes is lost, the first was due")
            && violated.why.contains("after the fault's start"),
        "{}",
        violated.why
    );
    assert_eq!((violated.measured.value, violated.measured.samples), (Some(1.0), 400));
    assert_eq!(after(LostWrites { at_most: 1, ..NONE }, counts(500, 1)).verdict, Verdict::Held);
    let late = Counts { lost_late: 1, kept: 499, ..counts(500, 0) };
    assert_eq!(after(NONE, late).verdict, Verdict::Violated);
    let gone = |acked| Counts { lost_before: 7, kept: acked - 7, ..counts(acked, 0) };
    let earlier = judged(NONE, vec![read(Moment::Before, gone(100)), read(Moment::After, gone(500))]);
    assert_eq!(earlier.verdict, Verdict::Held, "another attack's");
    let unheard = after(NONE, gone(500));
    assert_eq!(
        (unheard.verdict, unheard.measured.value),
        (Verdict::Violated, Some(7.0)),
        "told, and never heard"
    );
}

#[test]
fn what_is_not_known_is_never_held() {
    let unknown = |card: ObjectiveCard, why: &str| {
        assert_eq!(card.verdict, Verdict::Unknown, "{card:?}");
        assert!(card.why.contains(why), "{}", card.why);
    };
    unknown(judged(NONE, vec![]), "were not read back after the recovery");
    unknown(judged(NONE, vec![read(Moment::Before, counts(100, 0))]), "were not read back");
    let failed = |counts| WritesRead {
        counts,
        failed: Some("status 503".to_owned()),
        ..read(Moment::After, Counts::default())
    };
    let before = || read(Moment::Before, counts(100, 0));
    unknown(judged(NONE, vec![before(), failed(None)]), "could not be read back: status 503");
    unknown(judged(NONE, vec![before(), failed(Some(counts(500, 0)))]), "status 503");
    let damaged = WritesRead { failed: Some("damaged".to_owned()), ..read(Moment::After, counts(500, 2)) };
    assert_eq!(judged(NONE, vec![before(), damaged]).verdict, Verdict::Violated, "what is lost is lost");
    // What was lost before the fault would count as its work.
    unknown(judged(NONE, vec![read(Moment::After, counts(500, 2))]), "not read back before the fault");
    let unread = WritesRead { counts: None, failed: Some("timeout".to_owned()), ..before() };
    unknown(judged(NONE, vec![unread, read(Moment::After, counts(500, 0))]), "before the fault: timeout");
    // A baseline that was measured again counts, and not the one before.
    let again = vec![before(), read(Moment::Before, counts(480, 0)), read(Moment::After, counts(500, 0))];
    assert_eq!(judged(NONE, again).why, "0 of 20 acknowledged writes are lost");
    unknown(after(NONE, counts(100, 0)), "no write was acknowledged");
    // 400 acknowledged, and 21 or 22 that may be there.
    let open = |unknown_present| Counts { unknown_present, ..counts(500, 0) };
    assert_eq!(after(NONE, open(21)).verdict, Verdict::Held);
    unknown(after(NONE, open(22)), "22 of 422 writes have an unknown outcome");
    // Records that the write record lacks are writes of which nobody knows the outcome.
    let foreign = |foreign| Counts { foreign, ..counts(500, 0) };
    assert_eq!(after(NONE, foreign(21)).verdict, Verdict::Held);
    unknown(after(NONE, foreign(22)), "22 of 422 writes have an unknown outcome");
    let lost = Counts { unknown_absent: 300, ..counts(500, 3) };
    assert_eq!(after(NONE, lost).verdict, Verdict::Violated, "acknowledged and lost is proof");
}

#[test]
fn a_lost_write_is_proof_also_on_a_host_that_is_attacked() {
    let on_target = |told: Vec<WritesRead>| {
        let mut drill = Drill::one();
        drill.vantages = vec![COORDINATOR, "app1"];
        drill.goals = vec![("kept", Goal::LostWrites(NONE), vec![])];
        let at = |one: &WritesRead| if one.moment == Moment::Before { 20 } else { 122 };
        drill.extra = told.into_iter().map(|one| (at(&one), Event::WritesRead(one))).collect();
        score::fold(&drill.records()).attacks.remove(0).objectives.remove(0)
    };
    let here = |moment, counts| WritesRead { vantage: "app1".to_owned(), ..read(moment, counts) };
    let sound = || vec![read(Moment::Before, counts(100, 0)), read(Moment::After, counts(500, 0))];
    let both = |lost| {
        let there = [here(Moment::Before, counts(100, 0)), here(Moment::After, counts(500, lost))];
        sound().into_iter().chain(there).collect()
    };
    assert_eq!(on_target(both(3)).verdict, Verdict::Violated);
    assert_eq!(on_target(both(0)).verdict, Verdict::Held);
    let unknown = on_target(sound().into_iter().chain([here(Moment::Before, counts(100, 0))]).collect());
    assert_eq!(unknown.verdict, Verdict::Held, "it is only shown");
}

#[test]
fn a_record_with_another_value_is_not_kept() {
    let card = after(NONE, Counts { altered: 2, ..counts(500, 0) });
    assert_eq!((card.verdict, card.measured.value), (Verdict::Violated, Some(2.0)));
    assert_eq!(card.why, "2 of 400 acknowledged writes are there with another value");
    let allowed = LostWrites { at_most: 2, ..NONE };
    assert_eq!(after(allowed, Counts { altered: 2, ..counts(500, 0) }).verdict, Verdict::Held);
    assert_eq!(after(allowed, Counts { altered: 2, ..counts(500, 1) }).verdict, Verdict::Violated);
}

#[test]
fn duplicates_and_ghosts_count_where_they_are_asked_for() {
    let odd = Counts { duplicate: 2, ghost: 1, refused: 1, ..counts(500, 0) };
    assert_eq!(after(NONE, odd).verdict, Verdict::Held);
    let card = after(LostWrites { duplicates: Some(1), ..NONE }, odd);
    assert_eq!(card.verdict, Verdict::Violated);
    assert!(card.why.contains("2 of 400 acknowledged writes are there more than once"), "{}", card.why);
    let card = after(LostWrites { ghosts: Some(0), ..NONE }, odd);
    assert_eq!(
        (card.verdict, card.why.as_str()),
        (Verdict::Violated, "1 write that the store refused is there")
    );
    assert_eq!(
        after(LostWrites { ghosts: Some(1), duplicates: Some(2), ..NONE }, odd).verdict,
        Verdict::Held
    );
}

#[test]
fn a_store_that_loses_before_the_fault_says_nothing_of_the_fault() {
    let told = vec![read(Moment::Before, counts(100, 1)), read(Moment::After, counts(500, 5))];
    let mut card = score::fold(&records(NONE, told));
    let attack = card.attacks.remove(0);
    assert_eq!(attack.verdict, Some(Verdict::Unknown));
    assert!(attack.why.iter().any(|why| why.contains("loses writes without the fault")), "{:?}", attack.why);
    assert_eq!(attack.writes.len(), 2);
}
