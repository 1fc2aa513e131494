//! The narrow ports between the agent's core and everything that touches a host. Never implements a port.
//!
//! The ports are plain function pointers and traits, so that the core is tested with recording fakes, and the real parts in
//! namespaces.

use std::{future::Future, pin::Pin, sync::Arc};

use firedrill_probe::{Reads, Stores, writes::Reader};
use firedrill_wire::{
    Fault, RunId,
    api::{Doctor, Finding, Problem, StartProbes},
    probe::Bin,
    text::{TEXT_MOST, cleaned},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    control::{Caller, Control, Feed},
    heal::Apply,
    host::Host,
    injection::Inject,
    snapshot::Parties,
    sweep::Sweep,
    time::Time,
    trust,
};

/// All ports.
#[derive(Clone, Copy)]
pub struct Wiring {
    /// The clocks, and functions that sleep by them.
    pub time: &'static dyn Time,
    /// Returns the code of a fault's kind; `None` if this build does not have it.
    pub kinds: fn(&Fault) -> Option<&dyn Inject>,
    /// Carries out one undo.
    pub apply: Apply,
    /// Takes and compares snapshots of the whole host, to prove that it is as before.
    pub snapshot: &'static dyn Snapshot,
    /// Makes the port that runs probes. Called once in the worker, with its runtime entered.
    pub prober: fn(&Config, &'static dyn Stores) -> Arc<dyn Prober>,
    /// The clients of stores that this program has.
    pub stores: &'static dyn Stores,
    /// Returns the host's capabilities, and findings that people should know.
    pub findings: fn(&Host) -> Vec<Finding>,
    /// Removes kernel objects that have the project's prefix and belong to no live injection.
    pub sweep: Sweep,
    /// The server of the control API.
    pub server: Server,
}

impl Wiring {
    /// Reports findings: those on the configuration (`configuration`), on the certificates, and on the host's capabilities.
    #[must_use]
    pub fn doctor(&self, host: &Host, config: &Config, configuration: Vec<Finding>) -> Doctor {
        let mut findings = configuration;
        findings.extend(trust::findings(config));
        findings.extend((self.findings)(host));
        // Findings contain names and output of programs that other people chose, so the texts are cleaned.
        for finding in &mut findings {
            for text in [&mut finding.what, &mut finding.detail, &mut finding.hint] {
                *text = cleaned(std::mem::take(text), TEXT_MOST);
            }
        }
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        Doctor {
            host: host.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: kernel.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            findings,
        }
    }
}

/// Serves the control API until [`ServerParts::stop`] is cancelled. Called in the worker, on its runtime.
pub type Server = fn(ServerParts) -> Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// The inputs of the server.
pub struct ServerParts {
    /// The configuration, which names the certificates and related files.
    pub config: Arc<Config>,
    /// A socket that already listens.
    pub listener: tokio::net::TcpListener,
    /// The calls that it serves.
    pub control: Arc<dyn Control>,
    /// Cancelled when the agent stops.
    pub stop: CancellationToken,
}

/// Takes snapshots of a host.
pub trait Snapshot: Send + Sync {
    /// Returns the host's present state. Reads only.
    ///
    /// # Errors
    /// Something could not be read. The run is refused then, because the host could not be proven clean.
    fn take(&self, host: &Host) -> Result<serde_json::Value, String>;

    /// Compares the host with an earlier snapshot, and decides by `parties` who caused each difference.
    ///
    /// # Errors
    /// Something could not be read. The host is unproven then.
    fn compare(
        &self,
        host: &Host,
        before: &serde_json::Value,
        parties: Parties<'_>,
    ) -> Result<Compared, String>;
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects with the project's prefix that remain, and changes of objects that the run claimed.
    pub ours: Vec<String>,
    /// Changes by others.
    pub foreign: Vec<String>,
    /// Changes of objects that this run and an open injection of another run both claimed.
    pub unproven: Vec<String>,
    /// Number of objects that were compared.
    pub compared: u64,
}

/// The limits for probes on a host.
pub struct Allowance<'a> {
    /// Reads secrets and authorities, or refuses.
    pub reads: &'a dyn Reads,
    /// Maximum number of requests per second, of all probes of all runs together.
    pub most_rate: u32,
    /// A text for the refusal that says where this maximum is set.
    pub says: String,
}

/// Runs probes for runs; see the methods of the same names in [`Control`]. Never asks the policy: its caller gives the limits in an
/// [`Allowance`].
pub trait Prober: Send + Sync {
    /// Starts probes of a run; replaces those that already run.
    ///
    /// # Errors
    /// A probe is impossible or more than the host allows, or the run has probes of another person.
    fn start(
        &self,
        run: &RunId,
        caller: &Caller,
        start: &StartProbes,
        allowance: &Allowance<'_>,
    ) -> Result<(), Problem>;
    /// Stops a run's probes.
    fn stop(&self, run: &RunId);
    /// Stops the probes of all runs.
    fn stop_all(&self);
    /// Returns the runs that have probes on this host.
    fn known(&self) -> Vec<RunId>;
    /// Returns the bins after the bin with the number `after`, then new bins as they come.
    ///
    /// # Errors
    /// The run has no probes on this host.
    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem>;
    /// Returns the comparisons of what the run's probes wrote with what is in their stores.
    ///
    /// # Errors
    /// The run has no probes here.
    fn readers(&self, run: &RunId) -> Result<Vec<Reader>, Problem>;
}
