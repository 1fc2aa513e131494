//! The messages between a coordinator and other processes of its machine. Each message is one line of JSON. The coordinator sends the
//! first line ([`Owner`]). The other process may then send one line, an undo or a wish, and gets one line as the answer. This module
//! opens no socket.

use std::{collections::HashSet, io};

use firedrill_wire::{RunId, api::UndoScope, text};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::super::wish::Wish;

/// Maximum length of a line, in bytes: enough for the names of a hundred thousand hosts.
pub(super) const LONGEST: u64 = 16 << 20;

/// An undo, and the person who asked for it. The coordinator receives only the person's name; the sender decides with the rest whether
/// a coordinator's run is meant.
#[derive(Clone, Debug)]
pub struct UndoNotice {
    /// The scope of the undo.
    pub scope: UndoScope,
    /// The names of the hosts of the undo.
    pub hosts: Vec<String>,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub authority: String,
    /// The person who asked for the undo.
    pub by: String,
}

/// A message to a coordinator.
///
/// Coordinators of earlier versions take every line with a field `by` for an undo, so only an undo has that field at the top level.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    End(End),
    Wish { wish: Wish },
}

/// Tells a coordinator that its run must end, because `by` asked for an undo.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) by: String,
}

/// The coordinator's answer to an undo. Its answer to a wish is a [`super::super::wish::Reply`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Whether the coordinator ends its run.
    pub(super) ends: bool,
}

/// A coordinator's first line: the run that the socket belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) run: RunId,
    /// The names of the hosts that the run's faults may touch.
    pub(crate) targets: Vec<String>,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub(crate) authority: String,
    /// Coordinators of earlier versions send no claim.
    #[serde(default)]
    pub(crate) claim: Claim,
}

/// The part of a coordinator's first line that only other runs use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The person who started the run.
    #[serde(deserialize_with = "text::short")]
    pub(crate) operator: String,
    /// The name of the game day that makes the claim, for people; empty if a run makes it.
    #[serde(default, deserialize_with = "text::short")]
    pub(crate) gameday: String,
    /// The hosts that measure for the run, and the hosts whose logs it reads.
    pub(crate) measured_from: Vec<String>,
    /// The addresses that the run measures: host and port.
    pub(crate) measured: Vec<String>,
    /// The names and addresses of the hosts that the run's faults touch.
    #[serde(default)]
    pub(crate) reached_at: Vec<String>,
    /// The time by which the run ends, unless undos take long or people pause it: RFC 3339, UTC.
    #[serde(deserialize_with = "text::short")]
    pub(crate) until: String,
}

impl Owner {
    /// Whether an undo includes this run.
    pub(super) fn is_undone_by(&self, notice: &UndoNotice) -> bool {
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

/// Returns the run of an injection's id: the id without its last two parts, the numbers of the attack and of the place in it. `None` if
/// the id has fewer than three parts.
pub(super) fn run_of(injection: &str) -> Option<&str> {
    Some(injection.rsplit_once('-')?.0.rsplit_once('-')?.0)
}

/// Encodes a message as one line.
pub(super) fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads one line and decodes it as a message.
///
/// # Errors
/// The stream fails, or the line is not such a message.
pub(super) async fn read_line<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<T> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}
