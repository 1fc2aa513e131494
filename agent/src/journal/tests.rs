//! Tests of the journal as a whole: what is written is replayed, with its copy in `/run`, after compaction, and by readers.

use std::fs;

use firedrill_wire::{
    Fault, InjectionId, RunId, Span,
    api::About,
    fault::{ProcessMatch, ProcessPause},
    journal::State,
};
use proptest::prelude::*;

use super::*;
use crate::injection::{Ask, Basis, Live, Prepared};
use crate::time::HostTime;

mod damage;

fn here() -> Identity {
    Identity { machine_id: "m1".into(), boot_id: "b1".into() }
}

fn intent(id: &str) -> Intent {
    let which = ProcessMatch { name: Some(id.into()), ..ProcessMatch::default() };
    Intent {
        identity: here(),
        run: "r1".parse().unwrap(),
        plan_digest: "d".into(),
        about: About::default(),
        start_boot_us: 1,
        live: Live {
            ask: Ask {
                id: id.parse().unwrap(),
                fault: Fault::ProcessPause(ProcessPause { which }),
                hold: Span::secs(1),
            },
            prepared: Prepared {
                claims: Vec::new(),
                effects: Vec::new(),
                undo: vec![crate::undo::Undo::DeleteNftTable { table: id.into() }],
                switches: Vec::new(),
                notes: Vec::new(),
                basis: Basis::Text(String::new()),
            },
            ends_boot_us: 2,
            lease: Span::secs(1),
        },
    }
}

fn changed(id: &str, to: State) -> What {
    What::changed(&id.parse::<InjectionId>().unwrap(), &"r1".parse::<RunId>().unwrap(), to, None)
}

fn event(seq: u64, what: What) -> Record {
    Record::Event(AgentEvent { seq, boot_us: 1, boot_id: "b1".to_owned(), wall_us: 1, what })
}

fn tombstone(run: &str, stray: bool) -> Record {
    Record::Tombstone { stone: Tombstone::Run(run.parse().unwrap()), stray }
}

/// A state directory and a run directory of a test.
struct Disk {
    dir: tempfile::TempDir,
    paths: Paths,
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { state: dir.path().join("state"), run: dir.path().join("run"), runit: Vec::new() };
        Self { dir, paths }
    }

    fn open(&self) -> (Journal, Replayed) {
        Journal::open(&self.paths, &here(), &HostTime).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("state").join(FILE)
    }

    /// Writes a journal with seven events: the injection `a` is undone, `b` is in force, `c` is armed, and `alice` has halted the host. It also
    /// has a tombstone of the run `gone`.
    fn filled(&self) {
        let (mut journal, replayed) = self.open();
        assert_eq!(replayed, Replayed::default());
        journal.intents(&[intent("a"), intent("b"), intent("c")]).unwrap();
        for (id, steps) in [
            ("a", &[State::Injecting, State::InForce, State::Undoing, State::Undone][..]),
            ("b", &[State::Injecting, State::InForce]),
        ] {
            steps.iter().for_each(|to| drop(journal.event(changed(id, *to))));
        }
        journal.record(tombstone("gone", false)).unwrap();
        journal.event(What::Halted { by: "alice".into() });
        journal.sync();
    }
}

/// Returns the open injections with their states.
fn open(replayed: &Replayed) -> Vec<(&str, State)> {
    replayed.open().map(|found| (found.intent.id().as_str(), found.state)).collect()
}

#[test]
fn all_records_are_replayed() {
    let disk = Disk::new();
    disk.filled();
    let (journal, replayed) = disk.open();
    assert_eq!(open(&replayed), [("b", State::InForce), ("c", State::Armed)]);
    assert!(replayed.tombstones.bars_run(&"gone".parse().unwrap()));
    assert_eq!(replayed.halted_by.as_deref(), Some("alice"));
    assert!(replayed.damage.is_empty());
    assert_eq!((replayed.last_seq, journal.last_seq()), (7, 7));
    let text = fs::read_to_string(disk.file()).unwrap();
    assert!(text.lines().all(|line| line[9..].starts_with('{')), "readable");
}

#[test]
fn injections_stay_open_under_another_machine_id_or_boot() {
    let disk = Disk::new();
    disk.filled();
    write_copy(&disk.paths.run, &here(), 7, [(&intent("b"), State::InForce)].into_iter()).unwrap();
    let other = |machine: &str, boot: &str| Identity { machine_id: machine.into(), boot_id: boot.into() };
    for here in [other("m2", "b1"), other("m2", "b9"), other("m1", "b9")] {
        let (journal, replayed) = Journal::open(&disk.paths, &here, &HostTime).unwrap();
        assert_eq!(open(&replayed), [("b", State::InForce), ("c", State::Armed)], "{here:?}");
        assert!(replayed.injections.iter().all(|found| found.intent.identity == self::here()));
        assert!(replayed.damage.is_empty(), "{:?}", replayed.damage);
        assert_eq!((replayed.halted_by.as_deref(), journal.last_seq()), (Some("alice"), 7));
    }
    assert_eq!(read(&disk.paths).unwrap().open().count(), 2);
}

#[test]
fn the_copy_adds_lost_injections_and_opens_no_closed_one() {
    let disk = Disk::new();
    disk.filled();
    let copied = [intent("a"), intent("b"), intent("x")];
    write_copy(&disk.paths.run, &here(), 0, copied.iter().map(|intent| (intent, State::Armed))).unwrap();
    let replayed = read(&disk.paths).unwrap();
    let open = open(&replayed);
    // With damage, armed injections may have started.
    assert_eq!(open, [("b", State::InForce), ("c", State::Injecting), ("x", State::Injecting)]);
    fs::write(disk.paths.run.join(COPY_FILE), "{").unwrap();
    let replayed = read(&disk.paths).unwrap();
    assert!(replayed.damage[0].contains(COPY_FILE));
    write_copy(&disk.paths.run, &here(), 0, std::iter::empty()).unwrap();
    assert!(!disk.paths.run.join(COPY_FILE).exists());
}

#[test]
fn of_journal_and_copy_the_further_state_counts() {
    let disk = Disk::new();
    disk.filled();
    let mut better = intent("b");
    better.live.prepared.undo = vec![crate::undo::Undo::StopQueue { number: 7 }];
    let copied = [(&better, State::InForce), (&intent("c"), State::Armed), (&intent("a"), State::InForce)];
    write_copy(&disk.paths.run, &here(), 7, copied.into_iter()).unwrap();
    // An intact journal: the copy adds nothing.
    let whole = read(&disk.paths).unwrap();
    assert_eq!(open(&whole), [("b", State::InForce), ("c", State::Armed)]);
    assert!(whole.damage.is_empty(), "{:?}", whole.damage);
    // Cut after its intents: only the copy has the later states.
    let text = fs::read_to_string(disk.file()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(disk.file(), lines[..4].join("\n") + "\n").unwrap();
    let cut = read(&disk.paths).unwrap();
    assert_eq!(open(&cut), [("a", State::InForce), ("b", State::InForce), ("c", State::Injecting)]);
    assert_eq!(cut.injections[1].intent.live.prepared.undo, better.live.prepared.undo);
    assert_eq!(cut.last_seq, 7, "no number is given twice");
    assert!(cut.damage[0].contains("ends with event 0"), "{:?}", cut.damage);
    // The copy may be older than every start.
    write_copy(&disk.paths.run, &here(), 3, [(&intent("c"), State::Armed)].into_iter()).unwrap();
    assert!(open(&read(&disk.paths).unwrap()).iter().all(|(_, state)| *state == State::Injecting));
    fs::write(disk.paths.run.join(COPY_FILE), "{").unwrap();
    assert!(open(&read(&disk.paths).unwrap()).iter().all(|(_, state)| *state == State::Injecting));
}

#[test]
fn compaction_keeps_open_injections_and_those_of_the_runs_to_keep() {
    let disk = Disk::new();
    disk.filled();
    let (mut journal, _) = disk.open();
    journal.compact(&["r1".parse().unwrap()], true).unwrap();
    assert_eq!(disk.open().1.open().count(), 2, "open injections stay");
    for (id, steps) in [("b", &[State::Undoing, State::Undone][..]), ("c", &[State::Disarmed])] {
        steps.iter().for_each(|to| drop(journal.event(changed(id, *to))));
    }
    let last = journal.last_seq();
    journal.compact(&["r1".parse().unwrap()], true).unwrap();
    let (_, kept) = disk.open();
    assert_eq!((kept.injections.len(), kept.open().count(), kept.last_seq), (3, 0, last));
    journal.compact(&[], true).unwrap();
    let (_, less) = disk.open();
    assert_eq!((less.injections.len(), less.last_seq), (0, last));
    assert!(less.damage.is_empty(), "{:?}", less.damage);
    assert!(less.tombstones.bars_run(&"gone".parse().unwrap()));
    assert_eq!(less.halted_by.as_deref(), Some("alice"));
    let event = journal.event(What::Released { by: "bob".into() });
    journal.sync();
    assert_eq!(event.seq, last + 1);
    let mut tail = Tail::new(disk.file(), last);
    assert_eq!(tail.next(last + 1).unwrap(), [event]);
}

#[test]
fn compaction_keeps_open_injections_and_records_that_are_written_meanwhile() {
    let disk = Disk::new();
    disk.filled();
    let (mut journal, before) = disk.open();
    let better = vec![crate::undo::Undo::DeleteNftTable { table: "better".into() }];
    journal.record(Record::BetterUndo { injection: "b".parse().unwrap(), undo: better.clone() }).unwrap();
    for _ in 0..90 {
        journal.event(What::Released { by: "x".repeat(100_000) });
    }
    assert!(journal.begin_compaction(false).unwrap().is_some(), "it is long");
    assert!(journal.begin_compaction(false).unwrap().is_none(), "and not tried again at once");
    let long = journal.begin_compaction(true).unwrap().unwrap();
    journal.event(changed("b", State::Undoing));
    let short = long.shorten(&[], &[]).unwrap();
    journal.event(changed("c", State::Disarmed));
    let last = journal.last_seq();
    journal.take_shorter(short).unwrap();
    assert!(fs::metadata(disk.file()).unwrap().len() < 5_000_000, "only the newest events stay");
    let (_, after) = disk.open();
    assert!(after.damage.is_empty(), "{:?}", after.damage);
    assert_eq!((before.open().count(), after.last_seq), (2, last));
    assert_eq!(open(&after), [("b", State::Undoing)]);
    assert_eq!(after.open().next().unwrap().intent.live.prepared.undo, better);
    assert!(after.tombstones.bars_run(&"gone".parse().unwrap()));
}

#[test]
fn two_equal_intents_are_one_injection() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open();
    journal.intents(&[intent("a")]).unwrap();
    journal.intents(&[intent("a")]).unwrap();
    for to in [State::Injecting, State::InForce, State::Undoing] {
        journal.event(changed("a", to));
    }
    // The injection is not just armed any more, so another intent does not replace it.
    journal.intents(&[intent("a")]).unwrap();
    journal.event(changed("a", State::Undone));
    journal.sync();
    let replayed = disk.open().1;
    assert_eq!((replayed.injections.len(), replayed.open().count()), (1, 0), "{:?}", replayed.injections);
    // An injection that is armed again after its end is a new entry.
    journal.intents(&[intent("a")]).unwrap();
    let replayed = disk.open().1;
    assert_eq!(open(&replayed), [("a", State::Armed)]);
}

#[test]
fn a_flood_of_tombstones_of_unknown_runs_displaces_no_other_tombstone() {
    let mut stones = Tombstones::default();
    assert!(stones.add(&Tombstone::Run("mine".parse().unwrap())));
    for number in 0..10_000 {
        stones.add_stray(&Tombstone::Run(format!("x{number}").parse().unwrap()));
    }
    assert!(stones.bars_run(&"mine".parse().unwrap()) && stones.bars_run(&"x9999".parse().unwrap()));
    assert!(!stones.bars_run(&"x0".parse().unwrap()));
    assert!(!stones.add_stray(&Tombstone::Run("mine".parse().unwrap())), "it is there");
    assert_eq!(stones.records().last(), Some(tombstone("mine", false)), "and outlives a restart");
}

#[test]
fn tombstones_of_unknown_runs_displace_no_other_tombstone_after_a_restart() {
    let disk = Disk::new();
    disk.filled();
    let (mut journal, _) = disk.open();
    // More tombstones than the maximum of known and of unknown runs.
    for number in 0..=Tombstones::MOST {
        journal.waiting.push_back(tombstone(&format!("x{number}"), true));
    }
    journal.sync();
    let (mut journal, replayed) = disk.open();
    let gone = "gone".parse().unwrap();
    assert!(replayed.tombstones.bars_run(&gone) && !replayed.tombstones.bars_run(&"x0".parse().unwrap()));
    journal.compact(&[], true).unwrap();
    let again = disk.open().1;
    assert_eq!(
        again.tombstones, replayed.tombstones,
        "a shorter journal still tells known from unknown runs"
    );
    // Older agents wrote tombstones without `stray`.
    let old = r#"{"tombstone":{"run":"r9"}}"#;
    assert_eq!(serde_json::from_str::<Record>(old).unwrap(), tombstone("r9", false));
    assert_eq!(serde_json::to_string(&tombstone("r9", false)).unwrap(), old);
}

#[test]
fn a_reader_follows_through_a_rewrite_and_sees_nothing_unsafe() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open();
    let mut tail = Tail::new(disk.file(), 0);
    for seq in 1..=300_u64 {
        journal.event(What::Halted { by: "x".repeat(1000) });
        if seq % 100 == 0 {
            assert!(
                tail.next(seq - 100).unwrap().is_empty(),
                "newer events are not read before they are safe"
            );
            let mut got = 0;
            while tail.after() < seq {
                got += tail.next(seq).unwrap().len();
            }
            assert_eq!(got, 100);
            journal.compact(&[], true).unwrap();
        }
    }
}

#[test]
fn a_reader_that_has_seen_all_events_reads_only_new_bytes() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open();
    let halted = |journal: &mut Journal, by: &str| journal.event(What::Halted { by: by.into() });
    for _ in 0..10 {
        halted(&mut journal, "alice");
    }
    let last = journal.last_seq();
    let (mut seen, mut unseen) = (journal.tail(last), journal.tail(last - 1));
    // The bytes that were written before are unreadable from here on.
    let length = fs::metadata(disk.file()).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(disk.file()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![b'x'; usize::try_from(length).unwrap()], 0)
        .unwrap();
    let next = halted(&mut journal, "bob");
    assert_eq!(seen.next(next.seq).unwrap(), [next]);
    assert!(
        unseen.next(u64::MAX).is_ok_and(|read| read.is_empty()),
        "it reads the file from its start, and finds no record"
    );
    // In a shortened journal the records are at other offsets.
    journal.compact(&[], true).unwrap();
    let newest = halted(&mut journal, "carol");
    assert_eq!(seen.next(newest.seq).unwrap(), [newest]);
}

proptest! {
    #[test]
    fn any_bytes_are_replayed_as_damage(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let replayed = replay(&bytes);
        prop_assert!(replayed.injections.is_empty());
        prop_assert!(replayed.whole + replayed.torn == bytes.len() as u64);
        prop_assert_eq!(replayed.damage.is_empty(), bytes.is_empty());
    }
}

#[test]
fn only_events_are_lost_if_too_many_records_wait_for_a_full_disk() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open();
    journal.waiting.push_back(tombstone("gone", false));
    let events =
        (journal.waiting.len()..WAITING_MOST).map(|seq| event(seq as u64, changed("a", State::InForce)));
    journal.waiting.extend(events);
    journal.event(What::Halted { by: "alice".into() });
    journal.sync();
    drop(journal);
    let (_, replayed) = disk.open();
    assert!(replayed.tombstones.bars_run(&"gone".parse().unwrap()), "the tombstone was the oldest record");
}

#[test]
fn the_journal_works_without_a_run_directory() {
    let disk = Disk::new();
    disk.filled();
    fs::remove_dir_all(&disk.paths.run).unwrap();
    fs::write(&disk.paths.run, "").unwrap();
    let _lock = crate::guardian::Lock::take(&disk.paths, std::time::Duration::ZERO).unwrap();
    let (mut journal, replayed) = disk.open();
    // No copy can be read there, so armed injections may have started.
    assert_eq!(open(&replayed), [("b", State::InForce), ("c", State::Injecting)]);
    journal.event(changed("c", State::Disarmed));
    assert!(!journal.is_behind());
}

#[test]
fn an_injection_that_ended_without_a_journal_is_closed_and_one_armed_since_is_open() {
    let disk = Disk::new();
    disk.filled();
    let over = |id: &str| Closed::of(&intent(id), State::Undone, "removed".into(), Vec::new());
    keep_closed(&disk.paths.run, &here(), [over("b")]).unwrap();
    keep_closed(&disk.paths.run, &here(), [over("b"), over("a")]).unwrap();
    let (replayed, closed) = read_any(&disk.paths, &here());
    assert_eq!(open(&replayed), [("c", State::Armed)]);
    // Only `b`: the journal itself has the end of `a`.
    assert_eq!(closed, [over("b")]);

    let mut again = intent("b");
    again.start_boot_us += 1;
    disk.open().0.intents(&[again]).unwrap();
    let (replayed, _) = read_any(&disk.paths, &here());
    assert!(open(&replayed).contains(&("b", State::Armed)), "{:?}", open(&replayed));

    forget_closed(&disk.paths.run).unwrap();
    let (_, closed) = read_any(&disk.paths, &here());
    assert!(closed.is_empty());
}
