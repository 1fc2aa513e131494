//! The parts of a run. Each owns its own state; only the event loop gives input to them, and only phases ask for work.

use firedrill_wire::api::EndState;

use super::{
    approvals::ApprovalDesk,
    between::Between,
    ending::Ending,
    error::RunError,
    facts::Facts,
    guards::Guards,
    host_logs::HostLogs,
    inbox::Inbox,
    injections::Injections,
    leaders::Leaders,
    peers::Peers,
    proofs::{Proofs, unanswered},
    recorder::Recorder,
    steps::Steps,
    tasks::Tasks,
    vantages::Vantages,
    waiting::waiting_for,
};
use crate::log::Event;

/// A run: its parts, and the inbox by which background tasks tell what they see.
pub(super) struct Run {
    pub(super) facts: Facts,
    pub(super) recorder: Recorder,
    pub(super) peers: Peers,
    pub(super) injections: Injections,
    pub(super) vantages: Vantages,
    pub(super) host_logs: HostLogs,
    pub(super) guards: Guards,
    pub(super) approvals: ApprovalDesk,
    pub(super) between: Between,
    pub(super) steps: Steps,
    pub(super) leaders: Leaders,
    pub(super) proofs: Proofs,
    pub(super) ending: Ending,
    pub(super) tasks: Tasks,
    pub(super) inbox: Inbox,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

impl Run {
    /// A run with nothing armed, and no host met.
    pub(super) fn new(facts: Facts, recorder: Recorder, approvals: ApprovalDesk) -> Self {
        let (tasks, inbox) = Tasks::new();
        let host_logs = HostLogs::new(&facts.plan);
        Self {
            guards: Guards::new(&facts.plan),
            peers: Peers::new(recorder.blocked()),
            facts,
            recorder,
            injections: Injections::default(),
            vantages: Vantages::default(),
            host_logs,
            approvals,
            between: Between::default(),
            steps: Steps::default(),
            leaders: Leaders::default(),
            proofs: Proofs::default(),
            ending: Ending::default(),
            tasks,
            inbox,
        }
    }

    /// Returns in words what the run waits for.
    pub(super) fn waiting_for(&self) -> String {
        let by_hand = self.steps.waiting(&self.facts.plan, self.facts.id.as_str());
        by_hand.unwrap_or_else(|| waiting_for(&self.facts.id, &self.injections, &self.proofs))
    }

    /// Returns the time by which agents that are heard should be done with an undo or an injection in progress.
    pub(super) fn undone_by_us(&self) -> Option<i64> {
        self.injections.undone_by_us(|host| self.peers.is_reachable(host))
    }

    /// Records the final state of a host, or why there is none.
    pub(super) fn proven(&mut self, host: String, end: Result<EndState, String>) -> Result<(), RunError> {
        let end = end.unwrap_or_else(|why| {
            unanswered(why, self.facts.goes_down(&host), self.peers.is_reachable(&host))
        });
        self.proofs.ended(host.clone(), end.state);
        self.recorder.write(Event::HostEnded { host, end })
    }
}
