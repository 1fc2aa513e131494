//! The events that the root process of a lab handles. Only their types; `power.rs` handles them.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use crate::{
    message::{Answer, Request},
    report::Report,
};

/// An event in the lab. `boot` is the number of the host's boot to which the event belongs.
pub(super) enum Event {
    /// A part has reported that it has started or failed. The index of the coordinator is the one after the last host.
    Reported { index: usize, boot: u32, report: Report },
    /// A host is about to go down by a call of `reboot(2)`. `pulled` gets a message when the host's cable is pulled.
    GoingDown { index: usize, boot: u32, pulled: oneshot::Sender<()> },
    /// The time within which such a host must be down is over.
    StillThere { index: usize, boot: u32 },
    /// A host that restarts must boot now.
    BootDue { index: usize, boot: u32 },
    /// A program that uses the lab has sent a request.
    Asked { request: Request, reply: oneshot::Sender<Reply> },
}

/// An answer, and the descriptor that is sent along.
pub(super) type Reply = (Answer, Option<OwnedFd>);
