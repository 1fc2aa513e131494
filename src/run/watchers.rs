//! Background tasks that listen: to the passing of time, and to agents. Each sends its observations to the
//! run and decides nothing.

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

/// Detects times in which the coordinator itself did not run: sleep of the machine, a stop signal, or starvation.
pub(super) fn pulse(tasks: &Tasks, clock: RunClock) {
    const BEAT: Duration = Duration::from_millis(100);
    /// Minimum delay of a beat that counts as a gap.
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

/// Reads a host's events. When the link breaks, it reports that, waits for the link to come back, and continues at
/// the last event. A host that was never reached is waited for first.
pub(super) fn events(host: String, agent: Agent, mut after: u64, mut met: bool, tasks: &Tasks) {
    const AGAIN: Duration = Duration::from_millis(250);
    const SLOWEST: Duration = Duration::from_secs(5);
    let mail = tasks.clone();
    tasks.spawn(async move {
        let mut pause = AGAIN;
        loop {
            let began = Instant::now();
            if std::mem::replace(&mut met, true) {
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
            // A link that breaks again and again at once must not fill the log.
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

/// The means by which a renewal sees that the run's task works.
pub(super) struct Lively {
    pub(super) clock: RunClock,
    pub(super) blocked: Blocked,
}

/// Renews a host's lease while `active` is true. An unreachable agent heals by itself when its lease runs out. So does every agent while the
/// run's task is blocked for half a lease: nobody would notice a guard then, or end a fault.
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
                // Failures are visible on the event stream: link lost, lease expired.
                let _ = tokio::time::timeout(patience, agent.renew(&run, &Renew { lease })).await;
            }
            tokio::time::sleep(every).await;
        }
    });
}

/// Reads the measurements of a host's probes until the probes have stopped and everything was read.
pub(super) fn bins(vantage: String, agent: Agent, follow: Follow<StartProbes>, tasks: &Tasks) {
    let mail = tasks.clone();
    tasks.spawn(async move {
        let take = |told| {
            let vantage = vantage.clone();
            mail.send(match told {
                Told::Bin(bin) => Input::Bin { vantage, bin },
                Told::Restarted => Input::Restarted { vantage },
            })
        };
        let why = read(&agent, follow, take).await;
        mail.send(Input::BinsEnded { vantage, why });
    });
}

/// Reads what a host's agent reads of logs until it has stopped and everything was read.
pub(super) fn log_bins(host: String, agent: Agent, follow: Follow<StartLogs>, tasks: &Tasks) {
    let mail = tasks.clone();
    tasks.spawn(async move {
        let take = |told| match told {
            Told::Bin(bin) => mail.send(Input::LogBin { host: host.clone(), bin }),
            Told::Restarted => true,
        };
        let why = read(&agent, follow, take).await;
        mail.send(Input::LogsEnded { host, why });
    });
}
