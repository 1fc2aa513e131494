//! Halts a run on this machine by its id, for a person or a program ([`super::ask`]).

use std::{io, path::PathBuf, time::Duration};

use firedrill_wire::{RunId, api::UndoScope};

use super::{
    ask::{Told, ask_run, told},
    folders::folders,
    notify::{PATIENCE, RunSocket},
    protocol::UndoNotice,
};

/// Maximum time for the answer of one program.
const ONE: Duration = PATIENCE.saturating_mul(2);

/// The result of a halt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// This user's coordinator ends the run.
    Ends,
    /// This user's coordinator says that the run has ended meanwhile.
    Over,
    /// No coordinator of this run can be reached on this machine.
    Nowhere,
    /// A coordinator did not answer; with the reason.
    Silent(String),
    /// A program of another user answered. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The user's number.
        user: u32,
        /// Whether it says that it ends the run; otherwise it says that the run has ended.
        ends: bool,
    },
}

/// Asks the coordinator of a run on this machine to end the run; `by` names the person. Takes a few seconds at most.
pub async fn halt(run: &RunId, by: &str) -> Halted {
    halt_in(folders(), rustix::process::geteuid().as_raw(), run, by).await
}

/// As [`halt`], with the sockets in these directories. `own` is the user whose coordinator is believed.
pub(super) async fn halt_in(folders: Vec<(PathBuf, u32)>, own: u32, run: &RunId, by: &str) -> Halted {
    let heard = ask_run(folders, own, run, ONE, |socket| end(socket, by)).await;
    match told(heard, |ends| !ends) {
        Told::Own(true) => Halted::Ends,
        Told::Own(false) => Halted::Over,
        Told::Nowhere => Halted::Nowhere,
        Told::Silent(why) => Halted::Silent(why),
        Told::Claimed { user, said } => Halted::Claimed { user, ends: said },
    }
}

/// Asks one program to end the run. Returns whether it does; `false` if the run has ended.
async fn end(socket: RunSocket, by: &str) -> io::Result<bool> {
    let owner = socket.owner().await?;
    if owner.run != socket.run {
        return Err(io::Error::other(format!("it says that it runs {}", owner.run)));
    }
    let (authority, hosts) = (owner.authority, owner.targets);
    let scope = UndoScope::Run(socket.run.clone());
    socket.notify(&UndoNotice { scope, hosts, authority, by: by.to_owned() }).await
}
