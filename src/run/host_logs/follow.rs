//! Reads what an agent has read of logs.

use std::time::Duration;

use firedrill_wire::{RefusalCode, RunId, logs::StartLogs};
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::super::{input::Input, tasks::Tasks};
use crate::link::Agent;

/// The bins to read.
pub(super) struct Follow {
    pub(super) run: RunId,
    pub(super) after: u64,
    /// The request that starts the readers again on a restarted agent, and the token that ends this.
    pub(super) again: Option<(StartLogs, CancellationToken)>,
}

/// Reads a host's bins, across breaks of the link, until nothing more is read there. A restarted agent has lost its readers: it is
/// asked to read again, for later attacks.
pub(super) fn bins(host: String, agent: Agent, follow: Follow, tasks: &Tasks) {
    const AGAIN: Duration = Duration::from_millis(250);
    let Follow { run, mut after, again } = follow;
    let mail = tasks.clone();
    tasks.spawn(async move {
        loop {
            let mut stream = std::pin::pin!(agent.log_bins(&run, after));
            let broken = loop {
                match stream.next().await {
                    Some(Ok(bin)) => {
                        after = bin.seq;
                        if !mail.send(Input::LogBin { host: host.clone(), bin }) {
                            return;
                        }
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            let Some(error) = broken else { break };
            if !error.passing() {
                let forgotten = error.problem().is_some_and(|one| one.code == RefusalCode::UnknownRun);
                let Some((start, wanted)) = again.as_ref().filter(|_| forgotten) else { break };
                if wanted.is_cancelled() {
                    break;
                }
                match agent.start_logs(&run, start).await {
                    Ok(()) => after = 0,
                    Err(error) if error.passing() => {}
                    Err(_) => break,
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
        mail.send(Input::LogsEnded { host });
    });
}
