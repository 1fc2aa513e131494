//! The side of somebody on this machine who halts one run by its id, and has neither its fleet nor a certificate: whoever may open the
//! socket may end the run.

use std::io;

use firedrill_wire::{RunId, api::UndoScope};
use tokio::time::timeout;

use super::{
    folders::folders,
    notify::{PATIENCE, UndoSocket},
    protocol::UndoNotice,
};

/// The result of a halt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// The coordinator ends the run, as it says.
    Ends,
    /// The run has ended meanwhile.
    Over,
    /// No coordinator of this run can be reached on this machine.
    Nowhere,
    /// The coordinator did not answer; with the reason.
    Silent(String),
}

/// Asks the coordinator of a run on this machine to end it. Takes a few seconds at most.
pub async fn halt(run: &RunId, by: &str) -> Halted {
    let scope = UndoScope::Run(run.clone());
    let mut met = Halted::Nowhere;
    for (folder, user) in folders() {
        let Some(socket) = UndoSocket::at(folder.join(format!("{run}.bell")), user, &scope) else { continue };
        met = match timeout(2 * PATIENCE, end(&socket, &scope, by)).await {
            Ok(Ok(true)) => return Halted::Ends,
            Ok(Ok(false)) => Halted::Over,
            // Its coordinator was killed.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => met,
            Ok(Err(error)) => Halted::Silent(error.to_string()),
            Err(_late) => Halted::Silent(format!("it took longer than {} s", 2 * PATIENCE.as_secs())),
        };
    }
    met
}

async fn end(socket: &UndoSocket, scope: &UndoScope, by: &str) -> io::Result<bool> {
    let owner = socket.owner().await?;
    if owner.run != socket.run {
        return Err(io::Error::other(format!("it says that it runs {}", owner.run)));
    }
    let (authority, hosts) = (owner.authority, owner.targets);
    socket.notify(&UndoNotice { scope: scope.clone(), hosts, authority, by: by.to_owned() }).await
}
