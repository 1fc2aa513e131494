//! The content of a message file: a message for a channel, and the state of its delivery.

use std::time::Duration;

use firedrill_wire::text::{NAME_MOST, TEXT_MOST, cleaned};
use serde::{Deserialize, Serialize};

use super::micros;
use crate::{
    backoff::PATIENCE,
    message::{ID_MOST, Message, TITLE_MOST},
};

/// The version of the format.
const VERSION: u32 = 1;

/// A message for a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the format: 1.
    pub v: u32,
    /// The channel's name.
    pub channel: String,
    /// The message.
    pub message: Message,
    /// The time at which it was written, in microseconds since 1970. Messages are sent in this order.
    pub made_us: u64,
    /// Number of tries that failed.
    #[serde(default)]
    pub tries: u32,
    /// The time since which the channel has failed without a success, in microseconds since 1970; `None` if it has not failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_us: Option<u64>,
    /// The earliest time of the next try, in microseconds since 1970.
    #[serde(default)]
    pub next_us: u64,
    /// The last failure, as a clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// Its end; `None` while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// The end of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum Ended {
    /// The channel accepted it.
    Delivered {
        /// The time, RFC 3339 UTC.
        at: String,
        /// The part of the answer that later messages need.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
    },
    /// It is not tried again.
    GivenUp {
        /// The time, RFC 3339 UTC.
        at: String,
        /// The last failure, or the reason.
        why: String,
        /// The person who deleted it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

impl Entry {
    /// Returns a new message for a channel, which waits.
    pub(super) fn new(channel: &str, message: Message, made_us: u64) -> Self {
        Self {
            v: VERSION,
            channel: channel.to_owned(),
            message,
            made_us,
            tries: 0,
            failing_us: None,
            next_us: 0,
            last: None,
            ended: None,
        }
    }

    /// Whether it may be tried at the time `now` (since 1970). A wait that is longer than the maximum is ignored: the clock was ahead when the wait was
    /// written.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        self.next_us <= micros(now) || self.next_us > micros(now + PATIENCE)
    }

    /// Cleans the texts for terminals and pages, because any program may have written the file.
    pub(super) fn cleaned(mut self) -> Self {
        self.channel = cleaned(self.channel, NAME_MOST);
        self.message.title = cleaned(self.message.title, TITLE_MOST);
        self.message.id = cleaned(self.message.id, ID_MOST);
        self.message.at = cleaned(self.message.at, NAME_MOST);
        self.last = self.last.map(|last| cleaned(last, TEXT_MOST));
        self.ended = self.ended.map(|ended| match ended {
            Ended::Delivered { at, receipt } => Ended::Delivered { at: cleaned(at, NAME_MOST), receipt },
            Ended::GivenUp { at, why, by } => Ended::GivenUp {
                at: cleaned(at, NAME_MOST),
                why: cleaned(why, TEXT_MOST),
                by: by.map(|by| cleaned(by, NAME_MOST)),
            },
        });
        self
    }
}
