//! The coordinator of one run on one host.

use std::time::Duration;

use firedrill::link::{Agent, LinkError};
use firedrill_wire::{
    Fault, InjectionId, RunId, Span,
    api::{About, Arm, ArmOne, Armed, Prepare, PrepareOne, Prepared, Renew, Undo, UndoAnswer, UndoScope},
    journal::State,
};
use tokio::task::JoinHandle;

use super::host::{Host, World, wait};

const DIGEST: &str = "the plan";
/// A lease that never ends during a test, however busy the machine is.
const LEASE: Span = Span::secs(60);
/// The lease of tests that wait for its end.
pub(crate) const SHORT: Span = Span::secs(3);
/// A hold that is longer than any test, so that no fault ends because its hold is over.
const HOLD: Span = Span::secs(300);

/// A run with a number of injections. The renewals end when this is dropped.
pub(crate) struct Drill {
    pub(crate) agent: Agent,
    pub(crate) run: RunId,
    /// The ids of the injections. Other calls name an injection by its index here.
    pub(crate) ids: Vec<InjectionId>,
    fingerprints: Vec<String>,
    /// The host's boot id when the faults were prepared.
    boot_id: String,
    /// The task that renews the lease.
    renewing: Option<JoinHandle<()>>,
    lease: Span,
}

/// Parses a fault as plans have it.
pub(crate) fn fault(json: &str) -> Fault {
    serde_json::from_str(json).unwrap()
}

/// Repeats a call that only reads while its link breaks: a busy machine may not answer a ping within a second.
async fn again<T>(ask: impl AsyncFn() -> Result<T, LinkError>) -> Result<T, LinkError> {
    for _ in 0..20 {
        match ask().await {
            Err(error) if error.passing() => {}
            answer => return answer,
        }
    }
    ask().await
}

impl Drill {
    /// Begins a run on a host, and prepares these faults.
    pub(crate) async fn prepare(world: &World, host: &Host<'_>, faults: &[Fault]) -> Self {
        let run = world.new_run();
        let ids: Vec<InjectionId> =
            (0..faults.len()).map(|index| format!("{run}-{index}").parse().unwrap()).collect();
        let mut drill = Self {
            agent: host.agent(),
            run,
            ids,
            fingerprints: Vec::new(),
            boot_id: String::new(),
            renewing: None,
            lease: LEASE,
        };
        drill.prepare_again(faults).await.unwrap();
        drill
    }

    pub(crate) fn with_lease(mut self, lease: Span) -> Self {
        self.lease = lease;
        self
    }

    /// Prepares the same faults once more.
    pub(crate) async fn prepare_again(&mut self, faults: &[Fault]) -> Result<(), LinkError> {
        let injection = |(id, fault): (&InjectionId, &Fault)| PrepareOne {
            id: id.clone(),
            fault: fault.clone(),
            hold: HOLD,
            proof: Vec::new(),
        };
        let injections = self.ids.iter().zip(faults).map(injection).collect();
        let ask = Prepare {
            plan_digest: DIGEST.into(),
            environment: None,
            injections,
            only_look: false,
            approvals: Vec::new(),
        };
        let answer = self.agent.prepare(&self.run, &ask).await?;
        self.boot_id = answer.clock.boot_id;
        let fingerprint = |answer| match answer {
            Prepared::Ready { fingerprint, .. } => fingerprint,
            Prepared::Refused(problem) => panic!("{problem:?}"),
        };
        self.fingerprints =
            answer.injections.into_iter().map(|prepared| fingerprint(prepared.answer)).collect();
        Ok(())
    }

    /// Arms these injections of the drill, to start `start_in` from now.
    pub(crate) async fn arm(&mut self, which: &[usize], start_in: Span) -> Result<Armed, LinkError> {
        let now = again(async || self.agent.clock().await).await?.boot_us;
        let start_boot_us = now + start_in.as_micros();
        let injection = |&at: &usize| ArmOne {
            id: self.ids[at].clone(),
            start_boot_us,
            hold: HOLD,
            fingerprint: self.fingerprints[at].clone(),
        };
        let arm = Arm {
            plan_digest: DIGEST.into(),
            boot_id: self.boot_id.clone(),
            lease: self.lease,
            about: About::default(),
            injections: which.iter().map(injection).collect(),
        };
        self.agent.arm(&self.run, &arm).await
    }

    /// Renews the lease again and again from now on.
    pub(crate) async fn renew(&mut self) {
        let (agent, run, lease) = (self.agent.clone(), self.run.clone(), self.lease);
        agent.renew(&run, &Renew { lease }).await.unwrap();
        self.renewing.get_or_insert_with(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    // An error is ignored, because a test may have killed the agent.
                    let _ = agent.renew(&run, &Renew { lease }).await;
                }
            })
        });
    }

    /// Arms these injections and renews the lease from now on.
    pub(crate) async fn begin(&mut self, which: &[usize], start_in: Span) {
        self.arm(which, start_in).await.unwrap();
        self.renew().await;
    }

    /// Arms these injections and waits until they are in force.
    pub(crate) async fn in_force(&mut self, which: &[usize]) {
        self.begin(which, Span::millis(50)).await;
        for at in which {
            self.wait(*at, State::InForce).await;
        }
    }

    /// Ends the renewals, as if the coordinator were gone.
    pub(crate) fn silence(&mut self) {
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
    }

    /// Returns the state of an injection; `None` if it is not open.
    pub(crate) async fn state(&self, at: usize) -> Option<State> {
        let open = again(async || self.agent.status().await).await.unwrap().open;
        open.into_iter().find(|open| open.id == self.ids[at]).map(|open| open.state)
    }

    /// Waits until an injection is in a state.
    pub(crate) async fn wait(&self, at: usize, state: State) {
        wait(&format!("{} to be {state:?}", self.ids[at]), async || self.state(at).await == Some(state))
            .await;
    }

    /// Undoes an injection.
    pub(crate) async fn undo(&self, at: usize) -> UndoAnswer {
        let scope = UndoScope::Injection(self.ids[at].clone());
        self.agent.undo(&Undo { scope, halt: false }).await.unwrap()
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        self.silence();
    }
}
