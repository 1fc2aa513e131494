//! Requests to all hosts of a fleet at once.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use super::failure::{Result, Wrap as _};
use crate::{
    link::{Agent, Identity, LinkError, hosts_at_once},
    plan::model::Host,
};

/// Creates a runtime for the coordinator's work.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().wrap("cannot start")
}

/// Time without any answer after which the hosts that have not answered yet are printed.
const SILENCE: Duration = Duration::from_secs(5);

/// Asks every host of a fleet, as many at once as the limit of open files allows; returns the answers in the fleet's
/// order.
pub(super) async fn ask_all<T, F, C>(
    fleet: &[Host],
    identity: &Arc<Identity>,
    call: C,
) -> Vec<(String, Result<T, LinkError>)>
where
    F: Future<Output = Result<T, LinkError>>,
    C: Fn(Agent) -> F,
{
    let at_once = hosts_at_once(fleet, 1);
    if at_once < fleet.len() {
        errln!(
            "this process may open files for the links to {at_once} hosts at a time, so {} hosts are asked in turns; a higher hard limit (`ulimit -Hn`, LimitNOFILE=) allows all to be asked at once",
            fleet.len()
        );
    }
    let calls = fleet.iter().enumerate().map(|(place, host)| {
        let answer = call(Agent::new(host, Arc::clone(identity)));
        async move { (place, answer.await) }
    });
    let mut asked = std::pin::pin!(stream::iter(calls).buffer_unordered(at_once));
    let mut answers: Vec<Option<Result<T, LinkError>>> = fleet.iter().map(|_| None).collect();
    loop {
        match timeout(SILENCE, asked.next()).await {
            Ok(Some((place, answer))) => answers[place] = Some(answer),
            Ok(None) => break,
            Err(_) => {
                let silent = fleet.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
                let silent: Vec<&str> = silent.map(|(host, _)| host.name.as_str()).collect();
                errln!("waiting for {} of {} hosts: {}", silent.len(), fleet.len(), some_of(&silent));
            }
        }
    }
    // The loop ends when each host has answered, so that no answer is missing here.
    let answers = answers.into_iter().flatten();
    fleet.iter().map(|host| host.name.clone()).zip(answers).collect()
}

/// Lists the first ten of some names, and the number of the others.
pub(super) fn some_of(names: &[&str]) -> String {
    const MOST: usize = 10;
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{}, and {more} more", names[..MOST].join(", ")),
        _ => names.join(", "),
    }
}
