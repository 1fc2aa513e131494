//! The messages of background tasks and of people to the run. All go through one inbox (`inbox.rs`).

use std::path::PathBuf;

use firedrill_wire::{
    InjectionId,
    api::{EndState, UndoAnswer},
    journal::AgentEvent,
    logs::LogBin,
    probe::Bin,
};
use tokio::sync::oneshot;

use super::{
    program::End,
    read_backs::ReadBackAnswer,
    wish::{Reply, Wish},
};
use crate::{
    link::Offset,
    log::{Event, LeaderAsked},
};

/// An input to the run.
pub(crate) enum Input {
    /// An agent journaled an event.
    Agent { host: String, event: AgentEvent },
    /// A vantage measured a second.
    Bin { vantage: String, bin: Bin },
    /// Packets were exchanged, or the exchange failed.
    Exchanged(Box<Event>),
    /// A vantage read back the records that it wrote, or could not.
    ReadBack(Box<ReadBackAnswer>),
    /// A source answered a question, or did not.
    Sampled(Box<Event>),
    /// A source was asked whether an alert is firing.
    AlertSeen(Box<Event>),
    /// An agent read logs.
    LogBin { host: String, bin: LogBin },
    /// An agent will send no more of its logs.
    LogsEnded { host: String, why: Option<String> },
    /// A vantage will send no more bins.
    BinsEnded { vantage: String, why: Option<String> },
    /// The link to a host broke.
    LinkLost { host: String, why: String },
    /// The link to a host works: again, or with a better clock measurement.
    LinkBack { host: String, offset: Offset },
    /// A person, or a signal, wants the run to stop.
    Halt { by: String },
    /// A person undid this run from this machine.
    UndoneHere { by: String },
    /// A person on this machine has a wish about the attacks to come, and waits for the reply.
    Wish { wish: Wish, tell: oneshot::Sender<Reply> },
    /// The program of a step has ended.
    StepRan { step: usize, end: End },
    /// Who the leader of a moving target is, or why nobody knows.
    LeaderAnswered(LeaderAsked),
    /// The coordinator itself was not running for a while.
    Gap { from_us: i64, to_us: i64 },
    /// A line was typed on the terminal.
    Line(String),
    /// An approval was put into the run's folder.
    Approval(PathBuf),
    /// The terminal was closed.
    TerminalClosed,
    /// A host answered the undo of these injections.
    Healed { host: String, of: Vec<InjectionId>, answer: Result<UndoAnswer, String> },
    /// A host has compared itself with its snapshot, or could not.
    Proven { host: String, end: Result<EndState, String>, last_word: bool },
    /// A vantage measures again after its agent restarted.
    Restarted { vantage: String },
}

impl Input {
    /// Returns whether this is the wish of a person to stop everything, which is read before anything else.
    pub(super) const fn is_urgent(&self) -> bool {
        matches!(self, Self::Halt { .. } | Self::UndoneHere { .. })
    }
}
