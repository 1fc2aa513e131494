//! The messages to and from a coordinator on one machine: each is a line of JSON. The coordinator says first who it is; an undo
//! or a wish is then a line, and gets one back.

use std::{collections::HashSet, io};

use firedrill_wire::{RunId, api::UndoScope, text};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::super::wish::Wish;

/// Maximum length of a line, in bytes: enough for the names of a hundred thousand hosts.
pub(super) const LONGEST: u64 = 16 << 20;

/// An undo, and the person who asked for it. Only the sender knows all of it.
#[derive(Clone, Debug)]
pub struct UndoNotice {
    /// The scope of the undo.
    pub scope: UndoScope,
    /// The hosts of the undo.
    pub hosts: Vec<String>,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub authority: String,
    /// The person.
    pub by: String,
}

/// A message to a coordinator.
///
/// Coordinators of earlier versions take every line with `by` for an undo, so only an undo has one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    End(End),
    Wish { wish: Wish },
}

/// An undo.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) by: String,
}

/// The coordinator's answer to an undo. To a wish it answers a [`super::super::wish::Reply`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) ends: bool,
}

/// A coordinator's first line: the run that the socket belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) run: RunId,
    pub(crate) targets: Vec<String>,
    pub(crate) authority: String,
    /// Coordinators of earlier versions send none.
    #[serde(default)]
    pub(crate) claim: Claim,
}

/// The part of a coordinator's first line that only other runs use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The person who runs it.
    #[serde(deserialize_with = "text::short")]
    pub(crate) operator: String,
    /// The game day whose claim this is, for people; empty for that of a run.
    #[serde(default, deserialize_with = "text::short")]
    pub(crate) gameday: String,
    /// The hosts that measure for it, and those whose logs are read.
    pub(crate) measured_from: Vec<String>,
    /// The addresses that it measures: host and port.
    pub(crate) measured: Vec<String>,
    /// The names and addresses of the hosts that its faults touch.
    #[serde(default)]
    pub(crate) reached_at: Vec<String>,
    /// The time by which it ends, unless undos take long or people let it pause: RFC 3339, UTC.
    #[serde(deserialize_with = "text::short")]
    pub(crate) until: String,
}

impl Owner {
    /// Whether an undo is of this run.
    pub(super) fn is_meant(&self, notice: &UndoNotice) -> bool {
        self.authority == notice.authority
            && match &notice.scope {
                UndoScope::Run(run) => *run == self.run,
                UndoScope::Injection(id) => run_of(id.as_str()) == Some(self.run.as_str()),
                UndoScope::All => {
                    let asked: HashSet<&str> = notice.hosts.iter().map(String::as_str).collect();
                    self.targets.iter().any(|host| asked.contains(host.as_str()))
                }
            }
    }
}

/// Returns the run of an injection's id: the id without attack and place.
pub(super) fn run_of(injection: &str) -> Option<&str> {
    Some(injection.rsplit_once('-')?.0.rsplit_once('-')?.0)
}

/// Returns a message as a line.
pub(super) fn line(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a message.
pub(super) async fn read_line<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<T> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}
