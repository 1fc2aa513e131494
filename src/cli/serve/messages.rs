//! Counts the messages for each channel in the spool of a directory of runs. Sends no message.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use firedrill_notify::{
    What,
    spool::{Ended, Entry, Watched},
};
use firedrill_room::{ChannelState, Messages, Undelivered};

/// The messages of a directory of runs.
#[derive(Debug)]
pub(super) struct Counted(Mutex<Watched<Kept>>);

/// The part of an ended message that is shown.
#[derive(Debug)]
struct Kept {
    channel: String,
    /// The time at which it was made, in microseconds since 1970.
    made_us: u64,
    /// The time at which it ended.
    at: String,
    /// Whether it was a test of the channel. The person who made it saw the result, so it does not count as given up.
    is_test: bool,
    /// Whether a person deleted it. That was wanted, so it does not count.
    is_deleted: bool,
    /// The message, if it was not delivered.
    lost: Option<Undelivered>,
}

impl Counted {
    /// Names the directory. Reads nothing.
    pub(super) fn of(reports: &Path) -> Self {
        Self(Mutex::new(Watched::of(reports, kept)))
    }

    /// Counts the messages of each channel.
    ///
    /// # Errors
    /// The spool cannot be read; as a text for people.
    pub(super) fn now(&self) -> Result<Messages, String> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look =
            watched.look().map_err(|error| format!("the messages to channels cannot be read: {error}"))?;
        // For each channel its counts, and the messages that were not delivered, each with the time at which it was made.
        let mut by_name: BTreeMap<String, (ChannelState, Vec<(u64, Undelivered)>)> = BTreeMap::new();
        for entry in look.pending {
            let (channel, undelivered) = by_name.entry(entry.channel.clone()).or_default();
            channel.waiting += 1;
            channel.tries = channel.tries.max(entry.tries);
            undelivered.push((entry.made_us, message(entry)));
        }
        for kept in look.ended.into_iter().filter(|kept| !kept.is_deleted) {
            let (channel, undelivered) = by_name.entry(kept.channel.clone()).or_default();
            // `took` and `failed` are the newest times; as texts they sort by time.
            let Some(lost) = &kept.lost else {
                channel.took = channel.took.take().max(Some(kept.at.clone()));
                continue;
            };
            channel.failed = channel.failed.take().max(Some(kept.at.clone()));
            if !kept.is_test {
                channel.given_up += 1;
                undelivered.push((kept.made_us, lost.clone()));
            }
        }
        let channels = by_name.into_iter().map(|(name, (channel, mut undelivered))| {
            undelivered.sort_by_key(|(made_us, _)| Reverse(*made_us));
            let newest =
                undelivered.into_iter().take(ChannelState::MOST).map(|(_, message)| message).collect();
            ChannelState { name, undelivered: newest, ..channel }
        });
        Ok(Messages { channels: channels.collect(), unreadable: look.unreadable })
    }
}

/// Returns the part of an ended message that is shown.
fn kept(mut entry: Entry) -> Kept {
    let is_deleted = matches!(&entry.ended, Some(Ended::GivenUp { by: Some(_), .. }));
    let (at, why) = match entry.ended.take() {
        Some(Ended::GivenUp { at, why, .. }) => (at, Some(why)),
        Some(Ended::Delivered { at, .. }) => (at, None),
        None => (String::new(), Some("its end is not known".to_owned())),
    };
    Kept {
        channel: entry.channel.clone(),
        made_us: entry.made_us,
        at,
        is_deleted,
        is_test: entry.message.what == What::Test,
        lost: why.map(|why| Undelivered { why, waits: false, ..message(entry) }),
    }
}

/// Returns a message that still waits.
fn message(entry: Entry) -> Undelivered {
    Undelivered {
        at: entry.message.at,
        title: entry.message.title,
        run: entry.message.run,
        tries: entry.tries,
        why: entry.last.unwrap_or_default(),
        waits: true,
    }
}

#[cfg(test)]
mod tests {
    use firedrill_notify::{Message, spool::Spool};

    use super::*;

    #[test]
    fn the_newest_undelivered_messages_are_shown_whether_they_wait_or_not() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::of(home.path());
        let ends = |id: &str, what, ended: Option<Ended>| {
            spool.put("ops", &Message::new(id, what, id)).unwrap().expect("new");
            let entry = spool.pending().unwrap().into_iter().find(|entry| entry.message.id == id).unwrap();
            ended.into_iter().for_each(|ended| spool.end(&entry, ended).unwrap());
        };
        let lost =
            |at: &str| Some(Ended::GivenUp { at: at.to_owned(), why: "status 404".to_owned(), by: None });
        let taken = Ended::Delivered { at: "2026-11-27T14:00:00Z".to_owned(), receipt: None };
        ends("taken", What::Started, Some(taken));
        (0..ChannelState::MOST).for_each(|number| ends(&format!("old {number}"), What::Ended, None));
        ends("new", What::Ended, lost("2026-11-27T15:00:00Z"));
        ends("test", What::Test, lost("2026-11-27T16:00:00Z"));
        let counted = Counted::of(home.path());
        let Messages { channels, unreadable } = counted.now().unwrap();
        let [ops] = channels.as_slice() else { panic!("{channels:?}") };
        assert_eq!((ops.waiting, ops.given_up, unreadable), (20, 1, 0));
        assert_eq!(ops.took.as_deref(), Some("2026-11-27T14:00:00Z"));
        assert_eq!(ops.failed.as_deref(), Some("2026-11-27T16:00:00Z"), "a test counts here too");
        let shown: Vec<&str> = ops.undelivered.iter().map(|one| one.title.as_str()).collect();
        assert_eq!((shown.len(), &shown[..2]), (ChannelState::MOST, &["new", "old 19"][..]));
        firedrill_notify::delete(&spool, "ops", &["new".to_owned()], "alice").unwrap_err();
        assert_eq!(firedrill_notify::delete(&spool, "ops", &[], "alice").unwrap().len(), ChannelState::MOST);
        let deleted = counted.now().unwrap().channels.remove(0);
        assert_eq!(
            (deleted.waiting, deleted.given_up, deleted.undelivered.len()),
            (0, 1, 1),
            "deleted messages do not count"
        );
        std::fs::write(home.path().join(".notify/ended/x.json"), "{").unwrap();
        assert_eq!(counted.now().unwrap().unreadable, 1);
    }
}
