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

use super::notify::{AT_ONCE, PATIENCE, UndoSocket};

/// The answer of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard<T> {
    Said(T),
    Silent(String),
}

/// The answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loudest<T> {
    /// That of this user's coordinator.
    Own(T),
    /// No coordinator of this run can be reached on this machine.
    Nowhere,
    /// A coordinator did not answer; with the reason.
    Silent(String),
    /// A program of another user answered.
    Claimed { user: u32, said: T },
}

/// Asks the run's sockets in these directories by `call`, each for `one` at most. `own` is the user whose answers count. Other users can run
/// any number of programs, so theirs are asked for a little longer in all.
pub(super) async fn ask_run<T, F: Future<Output = io::Result<T>>>(
    (folders, own): (Vec<(PathBuf, u32)>, u32),
    run: &RunId,
    one: Duration,
    call: impl Fn(UndoSocket) -> F,
) -> Vec<(Option<u32>, Heard<T>)> {
    let scope = &UndoScope::Run(run.clone());
    let sockets = folders
        .into_iter()
        .filter_map(|(folder, user)| UndoSocket::at(folder.join(format!("{run}.bell")), user, scope));
    let (ours, others): (Vec<_>, Vec<_>) = sockets.partition(|socket| socket.user == own);
    let ours = join_all(ours.into_iter().map(|socket| within(one, call(socket))));
    let (ours, mut heard) = tokio::join!(ours, ask_others(others, one, &call));
    heard.extend(ours.into_iter().flatten().map(|heard| (None, heard)));
    heard
}

/// Returns what other users' programs answered.
async fn ask_others<T, F: Future<Output = io::Result<T>>>(
    sockets: Vec<UndoSocket>,
    one: Duration,
    call: &impl Fn(UndoSocket) -> F,
) -> Vec<(Option<u32>, Heard<T>)> {
    let all_of_them = one + PATIENCE;
    let mut waiting: Vec<u32> = sockets.iter().map(|socket| socket.user).collect();
    let calls =
        sockets.into_iter().map(|socket| async move { (socket.user, within(one, call(socket)).await) });
    let mut calls = std::pin::pin!(stream::iter(calls).buffer_unordered(AT_ONCE));
    let mut all = Vec::new();
    let asked = async {
        while let Some((user, heard)) = calls.next().await {
            waiting.retain(|other| *other != user);
            all.extend(heard.map(|heard| (Some(user), heard)));
        }
    };
    let _late = timeout(all_of_them, asked).await;
    let why = || Heard::Silent(format!("it was not heard within {} s", all_of_them.as_secs()));
    all.extend(waiting.into_iter().map(|user| (Some(user), why())));
    all
}

/// Returns the answer of one socket; `None` if nobody listens, because its coordinator was killed.
async fn within<T>(one: Duration, call: impl Future<Output = io::Result<T>>) -> Option<Heard<T>> {
    Some(match timeout(one, call).await {
        Ok(Ok(said)) => Heard::Said(said),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return None,
        Ok(Err(error)) => Heard::Silent(error.to_string()),
        Err(_late) => Heard::Silent(format!("it took longer than {} s", one.as_secs())),
    })
}

/// Returns the answer that counts, of answers with their users (`None` for this one). `is_over` is whether an answer says that the run has
/// ended.
pub(super) fn loudest<T>(heard: Vec<(Option<u32>, Heard<T>)>, is_over: impl Fn(&T) -> bool) -> Loudest<T> {
    let ranked = heard.into_iter().map(|(other_user, heard)| match (other_user, heard) {
        (None, Heard::Said(said)) if is_over(&said) => (2, Loudest::Own(said)),
        (None, Heard::Said(said)) => (6, Loudest::Own(said)),
        (None, Heard::Silent(why)) => (5, Loudest::Silent(why)),
        (Some(user), Heard::Said(said)) => {
            (if is_over(&said) { 3 } else { 4 }, Loudest::Claimed { user, said })
        }
        (Some(user), Heard::Silent(why)) => {
            (1, Loudest::Silent(format!("user {user}'s program, which may not be its coordinator: {why}")))
        }
    });
    ranked.max_by_key(|(rank, _)| *rank).map_or(Loudest::Nowhere, |(_, answer)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_of_another_user_hides_an_own_one() {
        let (goes_on, over) = (|| Heard::Said(true), || Heard::Said(false));
        let silent = || Heard::Silent("why".to_owned());
        let claimed = |said| Loudest::Claimed { user: 7, said };
        for (heard, told) in [
            (vec![], Loudest::Nowhere),
            (vec![(None, silent()), (Some(7), goes_on())], Loudest::Silent("why".to_owned())),
            (vec![(None, silent()), (Some(7), over())], Loudest::Silent("why".to_owned())),
            (vec![(Some(7), goes_on()), (None, goes_on())], Loudest::Own(true)),
            (vec![(None, over()), (Some(7), goes_on())], claimed(true)),
            (vec![(Some(7), over()), (None, over())], claimed(false)),
            (vec![(Some(7), silent()), (None, over())], Loudest::Own(false)),
            (vec![(Some(7), silent()), (Some(7), goes_on())], claimed(true)),
        ] {
            let reversed = heard.iter().rev().cloned().collect();
            assert_eq!(loudest(reversed, |goes_on| !goes_on), told, "reversed {heard:?}");
            assert_eq!(loudest(heard.clone(), |goes_on| !goes_on), told, "{heard:?}");
        }
        let Loudest::Silent(why) = loudest(vec![(Some(7), silent())], |goes_on: &bool| !goes_on) else {
            panic!("it did not answer")
        };
        assert!(why.contains("user 7"), "{why}");
    }
}
