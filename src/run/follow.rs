//! Reads the bins that an agent makes for a run, of probes or of logs, across breaks of the link and restarts of the agent.

use std::{future::Future, time::Duration};

use firedrill_probe::Spooled;
use firedrill_wire::{
    RefusalCode, RunId,
    api::StartProbes,
    logs::{LogBin, StartLogs},
    probe::Bin,
};
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::link::{Agent, LinkError};

/// The bins to read.
pub(super) struct Follow<S> {
    pub(super) run: RunId,
    /// The number of the last bin that is known.
    pub(super) after: u64,
    /// The request that starts the measurement again on a restarted agent, and a token: once it is cancelled, nothing is started again. `None`
    /// if nothing is started again at all.
    pub(super) again: Option<(S, CancellationToken)>,
}

/// News of an agent.
pub(super) enum Told<B> {
    /// A bin.
    Bin(B),
    /// The agent was restarted, and measures again.
    Restarted,
}

/// An agent whose bins are read. `S` is the request that starts it: of probes, or of logs.
pub(super) trait Source<S>: Sync {
    type Bin: Spooled + Send;
    /// Streams the bins of a run after a number.
    fn bins(&self, run: &RunId, after: u64) -> impl Stream<Item = Result<Self::Bin, LinkError>> + Send;
    /// Starts to measure.
    fn start(&self, run: &RunId, start: &S) -> impl Future<Output = Result<(), LinkError>> + Send;
}

impl Source<StartProbes> for Agent {
    type Bin = Bin;

    fn bins(&self, run: &RunId, after: u64) -> impl Stream<Item = Result<Bin, LinkError>> + Send {
        self.bins(run, after)
    }

    fn start(&self, run: &RunId, start: &StartProbes) -> impl Future<Output = Result<(), LinkError>> + Send {
        self.start_probes(run, start)
    }
}

impl Source<StartLogs> for Agent {
    type Bin = LogBin;

    fn bins(&self, run: &RunId, after: u64) -> impl Stream<Item = Result<LogBin, LinkError>> + Send {
        self.log_bins(run, after)
    }

    fn start(&self, run: &RunId, start: &StartLogs) -> impl Future<Output = Result<(), LinkError>> + Send {
        self.start_logs(run, start)
    }
}

/// Reads bins until the agent measures no more and all bins were read, or until `take` returns `false`. A restarted agent has forgotten the
/// run, and is asked to measure again, for later attacks. Returns the reason if an agent refuses for good.
pub(super) async fn read<S, A: Source<S>>(
    agent: &A,
    follow: Follow<S>,
    mut take: impl FnMut(Told<A::Bin>) -> bool + Send,
) -> Option<String> {
    /// The pause before the next attempt.
    const AGAIN: Duration = Duration::from_millis(250);
    let Follow { run, mut after, again } = follow;
    loop {
        let mut stream = std::pin::pin!(Source::<S>::bins(agent, &run, after));
        let broken = loop {
            match stream.next().await {
                Some(Ok(bin)) => {
                    after = bin.seq();
                    if !take(Told::Bin(bin)) {
                        return None;
                    }
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let error = broken?;
        if !error.passing() {
            let forgotten = error.problem().is_some_and(|problem| problem.code == RefusalCode::UnknownRun);
            if !forgotten {
                return Some(error.to_string());
            }
            let (start, wanted) = again.as_ref()?;
            if wanted.is_cancelled() {
                return None;
            }
            // A restarted agent numbers its bins from 1 again. This holds also if it starts and its answer is lost.
            after = 0;
            match agent.start(&run, start).await {
                Ok(()) => drop(take(Told::Restarted)),
                Err(error) if error.passing() || error.is_busy() => {}
                Err(error) => return Some(error.to_string()),
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

    impl Source<StartLogs> for Restarted {
        type Bin = LogBin;

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
            let bins: Vec<_> = if started {
                (after + 1..=2).map(|seq| Ok(LogBin { seq, ..LogBin::default() })).collect()
            } else {
                vec![Err(refused)]
            };
            stream::iter(bins)
        }

        async fn start(&self, _: &RunId, _: &StartLogs) -> Result<(), LinkError> {
            self.calls.lock().unwrap().push("start".to_owned());
            let (host, call) = ("a".to_owned(), "logs".to_owned());
            Err(LinkError::TimedOut { host, call, limit: Duration::from_secs(1) })
        }
    }

    /// An agent that refuses the stream for good.
    struct Refuses;

    impl Source<StartLogs> for Refuses {
        type Bin = LogBin;

        fn bins(&self, _: &RunId, _: u64) -> impl Stream<Item = Result<LogBin, LinkError>> + Send {
            let (code, title) = (RefusalCode::NotAllowed, "you may not read this".to_owned());
            stream::iter([Err(LinkError::Refused {
                host: "a".to_owned(),
                call: "log bins".to_owned(),
                status: 403,
                problem: Problem { code, title, hint: String::new() },
            })])
        }

        async fn start(&self, _: &RunId, _: &StartLogs) -> Result<(), LinkError> {
            unreachable!("the agent has not forgotten the run")
        }
    }

    #[tokio::test]
    async fn a_refusal_for_good_ends_the_reading_with_its_reason() {
        let follow = Follow { run: "r".parse().unwrap(), after: 0, again: None };
        let why = read::<StartLogs, _>(&Refuses, follow, |_| true).await;
        assert!(why.is_some_and(|why| why.contains("you may not read this")));
    }

    #[tokio::test]
    async fn bins_of_a_restarted_agent_are_read_from_the_first() {
        let agent = Restarted::default();
        let start = StartLogs { logs: Vec::new(), at_most: Span::secs(1), environment: None };
        let again = Some((start, CancellationToken::new()));
        let mut seen = Vec::new();
        let follow = Follow { run: "r".parse().unwrap(), after: 5, again };
        read(&agent, follow, |told| {
            if let Told::Bin(bin) = told {
                seen.push(bin.seq);
            }
            true
        })
        .await;
        assert_eq!(*agent.calls.lock().unwrap(), ["after 5", "start", "after 0"]);
        assert_eq!(seen, [1, 2]);
    }
}
