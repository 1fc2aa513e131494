//! The events that the root of a lab handles.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use crate::{
    message::{Answer, Request},
    report::Report,
};

/// An event in the lab.
pub(super) enum Event {
    /// A part has reported at a boot. The coordinator's number is the one after the last host.
    Reported { index: usize, boot: u32, report: Report },
    /// A host is about to go down by itself; answered when its cable is pulled.
    GoingDown { index: usize, boot: u32, pulled: oneshot::Sender<()> },
    /// The time for going down is over.
    StillThere { index: usize, boot: u32 },
    /// The time to boot.
    BootDue { index: usize, boot: u32 },
    /// A user's request.
    Asked { request: Request, reply: oneshot::Sender<Reply> },
}

/// An answer, with its descriptor.
pub(super) type Reply = (Answer, Option<OwnedFd>);
