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
    /// A vantage sent its measurements of a second.
    Bin { vantage: String, bin: Bin },
    /// Packets were exchanged, or the exchange failed.
    Exchanged(Box<Event>),
    /// A vantage read back the records that it wrote, or could not.
    ReadBack(Box<ReadBackAnswer>),
    /// A source answered a question, or did not.
    Sampled(Box<Event>),
    /// A source was asked whether an alert is firing.
    AlertSeen(Box<Event>),
    /// An agent sent a bin of a log.
    LogBin { host: String, bin: LogBin },
    /// An agent will send no more bins of logs; with the reason if that is an error.
    LogsEnded { host: String, why: Option<String> },
    /// A vantage will send no more bins; with the reason if that is an error.
    BinsEnded { vantage: String, why: Option<String> },
    /// The link to a host broke.
    LinkLost { host: String, why: String },
    /// The link to a host works, again or still, and its clock was measured.
    LinkBack { host: String, offset: Offset },
    /// A person, or a signal, wants the run to stop.
    Halt { by: String },
    /// A person undid this run from this machine.
    UndoneHere { by: String },
    /// A person on this machine has a wish about the attacks to come, and waits for the reply.
    Wish { wish: Wish, tell: oneshot::Sender<Reply> },
    /// The program of a step has ended.
    StepRan { step: usize, end: End },
    /// The leader of a moving target was asked for, and is known or unknown.
    LeaderAnswered(LeaderAsked),
    /// The coordinator itself was not running for a while.
    Gap { from_us: i64, to_us: i64 },
    /// A line was typed on the terminal.
    Line(String),
    /// An approval was put into the run's folder.
    Approval(PathBuf),
    /// The terminal was closed.
    TerminalClosed,
    /// A host answered the request to undo these injections, or did not.
    Healed { host: String, injections: Vec<InjectionId>, answer: Result<UndoAnswer, String> },
    /// A host has compared itself with its snapshot, or could not. With `last_word` it is not asked again.
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
