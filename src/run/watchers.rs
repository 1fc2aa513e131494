//! Background tasks that watch the clock and the agents. Each sends its observations to the run and decides nothing.

use std::time::{Duration, Instant};

use firedrill_wire::{
    RunId, Span,
    api::{Renew, StartProbes},
    logs::StartLogs,
};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::{
    blocked::Blocked,
    clock::{RunClock, signed},
    follow::{Follow, Told, read},
    input::Input,
    tasks::Tasks,
};
use crate::link::{self, Agent};

/// Starts a task that detects gaps in which the coordinator did not run: the machine slept, the process was stopped, or it got no CPU
/// time.
pub(super) fn pulse(tasks: &Tasks, clock: RunClock) {
    const BEAT: Duration = Duration::from_millis(100);
    /// Minimum time between two beats that counts as a gap, in microseconds.
    const GAP_US: i64 = 1_000_000;
    let mail = tasks.clone();
    tasks.spawn(async move {
        let mut last = clock.now_us();
        loop {
            tokio::time::sleep(BEAT).await;
            let now = clock.now_us();
            if now - last > GAP_US && !mail.send(Input::Gap { from_us: last, to_us: now }) {
                return;
            }
            last = now;
        }
    });
}

/// Starts a task that reads a host's events after the one with number `after`. When the link breaks, the task reports that, waits until
/// the link is back, and continues after the last event. With `reached` false, it first waits for the link.
pub(super) fn events(host: String, agent: Agent, mut after: u64, mut reached: bool, tasks: &Tasks) {
    const AGAIN: Duration = Duration::from_millis(250);
    const SLOWEST: Duration = Duration::from_secs(5);
    let mail = tasks.clone();
    tasks.spawn(async move {
        let mut pause = AGAIN;
        loop {
            let began = Instant::now();
            if std::mem::replace(&mut reached, true) {
                let mut stream = std::pin::pin!(agent.events(after));
                let mut why = "the agent closed the connection".to_owned();
                while let Some(item) = stream.next().await {
                    match item {
                        Ok(event) => {
                            after = event.seq;
                            if !mail.send(Input::Agent { host: host.clone(), event }) {
                                return;
                            }
                        }
                        Err(error) => {
                            why = error.to_string();
                            break;
                        }
                    }
                }
                if !mail.send(Input::LinkLost { host: host.clone(), why }) {
                    return;
                }
            }
            // A link that breaks again and again within a short time must not fill the log, so the pause grows.
            pause = if began.elapsed() > SLOWEST { AGAIN } else { (pause * 2).min(SLOWEST) };
            tokio::time::sleep(pause / 2).await;
            let offset = loop {
                if let Ok(offset) = link::offset(&agent, 3).await {
                    break offset;
                }
                tokio::time::sleep(AGAIN).await;
            };
            if !mail.send(Input::LinkBack { host: host.clone(), offset }) {
                return;
            }
        }
    });
}

/// Lets a renewal see whether the run's main task is alive or blocked.
pub(super) struct Lively {
    pub(super) clock: RunClock,
    pub(super) blocked: Blocked,
}

/// Starts a task that renews a host's lease while `active` is true. An unreachable agent heals its host when the lease expires. Renewals
/// stop while the run's main task is blocked for half a lease or longer, so that all agents heal their hosts: during that time, nobody
/// would notice a guard or end a fault.
pub(super) fn renewal(
    (agent, run): (Agent, RunId),
    lease: Span,
    mut active: watch::Receiver<bool>,
    lively: Lively,
    tasks: &Tasks,
) {
    let every = (lease.0 / 5).clamp(Duration::from_millis(50), Duration::from_secs(1));
    // A call that hangs must not use up the whole lease.
    let patience = (lease.0 / 3).max(every);
    let longest_us = signed(lease.as_micros() / 2);
    tasks.spawn(async move {
        loop {
            if active.wait_for(|on| *on).await.is_err() {
                return;
            }
            if lively.blocked.for_us(lively.clock.now_us()) < longest_us {
                // A failure is ignored here: the event stream shows it as a lost link or an expired lease.
                let _ = tokio::time::timeout(patience, agent.renew(&run, &Renew { lease })).await;
            }
            tokio::time::sleep(every).await;
        }
    });
}

/// Starts a task that reads the measurements of a host's probes, until the probes have stopped and everything was read.
pub(super) fn bins(vantage: String, agent: Agent, follow: Follow<StartProbes>, tasks: &Tasks) {
    let mail = tasks.clone();
    tasks.spawn(async move {
        let take = |news| {
            let vantage = vantage.clone();
            mail.send(match news {
                Told::Bin(bin) => Input::Bin { vantage, bin },
                Told::Restarted => Input::Restarted { vantage },
            })
        };
        let why = read(&agent, follow, take).await;
        mail.send(Input::BinsEnded { vantage, why });
    });
}

/// Starts a task that reads the log data that a host's agent collects, until the agent has stopped and everything was read.
pub(super) fn log_bins(host: String, agent: Agent, follow: Follow<StartLogs>, tasks: &Tasks) {
    let mail = tasks.clone();
    tasks.spawn(async move {
        let take = |news| match news {
            Told::Bin(bin) => mail.send(Input::LogBin { host: host.clone(), bin }),
            Told::Restarted => true,
        };
        let why = read(&agent, follow, take).await;
        mail.send(Input::LogsEnded { host, why });
    });
}
