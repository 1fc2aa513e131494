//! Asks the coordinator of one run on this machine by the run's id, without its fleet or a certificate: whoever may open the socket may ask.
//!
//! Root asks the programs of all users. The answer of another user's program proves nothing: any user can run one that says that it is the
//! coordinator. So it is told as that program's claim, and neither keeps others from being asked nor hides that an own coordinator did not answer.

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
    Said(T),
    Silent(String),
}

/// The one answer of all that is told to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// That of this user's coordinator.
    Own(T),
    /// No coordinator of this run can be reached on this machine.
    Nowhere,
    /// A coordinator did not answer; with the reason.
    Silent(String),
    /// A program of another user answered.
    Claimed { user: u32, said: T },
}

/// Asks the run's sockets in these directories by `call`. `own` is the user whose coordinator is believed. Each program has `limit` to answer;
/// other users can run any number of programs, so all of theirs together have `limit` and [`PATIENCE`]. Returns each answer with its user;
/// `None` is `own`.
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

/// Returns what other users' programs answered.
async fn ask_others<T, F: Future<Output = io::Result<T>>>(
    sockets: Vec<RunSocket>,
    limit: Duration,
    call: &impl Fn(RunSocket) -> F,
) -> Vec<(Option<u32>, Heard<T>)> {
    let limit_of_all = limit + PATIENCE;
    let mut waiting: Vec<u32> = sockets.iter().map(|socket| socket.user).collect();
    let calls =
        sockets.into_iter().map(|socket| async move { (socket.user, within(limit, call(socket)).await) });
    let mut calls = std::pin::pin!(stream::iter(calls).buffer_unordered(AT_ONCE));
    let mut all = Vec::new();
    let asked = async {
        while let Some((user, heard)) = calls.next().await {
            // Each other user has one directory, so one socket.
            waiting.retain(|other| *other != user);
            all.extend(heard.map(|heard| (Some(user), heard)));
        }
    };
    let _late = timeout(limit_of_all, asked).await;
    let why = || Heard::Silent(format!("it was not heard within {} s", limit_of_all.as_secs()));
    all.extend(waiting.into_iter().map(|user| (Some(user), why())));
    all
}

/// Returns the answer of one socket. `None` if nobody listens: the run's coordinator was killed and its socket is still there, or was
/// removed just now.
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

/// Returns the answer to tell, of answers with their users (`None` for the user whose coordinator is believed). `is_over` is whether an answer
/// says that the run has ended.
///
/// Whatever says that the run may go on comes before what says that it is over, and an own coordinator comes before another user's claim of
/// the same.
pub(super) fn told<T>(heard: Vec<(Option<u32>, Heard<T>)>, is_over: impl Fn(&T) -> bool) -> Told<T> {
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
    fn no_claim_hides_an_own_coordinator_that_goes_on_or_is_silent() {
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
