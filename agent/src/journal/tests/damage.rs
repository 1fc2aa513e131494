//! Journals that are torn, flipped, cut, deleted or replaced.

use super::*;

#[test]
fn a_torn_record_is_cut_off_and_reported() {
    let disk = Disk::new();
    disk.filled();
    let whole = fs::read(disk.file()).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in last + 1..whole.len() {
        fs::write(disk.file(), &whole[..cut]).unwrap();
        let (mut journal, replayed) = disk.open();
        assert_eq!(open(&replayed).len(), 2);
        assert_eq!(replayed.halted_by, None, "the last record was the halt");
        assert!(replayed.damage[0].contains("never finished"), "{:?}", replayed.damage);
        journal.event(What::Halted { by: "bob".into() });
        journal.sync();
        let (_, replayed) = disk.open();
        assert!(replayed.damage.is_empty());
        assert_eq!(replayed.halted_by.as_deref(), Some("bob"));
    }
}

#[test]
fn a_damaged_byte_is_reported_and_costs_at_most_one_record() {
    let disk = Disk::new();
    disk.filled();
    let whole = fs::read(disk.file()).unwrap();
    let records = whole.iter().filter(|&&byte| byte == b'\n').count();
    for at in 0..whole.len() - 1 {
        for flip in [0x20, whole[at] ^ b'\n'] {
            if flip == 0 {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let replayed = replay(&bytes);
            assert!(!replayed.damage.is_empty(), "byte {at} ^ {flip:#x}");
            let line = whole[..at].iter().filter(|&&byte| byte == b'\n').count();
            // Line 0 is the header, lines 1 to 3 are the intents. Only the intent in the damaged line may be missing.
            for (intent, id) in [(1, "a"), (2, "b"), (3, "c")] {
                let known = replayed.injections.iter().any(|found| found.intent.id().as_str() == id);
                assert!(known || line == intent, "byte {at} ^ {flip:#x} of line {line}: {id}");
            }
            assert!(line < records);
            // The injection in force is still open, unless its own intent is damaged.
            if line != 2 {
                assert!(
                    open(&replayed).iter().any(|(id, _)| *id == "b"),
                    "byte {at} ^ {flip:#x} of line {line}"
                );
            }
        }
    }
}

#[test]
fn compaction_of_a_damaged_journal_changes_no_open_injection() {
    let disk = Disk::new();
    disk.filled();
    let whole = fs::read(disk.file()).unwrap();
    let header =
        Record::Header { format: record::FORMAT, identity: here(), version: "1".to_owned(), last_seq: 0 };
    for at in 0..whole.len() {
        for flip in [0x20, whole[at] ^ b'\n', whole[at] ^ b'x'] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let before = replay(&bytes);
            let short = rewrite::shorter(&bytes, &before, header.clone(), &[]).unwrap();
            assert_eq!(open(&replay(&short)), open(&before), "byte {at} ^ {flip:#x}");
        }
    }
    // A journal that was cut, perhaps within a record, and to which more records were written.
    for cut in 1..whole.len() {
        let mut bytes = whole[..cut].to_vec();
        for (id, to) in [("c", State::Disarmed), ("b", State::Undoing), ("b", State::Undone)] {
            bytes.extend(record::encode(&event(99, changed(id, to))).unwrap());
        }
        let before = replay(&bytes);
        let short = rewrite::shorter(&bytes, &before, header.clone(), &[]).unwrap();
        assert_eq!(open(&replay(&short)), open(&before), "cut at {cut}");
    }
}

#[test]
fn an_injection_with_a_lost_record_is_undone_once_more() {
    let disk = Disk::new();
    disk.filled();
    let text = fs::read_to_string(disk.file()).unwrap();
    let without: String =
        text.lines().filter(|line| !line.contains("undoing")).map(|line| format!("{line}\n")).collect();
    let replayed = replay(without.as_bytes());
    assert_eq!(open(&replayed)[0], ("a", State::Undoing));
    assert!(!replayed.damage.is_empty());
}

#[test]
fn injections_that_are_over_stay_closed_if_records_are_damaged() {
    let disk = Disk::new();
    disk.filled();
    let over = |id: &str, state| Closed::of(&intent(id), state, String::new(), Vec::new());
    let closed = [over("b", State::Undone), over("c", State::Disarmed), over("x", State::Undone)];
    keep_closed(&disk.paths.run, &here(), closed.clone()).unwrap();
    // The copy is older, and its number proves that the journal was cut: without the list of closed injections all three would be open.
    let copied =
        [(&intent("b"), State::InForce), (&intent("c"), State::Armed), (&intent("x"), State::InForce)];
    write_copy(&disk.paths.run, &here(), 99, copied.into_iter()).unwrap();
    assert_eq!(
        open(&read(&disk.paths).unwrap()),
        [("b", State::InForce), ("c", State::Injecting), ("x", State::InForce)]
    );
    let (replayed, closed_by_list) = read_any(&disk.paths, &here());
    assert_eq!((open(&replayed), closed_by_list), (vec![], closed.to_vec()));
    assert!(!replayed.damage.is_empty());

    // The same with the copy alone.
    fs::remove_file(disk.file()).unwrap();
    fs::create_dir(disk.file()).unwrap();
    let (replayed, closed_by_list) = read_any(&disk.paths, &here());
    assert_eq!((open(&replayed), closed_by_list), (vec![], closed.to_vec()));
    assert!(!replayed.damage.is_empty());
}

#[test]
fn a_journal_that_was_cut_is_not_shortened_and_loses_no_open_injection() {
    let disk = Disk::new();
    disk.filled();
    let (mut journal, _) = disk.open();
    let empty = || fs::File::options().write(true).open(disk.file()).unwrap().set_len(0).unwrap();
    // Cut after two compactions began; a later record makes the file long again, with a hole before it.
    let [first, second] = [(); 2].map(|()| journal.begin_compaction(true).unwrap().unwrap());
    empty();
    journal.event(changed("b", State::Undoing));
    assert!(journal.begin_compaction(true).unwrap().is_none(), "it has a hole");
    // The bytes that the compactions read have the hole.
    assert!(second.shorten(&[], &["b".parse().unwrap()]).unwrap_err().chain().contains("it lacks b"));
    journal.take_shorter(first.shorten(&[], &[]).unwrap()).unwrap();
    assert_eq!(journal.lost(), Some(Lost::Cut), "the next check makes it anew");
    assert!(!disk.file().with_extension("damaged").exists());
}

#[test]
fn a_file_that_was_deleted_replaced_or_cut_is_noticed_and_made_anew() {
    for (damage, lost) in [
        ("delete", Lost::Deleted),
        ("replace", Lost::Replaced),
        ("empty", Lost::Cut),
        ("cut", Lost::Cut),
        ("empty and delete", Lost::Deleted),
        ("empty and replace", Lost::Replaced),
    ] {
        for write_before in [false, true] {
            let disk = Disk::new();
            disk.filled();
            let (mut journal, before) = disk.open();
            journal.sync();
            assert_eq!(journal.lost(), None);
            let length = fs::metadata(disk.file()).unwrap().len();
            let short = match damage {
                "cut" => length - 7,
                _ if damage.starts_with("empty") => 0,
                _ => length,
            };
            fs::File::options().write(true).open(disk.file()).unwrap().set_len(short).unwrap();
            if write_before {
                journal.event(changed("b", State::Undoing));
            }
            match damage {
                _ if damage.ends_with("delete") => fs::remove_file(disk.file()).unwrap(),
                _ if damage.ends_with("replace") => {
                    super::replace(&disk.file(), b"not a journal\n", 0o600).unwrap();
                }
                _ => {}
            }
            assert_eq!(journal.lost(), Some(lost), "{damage}");
            let b = before.open().find(|found| found.intent.id().as_str() == "b").unwrap();
            let mut known = vec![tombstone("gone", false), Record::Intent(Box::new(b.intent.clone()))];
            let halted = What::Halted { by: "alice".into() };
            for what in [halted, changed("b", State::Injecting), changed("b", State::InForce)] {
                known.push(event(before.last_seq, what));
            }
            journal.make_anew(lost, &known).unwrap();
            assert_eq!(journal.lost(), None, "{damage}");
            let (_, after) = disk.open();
            assert!(after.damage.is_empty(), "{damage}: {:?}", after.damage);
            let state = if write_before { State::Undoing } else { State::InForce };
            let found = after.open().find(|found| found.intent.id().as_str() == "b").unwrap();
            assert_eq!((found.state, after.last_seq), (state, journal.last_seq()), "{damage}");
            assert!(after.tombstones.bars_run(&"gone".parse().unwrap()));
            assert_eq!(after.halted_by.as_deref(), Some("alice"), "{damage}");
            assert_eq!(disk.file().with_extension("replaced").exists(), lost == Lost::Replaced);
        }
    }
}

#[test]
fn an_injection_that_is_over_is_not_open_in_a_journal_that_is_made_anew() {
    let disk = Disk::new();
    disk.filled();
    let text = fs::read_to_string(disk.file()).unwrap();
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    // Within each record, before its line break, and after it.
    let cuts = ends.iter().flat_map(|end| [end - 20, *end, end + 1]).chain([0]);
    for (cut, write) in cuts.flat_map(|cut| [(cut, false), (cut, true)]) {
        let disk = Disk::new();
        disk.filled();
        let (mut journal, before) = disk.open();
        journal.sync();
        fs::File::options().write(true).open(disk.file()).unwrap().set_len(cut as u64).unwrap();
        if write {
            journal.event(What::Released { by: "bob".into() });
        }
        // The agent's memory has forgotten `a`, which is undone.
        let mut known: Vec<Record> =
            before.open().map(|found| Record::Intent(Box::new(found.intent.clone()))).collect();
        for to in [State::Injecting, State::InForce] {
            known.push(event(before.last_seq, changed("b", to)));
        }
        journal.make_anew(Lost::Cut, &known).unwrap();
        let after = disk.open().1;
        assert_eq!(open(&after), [("b", State::InForce), ("c", State::Armed)], "cut at {cut}");
        assert!(after.damage.is_empty(), "cut at {cut}: {:?}", after.damage);
    }
}
