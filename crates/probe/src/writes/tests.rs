//! Random histories of writes, random losses, and random ends of the file, against a model that knows the truth.

use std::collections::BTreeSet;

use firedrill_wire::{RunId, writes::Author};
use proptest::prelude::*;

use super::{
    classes::{Pass, classify, writes},
    entry::{Entry, Kind, LENGTH, NO_CAUSE},
    file::{Header, of_bytes, prefix},
    record::Record,
    store::Found,
};

/// The truth about one write: what the vantage heard, and what the store has at each pass.
#[derive(Clone, Debug)]
struct Truth {
    outcome: Option<Kind>,
    first: u32,
    second: u32,
    missed: bool,
}

fn truth() -> impl Strategy<Value = Truth> {
    let outcome = prop_oneof![
        5 => Just(Some(Kind::Acked)),
        1 => Just(Some(Kind::Refused)),
        1 => Just(Some(Kind::Unknown)),
        1 => Just(None),
    ];
    let times = || prop_oneof![6 => Just(1_u32), 3 => Just(0), 1 => Just(2)];
    (outcome, times(), times(), prop::bool::weighted(0.1))
        .prop_map(|(outcome, first, second, missed)| Truth { outcome, first, second, missed })
}

const FIRST: u64 = 1 << 32;
const PREFIX: &str = "r:p:v:";

fn header() -> Header {
    let author = author();
    Header { prefix: prefix(&author, "p"), author, probe: "p".to_owned(), boot_id: "b".to_owned(), number: 1 }
}

fn author() -> Author {
    Author { run: "r".parse::<RunId>().expect("an id"), vantage: "v".to_owned() }
}

/// Returns the entries of a history. Outcomes come `delay` writes later than intents.
fn entries(all: &[Truth], delay: usize) -> Vec<Entry> {
    let entry = |kind, number: usize, at_us| Entry {
        kind,
        code: NO_CAUSE,
        attempt: 0,
        seq: FIRST + number as u64,
        due_us: number as u64,
        at_us,
    };
    let mut entries = Vec::new();
    for number in 0..all.len() + delay {
        if number < all.len() {
            entries.push(entry(Kind::Intent, number, 10));
        }
        if let Some(ended) = number.checked_sub(delay)
            && let Some(kind) = all[ended].outcome
        {
            entries.push(entry(kind, ended, 20));
        }
    }
    let missed = all.iter().enumerate().filter(|(_, one)| one.missed);
    entries.extend(missed.map(|(number, _)| entry(Kind::Missed, number, 30)));
    entries
}

fn pass(all: &[Truth], times: impl Fn(&Truth) -> u32) -> Pass {
    let mut pass = Pass::default();
    for (number, one) in all.iter().enumerate() {
        let found = Found { key: format!("{PREFIX}{}", FIRST + number as u64), value: number as u64 };
        (0..times(one)).for_each(|_| pass.add(PREFIX, &found));
    }
    pass
}

proptest! {
    /// Each write is in the class that the truth says, and no other.
    #[test]
    fn each_write_is_in_its_class(all in prop::collection::vec(truth(), 0..60), delay in 0_usize..5) {
        let written = writes(entries(&all, delay));
        let known: BTreeSet<u64> = written.keys().copied().collect();
        let classes = classify(&written, &known, &pass(&all, |one| one.first), &pass(&all, |one| one.second));
        let count = |is: &dyn Fn(&Truth) -> bool| all.iter().filter(|one| is(one)).count() as u64;
        let acked = |one: &Truth| one.outcome == Some(Kind::Acked);
        let open = |one: &Truth| one.outcome.is_none() || one.outcome == Some(Kind::Unknown);
        let counts = classes.counts;
        prop_assert_eq!(counts.acked, count(&acked));
        prop_assert_eq!(counts.kept, count(&|one| acked(one) && one.second > 0));
        prop_assert_eq!(counts.lost, count(&|one| acked(one) && one.first == 0 && one.second == 0 && !one.missed));
        prop_assert_eq!(counts.lost_late, count(&|one| acked(one) && one.first > 0 && one.second == 0 && !one.missed));
        prop_assert_eq!(counts.lost_before, count(&|one| acked(one) && one.second == 0 && one.missed));
        prop_assert_eq!(counts.duplicate, count(&|one| acked(one) && one.first.max(one.second) > 1));
        prop_assert_eq!(counts.ghost, count(&|one| one.outcome == Some(Kind::Refused) && one.first.max(one.second) > 0));
        prop_assert_eq!(counts.unknown_present, count(&|one| open(one) && one.second > 0));
        prop_assert_eq!(counts.unknown_absent, count(&|one| open(one) && one.second == 0));
        prop_assert_eq!(counts.writes(), all.len() as u64);
        prop_assert_eq!(counts.kept + counts.newly_lost() + counts.lost_before, counts.acked);
        prop_assert_eq!((counts.foreign, counts.altered), (0, 0));
        prop_assert_eq!(classes.newly_lost.len() as u64, counts.newly_lost());
    }

    /// Wherever the file ends, it tells of no loss that did not happen, and all that it lacks is unknown or foreign.
    #[test]
    fn a_torn_end_never_invents_a_loss(
        all in prop::collection::vec(truth(), 1..40),
        delay in 0_usize..5,
        cut in 0.0_f64..1.0,
        noise in prop::collection::vec(any::<u8>(), 0..LENGTH),
    ) {
        let header = header().bytes().expect("short names");
        let body: Vec<u8> = entries(&all, delay).iter().flat_map(Entry::bytes).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
        let end = (body.len() as f64 * cut) as usize;
        let mut bytes = [&header, &body[..end]].concat();
        // The rest of a sector that a file system left.
        bytes.extend(&noise[..noise.len().min(LENGTH - end % LENGTH)]);
        let contents = of_bytes(&bytes).expect("its header is whole");
        prop_assert!(!contents.damaged);
        let written = writes(contents.entries);
        let known: BTreeSet<u64> = written.keys().copied().collect();
        let classes = classify(&written, &known, &pass(&all, |one| one.first), &pass(&all, |one| one.second));
        for seq in &classes.newly_lost {
            let truth = &all[usize::try_from(seq - FIRST).expect("small")];
            prop_assert!(truth.outcome == Some(Kind::Acked) && truth.second == 0, "{truth:?}");
        }
        let unseen = all.iter().enumerate().filter(|(number, one)| {
            !known.contains(&(FIRST + *number as u64)) && one.second > 0
        });
        prop_assert_eq!(classes.counts.foreign, unseen.count() as u64);
    }

    /// Damage in the middle is told: what lies behind it is not known.
    #[test]
    fn damage_in_the_middle_is_told(count in 3_usize..20, at in 0_usize..1000, bit in 0_usize..8) {
        let all = vec![Truth { outcome: Some(Kind::Acked), first: 1, second: 1, missed: false }; count];
        let header = header().bytes().expect("short names");
        let mut body: Vec<u8> = entries(&all, 0).iter().flat_map(Entry::bytes).collect();
        let at = at % (body.len() - 2 * LENGTH);
        body[at] ^= 1 << bit;
        let contents = of_bytes(&[header, body].concat()).expect("its header is whole");
        prop_assert!(contents.damaged);
        prop_assert_eq!(contents.entries.len(), at / LENGTH);
    }
}

#[test]
fn records_of_others_and_other_values_are_counted() {
    let all = vec![Truth { outcome: Some(Kind::Acked), first: 1, second: 1, missed: false }; 3];
    let written = writes(entries(&all, 0));
    let known = written.keys().copied().collect();
    let first = pass(&all, |_| 1);
    let mut second = Pass::default();
    for (key, value) in [
        (format!("{PREFIX}{FIRST}"), 0),
        (format!("{PREFIX}{}", FIRST + 1), 99),
        (format!("{PREFIX}{}", FIRST + 2), 2),
        (format!("{PREFIX}{}", FIRST + 3), 3),
        (format!("{PREFIX}0{FIRST}"), 0),
        (format!("{PREFIX}x"), 0),
        ("other".to_owned(), 0),
    ] {
        second.add(PREFIX, &Found { key, value });
    }
    let counts = classify(&written, &known, &first, &second).counts;
    assert_eq!((counts.kept, counts.altered, counts.foreign), (3, 1, 3));
}

#[test]
fn only_the_first_and_the_last_losses_are_examples() {
    let all = vec![Truth { outcome: Some(Kind::Acked), first: 0, second: 0, missed: false }; 100];
    let written = writes(entries(&all, 0));
    let known = written.keys().copied().collect();
    let classes = classify(&written, &known, &Pass::default(), &Pass::default());
    let seqs: Vec<u64> = classes.lost.iter().map(|one| one.seq - FIRST).collect();
    assert_eq!(seqs, (0..10).chain(90..100).collect::<Vec<_>>());
    assert_eq!((classes.counts.lost, classes.newly_lost.len()), (100, 100));
}

#[test]
fn each_start_has_a_file_and_numbers_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let begin = || Record::begin(folder.path(), &author(), "p").expect("begins");
    let first = begin();
    let one = first.intent(7).expect("writes");
    assert_eq!(one.seq(), 1 << 32);
    one.end(Kind::Acked, NO_CAUSE);
    let second = begin();
    drop(second.intent(8).expect("writes"));
    let files = second.read().expect("reads");
    let kinds = |at: usize| files[at].entries.iter().map(|entry| entry.kind).collect::<Vec<_>>();
    assert_eq!((files.len(), kinds(0)), (2, vec![Kind::Intent, Kind::Acked]));
    assert_eq!(kinds(1), [Kind::Intent, Kind::Unknown], "dropped without an outcome");
    assert_eq!(files[1].entries[0].seq, 2 << 32);
    assert_eq!(second.prefix(), "r:p:v:");
    let mut wrong = author();
    wrong.vantage = "a/b".to_owned();
    assert!(Record::begin(folder.path(), &wrong, "p").is_err());
    std::fs::remove_file(folder.path().join("r-p.1")).expect("removes");
    assert!(second.read().is_err(), "a file that is missing is not an empty one");
}
