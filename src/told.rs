//! Makes messages about runs and game days for the notification channels (`crates/notify`). Never waits for a channel, and a failure here
//! never changes a run.

mod gameday;
mod run;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use firedrill_notify::{Channels, Message, Post};

pub use gameday::{GamedayTold, Invitation, announced, passed};
pub use run::RunTold;

use crate::diagnostic::plural;

/// Maximum time after the work for which the delivery of messages is tried again.
const LAST: Duration = Duration::from_secs(5);

/// Sends messages to the chosen channels.
#[derive(Clone, Debug)]
pub struct Teller(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// The delivery; `None` after [`Teller::finish`].
    post: Option<Post>,
    /// Whether a warning that a message cannot be written was printed.
    warned: bool,
}

impl Teller {
    /// Starts a thread that delivers messages. `to` has the names of the channels that get them; `None` means all channels of the file.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        reports: &Path,
        file: &Path,
        channels: Channels,
        to: Option<Vec<String>>,
    ) -> std::io::Result<Self> {
        let post = Post::start(reports, file, channels)?;
        let post = Some(match to {
            Some(names) => post.only(names),
            None => post,
        });
        Ok(Self(Arc::new(Mutex::new(State { post, warned: false }))))
    }

    /// Writes a message for each channel that wants this kind. The first failure to write prints a warning.
    pub fn tell(&self, message: &Message) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = state.post.as_mut().map_or(Ok(()), |post| post.tell(message));
        if let Err(error) = written
            && !std::mem::replace(&mut state.warned, true)
        {
            errln!("warning: a message for the channels cannot be written, so nobody is told: {error}");
        }
    }

    /// Tries for at most 5 seconds to deliver the remaining messages, and prints how many were not delivered.
    pub fn finish(&self) {
        let post = self.0.lock().unwrap_or_else(PoisonError::into_inner).post.take();
        let left = post.map_or(0, |post| post.finish(LAST).pending);
        if left > 0 {
            let (s, are) = (plural(left), if left == 1 { "is" } else { "are" });
            errln!(
                "{left} message{s} for channels {are} not delivered yet: `firedrill notify deliver`, a control room with --notify or the next run \
                 delivers; `firedrill notify list` and `firedrill check` of the file of channels say why"
            );
        }
    }
}
