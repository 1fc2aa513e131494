//! What the link may ask of the agent: the seam between the server, which knows certificates, and the supervisor,
//! which knows injections.

use std::{fmt, sync::Arc};

use firedrill_wire::{
    RunId,
    api::{
        AgentStatus, Arm, Armed, Clock, Doctor, EndState, Prepare, PrepareAnswer, Problem, Renew, Renewed,
        StartProbes, Undo, UndoAnswer,
    },
    exchange::{Exchange, Exchanged},
    journal::AgentEvent,
    probe::Bin,
};
use rustls_pki_types::CertificateDer;

use crate::{audit::Request, fault::refuse};

/// Who asks, as the certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The certificate's name, such as `alice`.
    pub name: String,
    /// The team, if the certificate names one.
    pub team: Option<String>,
    /// Environments that the certificate is good for; empty means all.
    pub environments: Vec<String>,
    /// Whether it may harm (`operator`) or only look and heal (`viewer`).
    pub may_harm: bool,
    /// The certificate; none for root on the host.
    pub certificate: Option<Arc<Certificate>>,
}

/// A certificate that somebody asks with.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial number in hexadecimal; empty where it could not be read.
    pub serial: String,
    /// The certificate, then those between it and the authority.
    pub chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}", self.serial)
    }
}

/// Whether a certificate is trusted now; the error says why not.
pub type Trusted<'a> = &'a dyn Fn(&Certificate) -> Result<(), String>;

impl Caller {
    /// Whether somebody's run is this person's own.
    ///
    /// # Errors
    /// The refusal: it names the owner.
    pub(crate) fn must_be(&self, owner: &str, run: &RunId) -> Result<(), Problem> {
        if owner == self.name {
            return Ok(());
        }
        Err(refuse(
            "not-allowed",
            format!("run {run} is {owner}'s, and {} may look at it and end it only", self.name),
            "start a run of your own",
        ))
    }
}

/// A stream's next items: those journaled after `after`, then those to come.
pub type Feed<T> = std::pin::Pin<Box<dyn futures_util::Stream<Item = T> + Send>>;

/// What the link may ask. All calls may block for as long as they need; the server runs them off its own threads.
///
/// Roles are checked by the server before it calls; the policy on the host by the implementation, in `prepare` and
/// again in `arm`, and in all else that takes a caller and can be refused.
pub trait Control: Send + Sync + 'static {
    /// What is on this host now.
    fn status(&self) -> AgentStatus;
    /// The clocks; as quick as it can be, because offsets are measured with it.
    fn clock(&self) -> Clock;
    /// What this host can do.
    fn doctor(&self) -> Doctor;
    /// Reads only. The first one of a run with a fault that may be armed takes the snapshot that `finish` compares
    /// with.
    ///
    /// # Errors
    /// Where the whole question is refused; a refusal of one injection stands in the answer.
    fn prepare(&self, caller: &Caller, run: &RunId, ask: &Prepare) -> Result<PrepareAnswer, Problem>;
    /// Journals; all or none.
    ///
    /// # Errors
    /// Why nothing was armed.
    fn arm(&self, caller: &Caller, run: &RunId, arm: &Arm) -> Result<Armed, Problem>;
    /// The coordinator lives.
    ///
    /// # Errors
    /// The run is unknown here or somebody else's, or its lease has ended.
    fn renew(&self, caller: &Caller, run: &RunId, renew: &Renew) -> Result<Renewed, Problem>;
    /// Ends every run in which somebody took part whose certificate is no longer trusted: puts its injections back and
    /// stops its probes. Called when authorities or revocations have changed.
    fn distrust(&self, trusted: Trusted<'_>);
    /// Records a request that could harm or heal, with its result. Never blocks.
    fn audit(&self, request: Request);
    /// Puts back; answers when it is done. Never refused.
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
    /// Events after that number, then those to come.
    fn events(&self, after: u64) -> Feed<AgentEvent>;
    /// Starts probes of a run; replaces those that run already.
    ///
    /// # Errors
    /// The host's policy or a halt refuses it, or a probe cannot be.
    fn start_probes(&self, caller: &Caller, run: &RunId, start: &StartProbes) -> Result<(), Problem>;
    /// Tries a path out with a few packets; blocks until all answers are there or their time is over.
    ///
    /// # Errors
    /// The host's policy or a halt refuses it, or it is more than what is ever sent.
    fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem>;
    /// Stops them; what was measured stays to be read.
    fn stop_probes(&self, run: &RunId);
    /// Bins after that number, then those to come; ends when the run's probes have stopped and all was handed out.
    ///
    /// # Errors
    /// The run has no probes here.
    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem>;
}
