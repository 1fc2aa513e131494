//! The side of somebody on this machine who has a wish about one run ([`super::ask`]).

use std::{io, path::PathBuf, time::Duration};

use firedrill_wire::RunId;

use super::{
    super::wish::{Reply, Wish},
    ask::{Told, ask_run, told},
    folders::folders,
    listen::REPLY_WITHIN,
    notify::PATIENCE,
};

/// Time within which one program answers.
const ONE: Duration = REPLY_WITHIN.saturating_add(PATIENCE);

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// The coordinator of this user replied.
    Told(Reply),
    /// No coordinator of this run can be reached on this machine.
    Nowhere,
    /// A coordinator did not answer; with the reason.
    Silent(String),
    /// A program of another user replied. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The user's number.
        user: u32,
        /// Its reply.
        reply: Reply,
    },
}

/// Tells the coordinator of a run on this machine a person's wish. Takes some seconds at most.
pub async fn request(run: &RunId, wish: &Wish) -> Requested {
    request_in(folders(), rustix::process::geteuid().as_raw(), run, wish).await
}

/// Asks in these directories. `own` is the user whose replies count.
pub(super) async fn request_in(
    folders: Vec<(PathBuf, u32)>,
    own: u32,
    run: &RunId,
    wish: &Wish,
) -> Requested {
    let heard = ask_run(folders, own, run, ONE, |socket| async move {
        socket.request(wish).await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                io::Error::other(format!("it has no reply to this; its version may know no pauses ({error})"))
            }
            _ => error,
        })
    });
    match told(heard.await, |reply| *reply == Reply::Over) {
        Told::Own(reply) => Requested::Told(reply),
        Told::Nowhere => Requested::Nowhere,
        Told::Silent(why) => Requested::Silent(why),
        Told::Claimed { user, said } => Requested::Claimed { user, reply: said },
    }
}
