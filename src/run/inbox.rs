//! The run's inbox: two queues without bounds, and both ends of them. The wish of a person to stop everything never waits behind
//! measurements. All other inputs are read in the order of their arrival.

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::input::Input;

/// The end that the event loop reads.
pub(super) struct Inbox {
    urgent: UnboundedReceiver<Input>,
    usual: UnboundedReceiver<Input>,
}

/// The end by which tasks and people reach the run.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    urgent: UnboundedSender<Input>,
    usual: UnboundedSender<Input>,
}

/// Returns both ends of a new inbox.
pub(super) fn inbox() -> (Mail, Inbox) {
    let (to_urgent, urgent) = mpsc::unbounded_channel();
    let (to_usual, usual) = mpsc::unbounded_channel();
    (Mail { urgent: to_urgent, usual: to_usual }, Inbox { urgent, usual })
}

impl Mail {
    /// Puts an input into the inbox. Returns whether the run still reads it.
    pub(super) fn send(&self, input: Input) -> bool {
        let queue = if input.is_urgent() { &self.urgent } else { &self.usual };
        queue.send(input).is_ok()
    }
}

impl Inbox {
    /// Waits for the next input. Returns `None` if nobody is left who could send one.
    pub(super) async fn recv(&mut self) -> Option<Input> {
        tokio::select! {
            biased;
            Some(input) = self.urgent.recv() => Some(input),
            input = self.usual.recv() => input,
        }
    }

    /// Returns the next input that is there already.
    pub(super) fn try_recv(&mut self) -> Option<Input> {
        self.urgent.try_recv().or_else(|_none| self.usual.try_recv()).ok()
    }

    /// Returns whether every input was read.
    pub(super) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.usual.is_empty()
    }
}
