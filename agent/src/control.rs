//! The control API: the interface between the server, which knows certificates, and the supervisor, which knows
//! injections. It decides nothing itself.

use firedrill_approval::Opened;
use firedrill_wire::{
    RunId,
    api::{
        AgentStatus, Arm, Armed, Clock, Doctor, EndState, Prepare, PrepareAnswer, Problem, Renew, Renewed,
        StartProbes, Undo, UndoAnswer,
    },
    exchange::{Exchange, Exchanged},
    journal::AgentEvent,
    logs::{LogBin, StartLogs},
    probe::Bin,
    writes::ReadBacks,
};

pub use crate::caller::{Caller, Certificate, Trusted};

use crate::audit::Request;

/// A stream of numbered items, after a given number: first the existing ones, then new ones as they come.
pub type Feed<T> = std::pin::Pin<Box<dyn futures_util::Stream<Item = T> + Send>>;

/// The calls of the control API. All calls may block for as long as they need; the server runs them off its own
/// threads.
///
/// The server checks roles before it calls. The implementation checks the host's policy, in `prepare`, again in `arm`,
/// and in every other call that takes a caller and can be refused.
pub trait Control: Send + Sync + 'static {
    /// Returns the present state of the host.
    fn status(&self) -> AgentStatus;
    /// Returns the clocks as quickly as possible: the coordinator measures the offset of this host's clock with this call.
    fn clock(&self) -> Clock;
    /// Returns the host's capabilities.
    fn doctor(&self) -> Doctor;
    /// [`Self::prepare_with`] without approvals.
    ///
    /// # Errors
    /// As of [`Self::prepare_with`].
    fn prepare(&self, caller: &Caller, run: &RunId, ask: &Prepare) -> Result<PrepareAnswer, Problem> {
        self.prepare_with(caller, run, ask, &[])
    }
    /// Returns what faults would do. Reads only. A run's first call with a fault that may be armed takes the snapshot with which
    /// `finish` compares. The server has opened the approvals; the errors are the reasons why some do not count.
    ///
    /// # Errors
    /// The whole request is refused. A refusal of one injection is part of the answer.
    fn prepare_with(
        &self,
        caller: &Caller,
        run: &RunId,
        ask: &Prepare,
        approvals: &[Result<Opened, String>],
    ) -> Result<PrepareAnswer, Problem>;
    /// Journals injections, all or none.
    ///
    /// # Errors
    /// Nothing was armed; the error is the reason.
    fn arm(&self, caller: &Caller, run: &RunId, arm: &Arm) -> Result<Armed, Problem>;
    /// Renews a run's lease.
    ///
    /// # Errors
    /// The run is unknown here or belongs to another person, or its lease has ended.
    fn renew(&self, caller: &Caller, run: &RunId, renew: &Renew) -> Result<Renewed, Problem>;
    /// Ends every run in which a person took part whose certificate is no longer trusted: undoes its injections and
    /// stops its probes. Called when authorities or revocations have changed.
    fn distrust(&self, trusted: Trusted<'_>);
    /// Records a request that could harm or heal, with its result. Never blocks.
    fn audit(&self, request: Request);
    /// Undoes injections, and returns when this is done. Never refused.
    fn undo(&self, caller: &Caller, undo: &Undo) -> UndoAnswer;
    /// Ends a halt.
    ///
    /// # Errors
    /// The host's policy refuses it.
    fn release(&self, caller: &Caller) -> Result<(), Problem>;
    /// Compares the host with the snapshot from before the run.
    ///
    /// # Errors
    /// The run is unknown here.
    fn finish(&self, run: &RunId) -> Result<EndState, Problem>;
    /// Streams the journaled events with numbers above `after`, then new ones.
    fn events(&self, after: u64) -> Feed<AgentEvent>;
    /// Starts probes of a run; replaces those that already run.
    ///
    /// # Errors
    /// The host's policy or a halt refuses it, or a probe is impossible.
    fn start_probes(&self, caller: &Caller, run: &RunId, start: &StartProbes) -> Result<(), Problem>;
    /// Compares what probes of a run wrote with what is in their stores; blocks until all stores were read twice.
    ///
    /// # Errors
    /// The run has no probes here, or belongs to another person.
    fn read_back(&self, caller: &Caller, run: &RunId) -> Result<ReadBacks, Problem>;
    /// Tries out a network path with a few packets. Blocks until all answers have come or their time is over.
    ///
    /// # Errors
    /// The host's policy or a halt refuses it, or it exceeds the fixed limits of exchanges.
    fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem>;
    /// Starts reading logs for a run, in place of those that were read for it before.
    ///
    /// # Errors
    /// The host's policy or a halt refuses it, or a log cannot be read.
    fn start_logs(&self, caller: &Caller, run: &RunId, start: &StartLogs) -> Result<(), Problem>;
    /// Stops reading a run's logs. Bins that exist can still be fetched.
    fn stop_logs(&self, run: &RunId);
    /// Streams the bins of a run's logs with numbers above `after`, then new ones; ends when the logs are no longer read
    /// and all bins were sent.
    ///
    /// # Errors
    /// The run has no logs here.
    fn log_bins(&self, run: &RunId, after: u64) -> Result<Feed<LogBin>, Problem>;
    /// Stops a run's probes; their measurements can still be read.
    fn stop_probes(&self, run: &RunId);
    /// Streams the bins of a run's probes with numbers above `after`, then new ones; ends when the probes have stopped and
    /// all bins were sent.
    ///
    /// # Errors
    /// The run has no probes here.
    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem>;
}
