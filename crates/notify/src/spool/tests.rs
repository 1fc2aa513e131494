use super::*;
use crate::message::What;

fn message(id: &str) -> Message {
    Message::new(id, What::Started, "Firedrill: a run has started")
}

#[test]
fn an_event_is_written_once_for_each_channel_and_never_again_after_its_end() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::of(home.path());
    assert!(
        spool.pending().unwrap().is_empty() && !home.path().join(FOLDER).exists(),
        "listing creates nothing"
    );
    let path = spool.put("ops", &message("r/started")).unwrap().expect("new");
    spool.sync(&path).unwrap();
    assert!(spool.put("ops", &message("r/started")).unwrap().is_none(), "the same event");
    assert!(spool.put("audit", &message("r/started")).unwrap().is_some(), "another channel");
    let entry = spool.pending().unwrap().remove(0);
    assert_eq!((entry.channel.as_str(), entry.tries), ("ops", 0));
    let ended = Ended::Delivered { at: "t".to_owned(), receipt: Some("17".to_owned()) };
    spool.end(&entry, ended).unwrap();
    assert!(spool.put("ops", &message("r/started")).unwrap().is_none(), "it was delivered");
    assert_eq!(spool.receipt("ops", "r/started").as_deref(), Some("17"));
    assert_eq!(spool.receipt("audit", "r/started"), None);
    let all = spool.all().unwrap();
    assert_eq!((all.pending.len(), all.ended.len(), all.unreadable.len()), (1, 1, 0));
}

#[test]
fn control_characters_in_the_texts_of_a_file_are_removed() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::of(home.path());
    spool.put("ops", &message("r/started")).unwrap().expect("new");
    let entry = spool.pending().unwrap().remove(0);
    let ended = Ended::GivenUp { at: "\u{1b}[2Jt".to_owned(), why: "\u{1b}]0;a".to_owned(), by: None };
    spool.end(&entry, ended).unwrap();
    let Some(Ended::GivenUp { at, why, .. }) = spool.all().unwrap().ended.remove(0).ended else {
        panic!("given up")
    };
    assert!(!at.contains('\u{1b}') && !why.contains('\u{1b}'), "{at:?} {why:?}");
}

#[test]
fn messages_keep_their_order_also_within_a_microsecond() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::of(home.path());
    let ids: Vec<String> = (0..50).rev().map(|number| format!("r/{number:02}")).collect();
    ids.iter().for_each(|id| drop(spool.put("ops", &message(id)).unwrap()));
    let found: Vec<String> = spool.pending().unwrap().into_iter().map(|entry| entry.message.id).collect();
    assert_eq!(found, ids);
}

#[test]
fn a_message_whose_end_is_written_is_not_sent_again_although_its_file_is_still_there() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::of(home.path());
    let path = spool.put("ops", &message("r/started")).unwrap().expect("new");
    let entry = spool.pending().unwrap().remove(0);
    let text = fs::read(&path).unwrap();
    spool.end(&entry, Ended::Delivered { at: "t".to_owned(), receipt: None }).unwrap();
    // This state is left if the program is killed between the two steps of `end`.
    fs::write(&path, text).unwrap();
    assert_eq!(spool.again(&entry), None);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_message_is_listed_and_does_not_hinder_others() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::of(home.path());
    let path = spool.put("ops", &message("r/started")).unwrap().expect("new");
    fs::write(path.with_file_name("torn.json"), "{\"v\":1").unwrap();
    fs::copy(&path, path.with_file_name("copied.json")).unwrap();
    fs::write(path.with_file_name(".x.json.part-1-1"), "{").unwrap();
    let all = spool.all().unwrap();
    assert_eq!((all.pending.len(), all.unreadable.len()), (1, 2));
}

#[test]
fn only_one_program_at_a_time_holds_the_lock_of_a_channel() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::of(home.path());
    spool.put("ops", &message("r/started")).unwrap();
    let held = spool.lock("ops").unwrap().expect("free");
    assert!(spool.lock("ops").unwrap().is_none(), "taken");
    assert!(spool.lock("audit").unwrap().is_some(), "another channel");
    drop(held);
    assert!(spool.lock("ops").unwrap().is_some(), "free again");
}

#[test]
fn a_wait_that_a_wrong_clock_wrote_is_ignored() {
    let mut entry = Entry::new("ops", message("x"), 0);
    let now = Duration::from_secs(1_000_000);
    assert!(entry.is_due(now));
    entry.next_us = micros(now + Duration::from_secs(300));
    assert!(!entry.is_due(now));
    entry.next_us = micros(now + Duration::from_secs(86_400));
    assert!(entry.is_due(now));
}
