//! Deletes waiting messages for a person: they are marked as given up with the person's name, and stay in the list.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    message::{now, rfc3339},
    spool::{Ended, Entry, Spool},
};

/// Maximum time to wait for a program that is sending. A try takes 10 s at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two attempts to get the channel's lock.
const AGAIN: Duration = Duration::from_millis(100);

/// Deletes the messages that wait for a channel; if ids are given, only those. Returns the deleted messages, the oldest first. Other programs may send
/// meanwhile: this function waits until a message that is being sent is finished.
///
/// # Errors
/// The spool cannot be read or written, another program keeps sending, or no message with one of the ids waits; in the last two cases nothing is
/// deleted. The error is a clause for people.
pub fn delete(spool: &Spool, channel: &str, ids: &[String], by: &str) -> Result<Vec<Entry>, String> {
    let end = Instant::now() + PATIENCE;
    delete_with(spool, channel, ids, by, || {
        thread::sleep(AGAIN);
        Instant::now() < end
    })
}

/// Deletes messages. While another program holds the lock, `waits` is called again and again: it waits a moment, and returns false to give up.
fn delete_with(
    spool: &Spool,
    channel: &str,
    ids: &[String],
    by: &str,
    mut waits: impl FnMut() -> bool,
) -> Result<Vec<Entry>, String> {
    let waiting = || -> Result<Vec<Entry>, String> {
        let pending = spool.pending().map_err(|error| format!("the spool cannot be read: {error}"))?;
        let wanted = |entry: &Entry| ids.is_empty() || ids.contains(&entry.message.id);
        Ok(pending.into_iter().filter(|entry| entry.channel == channel && wanted(entry)).collect())
    };
    let missing = |id: &String| format!("no message {id} waits for it, so nothing was deleted");
    // Messages are listed before the lock is taken: a message that arrives while this program waits for the lock is not deleted. Also, without a spool
    // there is no folder for a lock.
    let meant = waiting()?;
    if meant.is_empty() {
        return ids.first().map_or(Ok(Vec::new()), |id| Err(missing(id)));
    }
    let failed = |error: std::io::Error| format!("the spool cannot be written: {error}");
    let _lock = loop {
        match spool.lock(channel).map_err(failed)? {
            Some(lock) => break lock,
            None if waits() => {}
            None => {
                return Err(
                    "another program sends by this channel the whole time, so nothing was deleted".to_owned()
                );
            }
        }
    };
    // The program that held the lock before may have delivered some of them.
    let still_waiting: Vec<Entry> = meant.iter().filter_map(|entry| spool.again(entry)).collect();
    if let Some(id) = ids.iter().find(|id| !still_waiting.iter().any(|entry| entry.message.id == **id)) {
        return Err(missing(id));
    }
    for entry in &still_waiting {
        let (at, why) = (rfc3339(now()), format!("{by} deleted it"));
        spool.end(entry, Ended::GivenUp { at, why, by: Some(by.to_owned()) }).map_err(failed)?;
    }
    Ok(still_waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, What};

    /// Returns a spool with messages: the channel and the id of each.
    fn spool(messages: &[(&str, &str)]) -> (tempfile::TempDir, Spool) {
        let home = tempfile::tempdir().expect("a folder");
        let spool = Spool::of(home.path());
        for (channel, id) in messages {
            spool.put(channel, &Message::new(*id, What::Started, "a run")).expect("written");
        }
        (home, spool)
    }

    fn waiting(spool: &Spool) -> Vec<String> {
        spool.pending().expect("read").into_iter().map(|entry| entry.message.id).collect()
    }

    #[test]
    fn only_the_named_messages_are_deleted_and_the_list_names_the_person() {
        let (_home, spool) = spool(&[("old", "a"), ("ops", "b"), ("old", "c"), ("old", "d")]);
        let ids = ["c".to_owned(), "x".to_owned()];
        assert!(delete(&spool, "old", &ids, "alice").unwrap_err().contains("no message x waits"));
        assert_eq!(waiting(&spool), ["a", "b", "c", "d"], "nothing was deleted");
        assert_eq!(delete(&spool, "old", &ids[..1], "alice").unwrap().len(), 1);
        assert_eq!(waiting(&spool), ["a", "b", "d"]);
        assert_eq!(delete(&spool, "old", &[], "alice").unwrap().len(), 2);
        assert_eq!(waiting(&spool), ["b"]);
        let ended = spool.all().unwrap().ended;
        let by = |entry: &Entry| matches!(&entry.ended, Some(Ended::GivenUp { by: Some(by), why, .. }) if by == "alice" && why == "alice deleted it");
        assert!(ended.len() == 3 && ended.iter().all(by), "{ended:?}");
        assert!(
            spool.put("old", &Message::new("a", What::Started, "a run")).unwrap().is_none(),
            "it stays deleted"
        );
        assert_eq!(delete(&spool, "old", &[], "alice"), Ok(Vec::new()));
    }

    #[test]
    fn a_message_that_another_program_is_sending_is_not_deleted() {
        let (_home, spool) = spool(&[("ops", "a"), ("ops", "b")]);
        let held = spool.lock("ops").unwrap().expect("free");
        let give_up = || false;
        let refused = delete_with(&spool, "ops", &[], "alice", give_up);
        assert!(refused.unwrap_err().contains("nothing was deleted"));
        assert_eq!(waiting(&spool), ["a", "b"]);
        // The other program delivers the first message and releases the lock.
        let first = spool.pending().unwrap().remove(0);
        let other = spool.clone();
        let sends = thread::spawn(move || {
            other.end(&first, Ended::Delivered { at: "t".to_owned(), receipt: None }).unwrap();
            drop(held);
        });
        let deleted = delete(&spool, "ops", &[], "alice").unwrap();
        sends.join().unwrap();
        assert_eq!(deleted.iter().map(|entry| entry.message.id.as_str()).collect::<Vec<_>>(), ["b"]);
        spool.outcome("ops", "a").expect("the delivered one stays delivered");
    }

    #[test]
    fn a_message_that_comes_while_the_lock_is_waited_for_is_not_deleted() {
        let (_home, spool) = spool(&[("ops", "a")]);
        let mut held = spool.lock("ops").unwrap();
        assert!(held.is_some(), "free");
        let deleted = delete_with(&spool, "ops", &[], "alice", || {
            spool.put("ops", &Message::new("late", What::Started, "a run")).unwrap();
            held = None;
            true
        });
        assert_eq!(deleted.unwrap().iter().map(|entry| entry.message.id.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(waiting(&spool), ["late"]);
    }

    #[test]
    fn an_id_of_no_waiting_message_is_an_error() {
        let (home, spool) = spool(&[]);
        let refused = delete(&spool, "ops", &["x".to_owned()], "alice").unwrap_err();
        assert!(refused.contains("no message x waits"), "{refused}");
        assert!(!home.path().join(crate::spool::FOLDER).exists());
    }

    #[test]
    fn deleting_does_not_make_a_spool() {
        let (home, spool) = spool(&[]);
        assert_eq!(delete(&spool, "ops", &[], "alice"), Ok(Vec::new()));
        assert!(!home.path().join(crate::spool::FOLDER).exists());
    }
}
