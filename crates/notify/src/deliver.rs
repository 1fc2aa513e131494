//! Tries the messages that wait, each channel's in their order. Whoever tries has the channel's lock, and reads the message again before.

use std::time::Duration;

use crate::{
    backoff::{is_over, wait},
    file::Channel,
    message::{Message, now, rfc3339},
    read::Channels,
    send::{Sent, send},
    spool::{Ended, Entry, Spool, micros},
};

/// The time after which a lock that another program has is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The result of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It was delivered.
    Delivered,
    /// It was given up, for this reason.
    GivenUp(String),
    /// It waits again, for this reason.
    Waits(String),
    /// Another program sends for this channel.
    Busy,
    /// Another program has ended the message.
    Gone,
}

/// Tries one message. With `once` a failure is the end.
pub(crate) async fn attempt(
    spool: &Spool,
    entry: &Entry,
    channel: &Channel,
    once: bool,
) -> Result<Tried, String> {
    let failed = |error: std::io::Error| format!("the spool cannot be written: {error}");
    // Held until the state is written.
    let Some(_lock) = spool.lock(&entry.channel).map_err(failed)? else { return Ok(Tried::Busy) };
    let Some(entry) = spool.again(entry) else { return Ok(Tried::Gone) };
    // A spool that cannot be written is found before the message is sent: afterwards the message would be sent again and again.
    spool.save(&entry).map_err(failed)?;
    let begun = entry.message.begun.as_ref();
    let receipt = begun.and_then(|begun| spool.receipt(&entry.channel, &begun.id));
    let sent = send(channel, &entry.message, receipt.as_deref()).await;
    let now = now();
    let at = rfc3339(now);
    let (why, after) = match sent {
        Sent::Taken { receipt } => {
            spool.end(&entry, Ended::Delivered { at, receipt }).map_err(failed)?;
            return Ok(Tried::Delivered);
        }
        Sent::Never { why } => {
            spool.end(&entry, Ended::GivenUp { at, why: why.clone(), by: None }).map_err(failed)?;
            return Ok(Tried::GivenUp(why));
        }
        Sent::Later { why, after } => (why, after),
    };
    let failing_us = entry.failing_us.unwrap_or_else(|| micros(now));
    let made = Duration::from_micros(entry.made_us);
    if once || is_over(made, Duration::from_micros(failing_us), now) {
        spool.end(&entry, Ended::GivenUp { at, why: why.clone(), by: None }).map_err(failed)?;
        pass_on(spool, &entry.channel, failing_us).map_err(failed)?;
        return Ok(Tried::GivenUp(why));
    }
    let tries = entry.tries.saturating_add(1);
    let next_us = micros(now + wait(tries, after));
    let last = Some(why.clone());
    spool.save(&Entry { tries, failing_us: Some(failing_us), next_us, last, ..entry }).map_err(failed)?;
    Ok(Tried::Waits(why))
}

/// Tells the next message of a channel since when the channel fails, so that messages that waited behind another do not wait as long again.
fn pass_on(spool: &Spool, channel: &str, failing_us: u64) -> std::io::Result<()> {
    let pending = spool.pending()?;
    match pending.into_iter().find(|entry| entry.channel == channel && entry.failing_us.is_none()) {
        Some(next) => spool.save(&Entry { failing_us: Some(failing_us), ..next }),
        None => Ok(()),
    }
}

/// Sends a message by a channel, by the spool, once.
///
/// # Errors
/// It was not taken; a clause for people.
pub async fn test_one(spool: &Spool, name: &str, channel: &Channel, message: &Message) -> Result<(), String> {
    let put = spool.put(name, message).and_then(|path| path.map_or(Ok(()), |path| spool.sync(&path)));
    put.map_err(|error| format!("it cannot be written to the spool: {error}"))?;
    loop {
        let pending = spool.pending().map_err(|error| format!("the spool cannot be read: {error}"))?;
        let Some(entry) =
            pending.into_iter().find(|entry| entry.channel == name && entry.message.id == message.id)
        else {
            // Another program delivers for this channel, and was first.
            return spool.outcome(name, &message.id);
        };
        match attempt(spool, &entry, channel, true).await? {
            Tried::Delivered => return Ok(()),
            Tried::GivenUp(why) | Tried::Waits(why) => return Err(why),
            Tried::Busy | Tried::Gone => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Tries all messages that wait for these channels now, whatever time they would wait, and tells the result of each. A channel that fails
/// is tried once.
///
/// # Errors
/// The spool cannot be read or written.
pub async fn deliver(
    spool: &Spool,
    channels: &Channels,
    mut tell: impl FnMut(&Entry, &str),
) -> Result<(), String> {
    spool.tidy().map_err(|error| format!("the spool cannot be read: {error}"))?;
    let mut failing: Vec<String> = Vec::new();
    for entry in spool.pending().map_err(|error| format!("the spool cannot be read: {error}"))? {
        let Some(channel) = channels.get(&entry.channel).filter(|_| !failing.contains(&entry.channel)) else {
            continue;
        };
        match attempt(spool, &entry, channel, false).await? {
            Tried::Delivered => tell(&entry, "delivered"),
            Tried::GivenUp(why) => tell(&entry, &format!("given up: {why}")),
            Tried::Waits(why) => {
                tell(&entry, &format!("waits: {why}"));
                failing.push(entry.channel);
            }
            // What that program sends comes first.
            Tried::Busy => failing.push(entry.channel),
            Tried::Gone => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::What;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A channel that cannot send: its secrets are not there.
    fn broken() -> Channel {
        let text =
            r#"{"webhook":{"url":{"secret_file":"/no/such/file"},"key":{"secret_file":"/no/such/file"}}}"#;
        serde_json::from_str(text).expect("a channel")
    }

    /// A spool with these messages for `ops`, and its folder.
    fn spool(ids: &[&str]) -> (tempfile::TempDir, Spool) {
        let home = tempfile::tempdir().expect("a folder");
        let spool = Spool::of(home.path());
        for id in ids {
            spool.put("ops", &Message::new(*id, What::Started, "a run")).expect("written");
        }
        (home, spool)
    }

    fn first(spool: &Spool) -> Entry {
        spool.pending().expect("read").into_iter().next().expect("one waits")
    }

    #[tokio::test]
    async fn a_failure_is_kept_with_the_time_of_the_next_try() {
        let (_home, spool) = spool(&["a"]);
        for tries in 1..=3 {
            let before = now();
            let tried = attempt(&spool, &first(&spool), &broken(), false).await;
            assert!(matches!(&tried, Ok(Tried::Waits(why)) if why.contains("/no/such/file")), "{tried:?}");
            let entry = first(&spool);
            assert_eq!(entry.tries, tries);
            let waits = Duration::from_micros(entry.next_us).saturating_sub(before);
            assert!(waits >= wait(tries, None) && !entry.is_due(before), "{waits:?}");
        }
    }

    #[tokio::test]
    async fn after_an_hour_a_message_is_given_up_and_so_are_those_that_waited_as_long_behind_it() {
        let (_home, spool) = spool(&["a", "b", "c"]);
        let long_ago = micros(now().saturating_sub(HOUR));
        let all = spool.pending().expect("read");
        spool
            .save(&Entry { failing_us: Some(long_ago), made_us: long_ago - 2, ..all[0].clone() })
            .expect("written");
        spool.save(&Entry { made_us: long_ago - 1, ..all[1].clone() }).expect("written");
        for id in ["a", "b"] {
            let entry = first(&spool);
            assert_eq!(entry.message.id, id);
            let tried = attempt(&spool, &entry, &broken(), false).await;
            assert!(matches!(tried, Ok(Tried::GivenUp(_))), "{id}: {tried:?}");
        }
        let tried = attempt(&spool, &first(&spool), &broken(), false).await;
        assert!(matches!(tried, Ok(Tried::Waits(_))), "it is not an hour old: {tried:?}");
        let all = spool.all().expect("read");
        assert_eq!((all.pending.len(), all.ended.len()), (1, 2));
    }

    #[tokio::test]
    async fn while_another_program_has_the_lock_nothing_is_tried() {
        let (_home, spool) = spool(&["a"]);
        let _held = spool.lock("ops").expect("a lock").expect("free");
        assert_eq!(attempt(&spool, &first(&spool), &broken(), false).await, Ok(Tried::Busy));
        assert_eq!(first(&spool).tries, 0);
    }
}
