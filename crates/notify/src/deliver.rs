//! Tries to send the messages that wait, for each channel in their order. A try happens under the channel's lock, and reads the message again first,
//! because another program may have sent it.

use std::time::Duration;

use crate::{
    backoff::{is_over, wait},
    file::Channel,
    message::{Message, now, rfc3339},
    read::Channels,
    send::{Sent, send},
    spool::{Ended, Entry, Spool, micros},
};

/// Time between two attempts to get a channel's lock.
const AGAIN: Duration = Duration::from_millis(100);

/// The result of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// The message was delivered.
    Delivered,
    /// The message was given up, for this reason.
    GivenUp(String),
    /// The message waits for another try, for this reason.
    Waits(String),
    /// Another program holds the channel's lock.
    Busy,
    /// The message does not wait any more: another program has delivered it or given it up.
    Gone,
}

/// The decision about a message whose try fails in a way that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The message waits for another try, until its time is over.
    Later,
    /// The message is given up at once.
    Never,
}

/// Tries to send one message.
///
/// # Errors
/// The spool cannot be written. The error is a clause for people.
pub(crate) async fn attempt(
    spool: &Spool,
    entry: &Entry,
    channel: &Channel,
    retry: Retry,
) -> Result<Tried, String> {
    let failed = |error: std::io::Error| format!("the spool cannot be written: {error}");
    // The lock is held until the new state of the message is written.
    let Some(_lock) = spool.lock(&entry.channel).map_err(failed)? else { return Ok(Tried::Busy) };
    let Some(entry) = spool.again(entry) else { return Ok(Tried::Gone) };
    // The message is saved before it is sent, to find out whether the spool can be written. If only the result could not be written, the message would
    // be sent again and again.
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
    if retry == Retry::Never || is_over(made, Duration::from_micros(failing_us), now) {
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

/// Writes the time since which a channel has failed into the next message of this channel. So a message that has waited behind another message does not
/// wait for a whole [`PATIENCE`](crate::backoff::PATIENCE) again.
fn pass_on(spool: &Spool, channel: &str, failing_us: u64) -> std::io::Result<()> {
    let pending = spool.pending()?;
    match pending.into_iter().find(|entry| entry.channel == channel && entry.failing_us.is_none()) {
        Some(next) => spool.save(&Entry { failing_us: Some(failing_us), ..next }),
        None => Ok(()),
    }
}

/// Sends a message by a channel through the spool, with only one try.
///
/// # Errors
/// The channel did not accept it. The error is a clause for people.
pub async fn test_one(spool: &Spool, name: &str, channel: &Channel, message: &Message) -> Result<(), String> {
    let put = spool.put(name, message).and_then(|path| path.map_or(Ok(()), |path| spool.sync(&path)));
    put.map_err(|error| format!("it cannot be written to the spool: {error}"))?;
    loop {
        let pending = spool.pending().map_err(|error| format!("the spool cannot be read: {error}"))?;
        let Some(entry) =
            pending.into_iter().find(|entry| entry.channel == name && entry.message.id == message.id)
        else {
            // Another program that delivers for this channel was faster.
            return spool.outcome(name, &message.id);
        };
        match attempt(spool, &entry, channel, Retry::Never).await? {
            Tried::Delivered => return Ok(()),
            Tried::GivenUp(why) | Tried::Waits(why) => return Err(why),
            Tried::Busy | Tried::Gone => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Tries all messages that wait for these channels now, even if their next try is due later, and calls `tell` with the result of each. After a
/// failure, a channel's further messages are not tried.
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
        match attempt(spool, &entry, channel, Retry::Later).await? {
            Tried::Delivered => tell(&entry, "delivered"),
            Tried::GivenUp(why) => tell(&entry, &format!("given up: {why}")),
            Tried::Waits(why) => {
                tell(&entry, &format!("waits: {why}"));
                failing.push(entry.channel);
            }
            // The other program sends this channel's messages, in their order.
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

    /// Returns a channel that cannot send, because the files of its secrets do not exist.
    fn broken() -> Channel {
        let text =
            r#"{"webhook":{"url":{"secret_file":"/no/such/file"},"key":{"secret_file":"/no/such/file"}}}"#;
        serde_json::from_str(text).expect("a channel")
    }

    /// Returns a spool with messages for the channel `ops`, and its folder.
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
            let tried = attempt(&spool, &first(&spool), &broken(), Retry::Later).await;
            assert!(matches!(&tried, Ok(Tried::Waits(why)) if why.contains("/no/such/file")), "{tried:?}");
            let entry = first(&spool);
            assert_eq!(entry.tries, tries);
            let waits = Duration::from_micros(entry.next_us).saturating_sub(before);
            assert!(waits >= wait(tries, None) && !entry.is_due(before), "{waits:?}");
        }
    }

    #[tokio::test]
    async fn after_an_hour_a_message_and_those_that_waited_behind_it_are_given_up() {
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
            let tried = attempt(&spool, &entry, &broken(), Retry::Later).await;
            assert!(matches!(tried, Ok(Tried::GivenUp(_))), "{id}: {tried:?}");
        }
        let tried = attempt(&spool, &first(&spool), &broken(), Retry::Later).await;
        assert!(matches!(tried, Ok(Tried::Waits(_))), "it is not an hour old: {tried:?}");
        let all = spool.all().expect("read");
        assert_eq!((all.pending.len(), all.ended.len()), (1, 2));
    }

    #[tokio::test]
    async fn while_another_program_has_the_lock_nothing_is_tried() {
        let (_home, spool) = spool(&["a"]);
        let _held = spool.lock("ops").expect("a lock").expect("free");
        assert_eq!(attempt(&spool, &first(&spool), &broken(), Retry::Later).await, Ok(Tried::Busy));
        assert_eq!(first(&spool).tries, 0);
    }
}
