//! A coordinator's calls to one agent, one injection after another, and the times that the agent journaled.

use std::{pin::Pin, time::Duration};

use firedrill::link::{Agent, LinkError};
use firedrill_wire::{
    Fault, InjectionId, RunId, Span,
    api::{About, Arm, ArmOne, Prepare, PrepareOne, Prepared, Renew, Undo, UndoScope},
    fault::NetBlock,
    journal::{AgentEvent, State, What},
};
use futures_util::{Stream, StreamExt as _};

use crate::Failure;

/// Maximum wait for any answer. Nothing that is measured here takes longer, on any machine that works.
const PATIENCE: Duration = Duration::from_secs(180);

/// One run on one agent.
pub(crate) struct Drill {
    pub(crate) agent: Agent,
    run: RunId,
    lease: Span,
    boot_id: String,
    events: Pin<Box<dyn Stream<Item = Result<AgentEvent, LinkError>> + Send>>,
    /// The number of the newest event that was read.
    seen: u64,
    /// Number of injections so far.
    made: u32,
}

/// An injection that was prepared.
pub(crate) struct Ready {
    pub(crate) id: InjectionId,
    hold: Span,
    fingerprint: String,
}

/// Returns a fault that drops all traffic with a peer.
pub(crate) fn block(peer: &str) -> Fault {
    Fault::NetBlock(NetBlock { to: vec![peer.to_owned()].into(), ..NetBlock::default() })
}

impl Drill {
    /// Waits until the agent serves, and begins a run on it.
    pub(crate) async fn begin(agent: Agent, run: &str, lease: Span) -> Result<Self, Failure> {
        let end = tokio::time::Instant::now() + PATIENCE;
        let status = loop {
            match agent.status().await {
                Ok(status) => break status,
                Err(error) if tokio::time::Instant::now() > end => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let events = Box::pin(agent.events(status.last_seq));
        let boot_id = status.clock.boot_id;
        Ok(Self { agent, run: run.parse()?, lease, boot_id, events, seen: status.last_seq, made: 0 })
    }

    /// Returns the digest of the run's plan: as long as real ones, and another one for each run.
    fn plan_digest(&self) -> String {
        format!("{:0>64}", self.run)
    }

    /// Prepares a fault.
    pub(crate) async fn prepare(&mut self, fault: Fault, hold: Span) -> Result<Ready, Failure> {
        self.made += 1;
        let id: InjectionId = format!("{}-{}", self.run.as_str(), self.made).parse()?;
        let ask = Prepare {
            plan_digest: self.plan_digest(),
            environment: None,
            injections: vec![PrepareOne { id: id.clone(), fault, hold, proof: Vec::new() }],
            only_look: false,
            approvals: Vec::new(),
        };
        let answer = self.agent.prepare(&self.run, &ask).await?;
        match answer.injections.into_iter().next().map(|one| one.answer) {
            Some(Prepared::Ready { fingerprint, .. }) => Ok(Ready { id, hold, fingerprint }),
            Some(Prepared::Refused(problem)) => {
                Err(format!("refused: {}; {}", problem.title, problem.hint).into())
            }
            None => Err("prepare had no answer".into()),
        }
    }

    /// Arms an injection to start at this time, by the host's CLOCK_BOOTTIME in microseconds.
    pub(crate) async fn arm(&self, ready: &Ready, start_boot_us: u64) -> Result<(), Failure> {
        let (id, hold, fingerprint) = (ready.id.clone(), ready.hold, ready.fingerprint.clone());
        let arm = Arm {
            plan_digest: self.plan_digest(),
            boot_id: self.boot_id.clone(),
            lease: self.lease,
            about: About { drill: "bench".to_owned(), operator: "bench".to_owned(), ticket: None },
            injections: vec![ArmOne { id, start_boot_us, hold, fingerprint }],
        };
        self.agent.arm(&self.run, &arm).await?;
        Ok(())
    }

    /// Renews the lease once.
    pub(crate) async fn renew(&self) -> Result<(), Failure> {
        self.agent.renew(&self.run, &Renew { lease: self.lease }).await?;
        Ok(())
    }

    /// Undoes an injection.
    pub(crate) async fn undo(&self, ready: &Ready) -> Result<(), Failure> {
        let undo = Undo { scope: UndoScope::Injection(ready.id.clone()), halt: false };
        let stuck = self.agent.undo(&undo).await?.stuck;
        if stuck.is_empty() { Ok(()) } else { Err(format!("stuck: {}", stuck.join("; ")).into()) }
    }

    /// Waits until the agent reports that an injection is in this state. Returns the time of that, by the host's
    /// CLOCK_BOOTTIME in microseconds.
    pub(crate) async fn until(&mut self, ready: &Ready, wanted: State) -> Result<u64, Failure> {
        let id = &ready.id;
        let wait = async {
            loop {
                // If the link was cut, the events of the meantime are read when it is back.
                let Some(Ok(event)) = self.events.next().await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    self.events = Box::pin(self.agent.events(self.seen));
                    continue;
                };
                self.seen = event.seq;
                match event.what {
                    What::Changed { injection, to, .. } if injection == *id && to == wanted => {
                        return Ok(event.boot_us);
                    }
                    What::Changed {
                        injection, to: to @ (State::Disarmed | State::Stuck), detail, ..
                    } if injection == *id => {
                        return Err(Failure::from(format!("{id} is {to:?}: {detail}")));
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.map_err(|_| format!("{id} was never {wanted:?}"))?
    }
}
