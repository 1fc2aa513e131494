//! The side of somebody on this machine who halts one run by its id, and has neither its fleet nor a certificate: whoever may open the
//! socket may end the run.
//!
//! Root asks the programs of all users. The answer of another user's program proves nothing: any user can run one that says that it is the
//! coordinator. So it is told as that program's claim, and neither keeps others from being asked nor hides that an own coordinator did not answer.

use std::{io, path::PathBuf, time::Duration};

use firedrill_wire::{RunId, api::UndoScope};
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use tokio::time::timeout;

use super::{
    folders::folders,
    notify::{AT_ONCE, PATIENCE, UndoSocket},
    protocol::UndoNotice,
};

/// Time within which one program answers, and within which those of other users are asked. Other users can run any number.
const ONE: Duration = PATIENCE.saturating_mul(2);
const OTHERS: Duration = PATIENCE.saturating_mul(3);

/// The result of a halt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// The coordinator of this user ends the run.
    Ends,
    /// The coordinator of this user says that the run has ended meanwhile.
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

/// The answer of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Ends,
    Over,
    Silent(String),
}

/// Asks the coordinator of a run on this machine to end it. Takes a few seconds at most.
pub async fn halt(run: &RunId, by: &str) -> Halted {
    halt_in(folders(), rustix::process::geteuid().as_raw(), run, by).await
}

/// Asks in these directories. `own` is the user whose answers count.
pub(super) async fn halt_in(folders: Vec<(PathBuf, u32)>, own: u32, run: &RunId, by: &str) -> Halted {
    let scope = &UndoScope::Run(run.clone());
    let sockets = folders
        .into_iter()
        .filter_map(|(folder, user)| UndoSocket::at(folder.join(format!("{run}.bell")), user, scope));
    let (ours, others): (Vec<_>, Vec<_>) = sockets.partition(|socket| socket.user == own);
    let ours = join_all(ours.iter().map(|socket| ask(socket, scope, by)));
    let (ours, mut heard) = tokio::join!(ours, ask_others(others, scope, by));
    heard.extend(ours.into_iter().flatten().map(|heard| (None, heard)));
    loudest(heard)
}

/// Returns what other users' programs answered.
async fn ask_others(sockets: Vec<UndoSocket>, scope: &UndoScope, by: &str) -> Vec<(Option<u32>, Heard)> {
    let mut waiting: Vec<u32> = sockets.iter().map(|socket| socket.user).collect();
    let calls = sockets.into_iter().map(|socket| async move { (socket.user, ask(&socket, scope, by).await) });
    let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    let mut all = Vec::new();
    let asked = async {
        while let Some((user, heard)) = calls.next().await {
            waiting.retain(|other| *other != user);
            all.extend(heard.map(|heard| (Some(user), heard)));
        }
    };
    let _late = timeout(OTHERS, asked).await;
    let why = || Heard::Silent(format!("it was not heard within {} s", OTHERS.as_secs()));
    all.extend(waiting.into_iter().map(|user| (Some(user), why())));
    all
}

/// Returns the answer of one socket; `None` if nobody listens, because its coordinator was killed.
async fn ask(socket: &UndoSocket, scope: &UndoScope, by: &str) -> Option<Heard> {
    Some(match timeout(ONE, end(socket, scope, by)).await {
        Ok(Ok(true)) => Heard::Ends,
        Ok(Ok(false)) => Heard::Over,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return None,
        Ok(Err(error)) => Heard::Silent(error.to_string()),
        Err(_late) => Heard::Silent(format!("it took longer than {} s", ONE.as_secs())),
    })
}

/// Returns the answer that is told, of answers with their users (`None` for this one).
fn loudest(heard: Vec<(Option<u32>, Heard)>) -> Halted {
    let ranked = heard.into_iter().map(|(other_user, heard)| match (other_user, heard) {
        (None, Heard::Ends) => (6, Halted::Ends),
        (None, Heard::Silent(why)) => (5, Halted::Silent(why)),
        (Some(user), Heard::Ends) => (4, Halted::Claimed { user, ends: true }),
        (Some(user), Heard::Over) => (3, Halted::Claimed { user, ends: false }),
        (None, Heard::Over) => (2, Halted::Over),
        (Some(user), Heard::Silent(why)) => {
            (1, Halted::Silent(format!("user {user}'s program, which may not be its coordinator: {why}")))
        }
    });
    ranked.max_by_key(|(rank, _)| *rank).map_or(Halted::Nowhere, |(_, halted)| halted)
}

async fn end(socket: &UndoSocket, scope: &UndoScope, by: &str) -> io::Result<bool> {
    let owner = socket.owner().await?;
    if owner.run != socket.run {
        return Err(io::Error::other(format!("it says that it runs {}", owner.run)));
    }
    let (authority, hosts) = (owner.authority, owner.targets);
    socket.notify(&UndoNotice { scope: scope.clone(), hosts, authority, by: by.to_owned() }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_of_another_user_hides_an_own_one() {
        let silent = || Heard::Silent("why".to_owned());
        let claimed = |ends| Halted::Claimed { user: 7, ends };
        for (heard, told) in [
            (vec![], Halted::Nowhere),
            (vec![(None, silent()), (Some(7), Heard::Ends)], Halted::Silent("why".to_owned())),
            (vec![(None, silent()), (Some(7), Heard::Over)], Halted::Silent("why".to_owned())),
            (vec![(Some(7), Heard::Ends), (None, Heard::Ends)], Halted::Ends),
            (vec![(None, Heard::Over), (Some(7), Heard::Ends)], claimed(true)),
            (vec![(Some(7), Heard::Over), (None, Heard::Over)], claimed(false)),
            (vec![(Some(7), silent()), (None, Heard::Over)], Halted::Over),
            (vec![(Some(7), silent()), (Some(7), Heard::Ends)], claimed(true)),
        ] {
            let reversed = heard.iter().rev().cloned().collect();
            assert_eq!(loudest(reversed), told, "reversed {heard:?}");
            assert_eq!(loudest(heard.clone()), told, "{heard:?}");
        }
        let Halted::Silent(why) = loudest(vec![(Some(7), silent())]) else { panic!("it did not answer") };
        assert!(why.contains("user 7"), "{why}");
    }
}
