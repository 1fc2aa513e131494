//! What the agent is put together from: the narrow ports between its heart and everything that touches a host.
//!
//! Plain function pointers and traits, so that the heart is tested with recording fakes and the real things in
//! namespaces.

use std::{future::Future, pin::Pin, sync::Arc};

use firedrill_probe::Reads;
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
    fault::Inject,
    heal::Apply,
    host::Host,
    snapshot::Parties,
    sweep::Sweep,
    trust,
};

/// All ports.
#[derive(Clone, Copy)]
pub struct Wiring {
    /// The code of a fault's kind; `None` where this build has none.
    pub kinds: fn(&Fault) -> Option<&dyn Inject>,
    /// Carries out one undo.
    pub apply: Apply,
    /// Looks at the whole host, to prove that it is as before.
    pub snapshot: &'static dyn Snapshot,
    /// Runs probes; called once in the worker, with its runtime entered.
    pub prober: fn(&Config) -> Arc<dyn Prober>,
    /// What the host can do and what people should know about it.
    pub findings: fn(&Host) -> Vec<Finding>,
    /// Removes from the kernel what has our name and belongs to no live injection.
    pub sweep: Sweep,
    /// The link's server.
    pub server: Server,
}

impl Wiring {
    /// Reports the findings on a host's configuration and certificates, then its capabilities with this build.
    #[must_use]
    pub fn doctor(&self, host: &Host, config: &Config, configuration: Vec<Finding>) -> Doctor {
        let mut findings = configuration;
        findings.extend(trust::findings(config));
        findings.extend((self.findings)(host));
        // Names of units, interfaces and files, and what programs print, are other people's.
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

/// Serves the link until told to stop. Called in the worker, on its runtime.
pub type Server = fn(Link) -> Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// What the link's server is given.
pub struct Link {
    /// Certificates and their like.
    pub config: Arc<Config>,
    /// Listens already.
    pub listener: tokio::net::TcpListener,
    /// What it may ask.
    pub control: Arc<dyn Control>,
    /// Cancelled when the agent stops.
    pub stop: CancellationToken,
}

/// Looks at the whole host.
pub trait Snapshot: Send + Sync {
    /// What the host is like now. Reads only.
    ///
    /// # Errors
    /// What could not be read; the run is refused, because it could not be proven clean.
    fn take(&self, host: &Host) -> Result<serde_json::Value, String>;

    /// What is different, and whose doing it is: differences in what was claimed are ours.
    ///
    /// # Errors
    /// What could not be read; the host is unproven.
    fn compare(
        &self,
        host: &Host,
        before: &serde_json::Value,
        parties: Parties<'_>,
    ) -> Result<Compared, String>;
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// What of ours remains, or differs in what we claimed.
    pub ours: Vec<String>,
    /// What others changed.
    pub foreign: Vec<String>,
    /// Differences in what this run and an open one both claimed.
    pub unproven: Vec<String>,
    /// How many things were compared.
    pub compared: u64,
}

/// The limits for probes on a host.
pub struct Leave<'a> {
    /// Reads secrets and authorities, or refuses.
    pub reads: &'a dyn Reads,
    /// The most requests a second, of all probes of all runs together.
    pub most_rate: u32,
    /// Text for the refusal that says where that bound is set.
    pub says: String,
}

/// Runs probes for runs; see the methods of the same names in [`Control`]. Asks no policy: see [`Leave`].
pub trait Prober: Send + Sync {
    /// Starts probes of a run; replaces those that run already.
    ///
    /// # Errors
    /// A probe that cannot be, more than the host allows, or a run that has probes of somebody else.
    fn start(
        &self,
        run: &RunId,
        caller: &Caller,
        start: &StartProbes,
        leave: &Leave<'_>,
    ) -> Result<(), Problem>;
    /// Stops them.
    fn stop(&self, run: &RunId);
    /// Stops those of every run.
    fn stop_all(&self);
    /// The runs that have probes here.
    fn known(&self) -> Vec<RunId>;
    /// What was measured after that bin, then what is still measured.
    ///
    /// # Errors
    /// The run has no probes here.
    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem>;
}
