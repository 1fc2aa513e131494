//! People are told of runs and game days by channels (`crates/notify`). Makes the messages; never waits for a channel, and nothing that
//! fails here changes a run.

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

/// The longest time after the work in which messages are tried again.
const LAST: Duration = Duration::from_secs(5);

/// The way to all channels that are told.
#[derive(Clone, Debug)]
pub struct Teller(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// `None` once it has ended.
    post: Option<Post>,
    /// Whether a warning has said that a message cannot be written.
    warned: bool,
}

impl Teller {
    /// Starts to deliver, in a thread of its own. `to` names the channels that are told; without names all of the file are.
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

    /// Writes a message for each channel that tells of it. That it cannot be written is a warning, once.
    pub fn tell(&self, message: &Message) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = state.post.as_mut().map_or(Ok(()), |post| post.tell(message));
        if let Err(error) = told
            && !std::mem::replace(&mut state.warned, true)
        {
            errln!("warning: a message for the channels cannot be written, so nobody is told: {error}");
        }
    }

    /// Delivers what is left, for a short time, and says what stays.
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
