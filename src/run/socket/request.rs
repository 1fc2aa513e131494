//! Sends a person's wish about one run, such as a pause, to the run's coordinator on this machine ([`super::ask`]). Decides nothing
//! about the wish.

use std::{io, path::PathBuf, time::Duration};

use firedrill_wire::RunId;

use super::{
    super::wish::{Reply, Wish},
    ask::{Told, ask_run, told},
    folders::folders,
    listen::REPLY_WITHIN,
    notify::PATIENCE,
};

/// Maximum time for the reply of one program.
const REPLY_TIMEOUT: Duration = REPLY_WITHIN.saturating_add(PATIENCE);

/// The result of sending a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// The run's coordinator, a process of this user, replied.
    Replied(Reply),
    /// No coordinator of the run can be reached on this machine.
    Nowhere,
    /// A coordinator was found but did not answer; the text is the reason.
    Silent(String),
    /// A program of another user replied. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The id of that user.
        user: u32,
        /// The program's reply.
        reply: Reply,
    },
}

/// Sends a person's wish to the coordinator of a run on this machine. Takes a few seconds at most.
pub async fn request(run: &RunId, wish: &Wish) -> Requested {
    request_in(folders(), rustix::process::geteuid().as_raw(), run, wish).await
}

/// Does the work of [`request`] with the sockets of these directories. `own` is the id of the user whose replies are trusted.
pub(super) async fn request_in(
    folders: Vec<(PathBuf, u32)>,
    own: u32,
    run: &RunId,
    wish: &Wish,
) -> Requested {
    let answers = ask_run(folders, own, run, REPLY_TIMEOUT, |socket| async move {
        socket.request(wish).await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                io::Error::other(format!("it has no reply to this; its version may know no pauses ({error})"))
            }
            _ => error,
        })
    });
    match told(answers.await, |reply| *reply == Reply::Over) {
        Told::Own(reply) => Requested::Replied(reply),
        Told::Nowhere => Requested::Nowhere,
        Told::Silent(why) => Requested::Silent(why),
        Told::Claimed { user, said } => Requested::Claimed { user, reply: said },
    }
}
