//! Asks the coordinator of a run on this machine by the run's id. Neither the fleet nor a certificate is needed: every process that may open
//! the socket may ask.
//!
//! Root asks the programs of all users. The answer of another user's program proves nothing, because any user can run a program that says that
//! it is the coordinator. So the answer is reported as a claim of that program. It does not stop the others from being asked, and does not hide
//! that this user's own coordinator gave no answer.

use std::{future::Future, io, path::PathBuf, time::Duration};

use firedrill_wire::{RunId, api::UndoScope};
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use tokio::time::timeout;

use super::notify::{AT_ONCE, PATIENCE, RunSocket};

/// The answer of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard<T> {
    /// The program answered.
    Said(T),
    /// The program did not answer; with the reason.
    Silent(String),
}

/// The result of asking all sockets: the answer that is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// The answer of this user's coordinator.
    Own(T),
    /// No coordinator of this run can be reached on this machine.
    Nowhere,
    /// A coordinator did not answer; with the reason.
    Silent(String),
    /// A program of another user answered.
    Claimed { user: u32, said: T },
}

/// Asks the run's sockets in these directories, each by `call`. `own` is the user whose coordinator is believed. Each program has the time
/// `limit` to answer. Other users can run any number of programs, so all of their programs together have `limit` plus [`PATIENCE`]. Returns
/// each answer with the user of the program; `None` stands for `own`.
pub(super) async fn ask_run<T, F: Future<Output = io::Result<T>>>(
    folders: Vec<(PathBuf, u32)>,
    own: u32,
    run: &RunId,
    limit: Duration,
    call: impl Fn(RunSocket) -> F,
) -> Vec<(Option<u32>, Heard<T>)> {
    let scope = &UndoScope::Run(run.clone());
    let sockets = folders
        .into_iter()
        .filter_map(|(folder, user)| RunSocket::at(folder.join(format!("{run}.bell")), user, scope));
    let (ours, others): (Vec<_>, Vec<_>) = sockets.partition(|socket| socket.user == own);
    let ours = join_all(ours.into_iter().map(|socket| within(limit, call(socket))));
    let (ours, mut heard) = tokio::join!(ours, ask_others(others, limit, &call));
    heard.extend(ours.into_iter().flatten().map(|heard| (None, heard)));
    heard
}

/// Returns the answers of other users' programs.
async fn ask_others<T, F: Future<Output = io::Result<T>>>(
    sockets: Vec<RunSocket>,
    limit: Duration,
    call: &impl Fn(RunSocket) -> F,
) -> Vec<(Option<u32>, Heard<T>)> {
    let total_limit = limit + PATIENCE;
    let mut waiting: Vec<u32> = sockets.iter().map(|socket| socket.user).collect();
    let calls =
        sockets.into_iter().map(|socket| async move { (socket.user, within(limit, call(socket)).await) });
    let mut calls = std::pin::pin!(stream::iter(calls).buffer_unordered(AT_ONCE));
    let mut answers = Vec::new();
    let asked = async {
        while let Some((user, heard)) = calls.next().await {
            // Each other user has one directory, so one socket.
            waiting.retain(|other| *other != user);
            answers.extend(heard.map(|heard| (Some(user), heard)));
        }
    };
    let _late = timeout(total_limit, asked).await;
    let why = || Heard::Silent(format!("it was not heard within {} s", total_limit.as_secs()));
    answers.extend(waiting.into_iter().map(|user| (Some(user), why())));
    answers
}

/// Returns the answer of one socket. `None` if no process listens: the run's coordinator was killed and its socket is still there, or the
/// socket was removed just now.
async fn within<T>(limit: Duration, call: impl Future<Output = io::Result<T>>) -> Option<Heard<T>> {
    Some(match timeout(limit, call).await {
        Ok(Ok(said)) => Heard::Said(said),
        Ok(Err(error))
            if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) =>
        {
            return None;
        }
        Ok(Err(error)) => Heard::Silent(error.to_string()),
        Err(_late) => Heard::Silent(format!("it took longer than {} s", limit.as_secs())),
    })
}

/// Chooses the answer that is reported. Each answer has the user of its program (`None` for the user whose coordinator is believed).
/// `is_over` is whether an answer says that the run has ended.
///
/// Answers that mean that the run may go on come before those that say that it is over. Among answers of the same meaning, this user's
/// coordinator comes before another user's claim.
pub(super) fn told<T>(heard: Vec<(Option<u32>, Heard<T>)>, is_over: impl Fn(&T) -> bool) -> Told<T> {
    // The answer with the highest number is chosen.
    let ranked = heard.into_iter().map(|(other_user, heard)| match (other_user, heard) {
        (None, Heard::Said(said)) if is_over(&said) => (3, Told::Own(said)),
        (None, Heard::Said(said)) => (6, Told::Own(said)),
        (None, Heard::Silent(why)) => (5, Told::Silent(why)),
        (Some(user), Heard::Said(said)) => (if is_over(&said) { 2 } else { 4 }, Told::Claimed { user, said }),
        (Some(user), Heard::Silent(why)) => {
            (1, Told::Silent(format!("user {user}'s program, which may not be the run's coordinator: {why}")))
        }
    });
    ranked.max_by_key(|(rank, _)| *rank).map_or(Told::Nowhere, |(_, answer)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_claim_hides_this_users_coordinator_that_goes_on_or_is_silent() {
        let (goes_on, over) = (|| Heard::Said(true), || Heard::Said(false));
        let silent = || Heard::Silent("why".to_owned());
        let claimed = |said| Told::Claimed { user: 7, said };
        for (heard, wanted) in [
            (vec![], Told::Nowhere),
            (vec![(None, silent()), (Some(7), goes_on())], Told::Silent("why".to_owned())),
            (vec![(None, silent()), (Some(7), over())], Told::Silent("why".to_owned())),
            (vec![(Some(7), goes_on()), (None, goes_on())], Told::Own(true)),
            (vec![(None, over()), (Some(7), goes_on())], claimed(true)),
            (vec![(Some(7), over()), (None, over())], Told::Own(false)),
            (vec![(Some(7), over())], claimed(false)),
            (vec![(Some(7), silent()), (None, over())], Told::Own(false)),
            (vec![(Some(7), silent()), (Some(7), goes_on())], claimed(true)),
        ] {
            let reversed = heard.iter().rev().cloned().collect();
            assert_eq!(told(reversed, |goes_on| !goes_on), wanted, "reversed {heard:?}");
            assert_eq!(told(heard.clone(), |goes_on| !goes_on), wanted, "{heard:?}");
        }
        let Told::Silent(why) = told(vec![(Some(7), silent())], |goes_on: &bool| !goes_on) else {
            panic!("it did not answer")
        };
        assert!(why.contains("user 7"), "{why}");
    }
}
