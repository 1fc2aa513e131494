//! Reads what an agent has read of logs.

use std::{future::Future, time::Duration};

use firedrill_wire::{
    RefusalCode, RunId,
    logs::{LogBin, StartLogs},
};
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::super::{input::Input, tasks::Tasks};
use crate::link::{Agent, LinkError};

/// The bins to read.
pub(super) struct Follow {
    pub(super) run: RunId,
    pub(super) after: u64,
    /// The request that starts the readers again on a restarted agent, and the token that ends this.
    pub(super) again: Option<(StartLogs, CancellationToken)>,
}

/// An agent that reads logs.
trait Source: Send + Sync {
    /// Streams the bins of a run after a number.
    fn bins(&self, run: &RunId, after: u64) -> impl Stream<Item = Result<LogBin, LinkError>> + Send;
    /// Starts the readers.
    fn start(&self, run: &RunId, start: &StartLogs) -> impl Future<Output = Result<(), LinkError>> + Send;
}

impl Source for Agent {
    fn bins(&self, run: &RunId, after: u64) -> impl Stream<Item = Result<LogBin, LinkError>> + Send {
        self.log_bins(run, after)
    }

    fn start(&self, run: &RunId, start: &StartLogs) -> impl Future<Output = Result<(), LinkError>> + Send {
        self.start_logs(run, start)
    }
}

/// Reads a host's bins, across breaks of the link, until nothing more is read there. A restarted agent has lost its readers: it is
/// asked to read again, for later attacks.
pub(super) fn bins(host: String, agent: Agent, follow: Follow, tasks: &Tasks) {
    let mail = tasks.clone();
    tasks.spawn(async move {
        read(&agent, follow, |bin| mail.send(Input::LogBin { host: host.clone(), bin })).await;
        mail.send(Input::LogsEnded { host });
    });
}

/// Reads bins until nothing more is read, or nobody takes them.
async fn read(agent: &impl Source, follow: Follow, mut take: impl FnMut(LogBin) -> bool + Send) {
    const AGAIN: Duration = Duration::from_millis(250);
    let Follow { run, mut after, again } = follow;
    loop {
        let mut stream = std::pin::pin!(agent.bins(&run, after));
        let broken = loop {
            match stream.next().await {
                Some(Ok(bin)) => {
                    after = bin.seq;
                    if !take(bin) {
                        return;
                    }
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let Some(error) = broken else { return };
        if !error.passing() {
            let forgotten = error.problem().is_some_and(|one| one.code == RefusalCode::UnknownRun);
            let Some((start, wanted)) = again.as_ref().filter(|_| forgotten) else { return };
            if wanted.is_cancelled() {
                return;
            }
            // The numbers begin anew, also if the readers start and the answer is lost.
            after = 0;
            if agent.start(&run, start).await.is_err_and(|error| !error.passing() && !error.is_busy()) {
                return;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use firedrill_wire::{Span, api::Problem};
    use futures_util::stream;

    use super::*;

    /// An agent that was restarted after five bins, and whose first answer to a new start is lost.
    #[derive(Default)]
    struct Restarted {
        calls: Mutex<Vec<String>>,
    }

    impl Source for Restarted {
        fn bins(&self, _: &RunId, after: u64) -> impl Stream<Item = Result<LogBin, LinkError>> + Send {
            let mut calls = self.calls.lock().unwrap();
            let started = calls.iter().any(|call| call == "start");
            calls.push(format!("after {after}"));
            let refused = LinkError::Refused {
                host: "a".to_owned(),
                call: "log bins".to_owned(),
                status: 404,
                problem: Problem { code: RefusalCode::UnknownRun, title: String::new(), hint: String::new() },
            };
            let all: Vec<_> = if started {
                (after + 1..=2).map(|seq| Ok(LogBin { seq, ..LogBin::default() })).collect()
            } else {
                vec![Err(refused)]
            };
            stream::iter(all)
        }

        async fn start(&self, _: &RunId, _: &StartLogs) -> Result<(), LinkError> {
            self.calls.lock().unwrap().push("start".to_owned());
            let (host, call) = ("a".to_owned(), "logs".to_owned());
            Err(LinkError::TimedOut { host, call, limit: Duration::from_secs(1) })
        }
    }

    #[tokio::test]
    async fn bins_of_a_restarted_agent_are_read_from_the_first() {
        let agent = Restarted::default();
        let start = StartLogs { logs: Vec::new(), at_most: Span::secs(1), environment: None };
        let again = Some((start, CancellationToken::new()));
        let mut seen = Vec::new();
        let follow = Follow { run: "r".parse().unwrap(), after: 5, again };
        read(&agent, follow, |bin| {
            seen.push(bin.seq);
            true
        })
        .await;
        assert_eq!(*agent.calls.lock().unwrap(), ["after 5", "start", "after 0"]);
        assert_eq!(seen, [1, 2]);
    }
}
