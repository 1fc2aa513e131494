//! What several verbs share: which fleet, as whom, and asking every host at once.

use std::{future::Future, path::PathBuf, sync::Arc};

use futures_util::future::join_all;
use miette::{IntoDiagnostic as _, WrapErr as _, miette};

use crate::{
    fleet::{Fleet, FleetSource},
    link::{Agent, Identity, LinkError},
    plan::model::Host,
};

/// Which fleet.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FleetArgs {
    /// The fleet's file
    #[arg(long, value_name = "FILE", env = "FIREDRILL_FLEET", conflicts_with = "fleet_command")]
    pub(super) fleet: Option<PathBuf>,
    /// A command that prints the fleet as JSON, with its arguments; no shell is used
    #[arg(long, value_name = "COMMAND", num_args = 1.., value_terminator = ";")]
    pub(super) fleet_command: Option<Vec<String>>,
    /// The lab of that name that `firedrill lab up` started: its fleet, from inside its network
    #[cfg(feature = "lab")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "lab", conflicts_with_all = ["fleet", "fleet_command"])]
    pub(super) lab: Option<String>,
}

/// As whom.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IdentityArgs {
    /// The folder of certificates (`firedrill pki`)
    #[arg(long, value_name = "DIR", env = "FIREDRILL_PKI")]
    pub(super) pki: Option<PathBuf>,
    /// The person whose certificate is used
    #[arg(long = "as", value_name = "NAME", env = "FIREDRILL_AS")]
    pub(super) person: Option<String>,
}

/// A fleet and the certificate to reach it with; inside the lab's network already, where it is a lab.
pub(super) struct Reached {
    pub(super) source: FleetSource,
    pub(super) identity: Arc<Identity>,
    pub(super) operator: String,
}

impl FleetArgs {
    /// Where the fleet comes from; `None` where nothing was given.
    pub(super) fn source(&self) -> Option<FleetSource> {
        match (&self.fleet, &self.fleet_command) {
            (Some(file), _) => Some(FleetSource::File(file.clone())),
            (None, Some(command)) => Some(FleetSource::Command(command.clone())),
            (None, None) => None,
        }
    }

    /// Finds fleet and certificate. Call it before any thread exists: a lab's network is entered on the way.
    pub(super) fn reach(&self, identity: &IdentityArgs) -> miette::Result<Reached> {
        #[cfg(feature = "lab")]
        if let Some(name) = &self.lab {
            return super::lab::enter(name);
        }
        let source = self.source().ok_or_else(|| {
            miette!(
                help = "name its file with --fleet FILE (or FIREDRILL_FLEET), or a command with --fleet-command",
                "which fleet?"
            )
        })?;
        let folder = identity.pki.clone().unwrap_or_else(crate::pki::default_dir);
        let person = identity.person.clone().or_else(|| crate::pki::only_person(&folder)).ok_or_else(|| {
            miette!(
                help = "`firedrill pki init`, then `firedrill pki issue person NAME`; then say --as NAME",
                "no certificate to reach the agents with in {}",
                folder.display()
            )
        })?;
        let loaded = Identity::load(&folder, &person).into_diagnostic().wrap_err("cannot use the certificate")?;
        Ok(Reached { source, identity: Arc::new(loaded), operator: person })
    }
}

/// A runtime for the coordinator's work.
pub(super) fn runtime() -> miette::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("cannot start")
}

/// Asks every host of a fleet at once; the answers in the fleet's order.
pub(super) async fn ask_all<T, F, C>(fleet: &[Host], identity: &Arc<Identity>, call: C) -> Vec<(String, Result<T, LinkError>)>
where
    F: Future<Output = Result<T, LinkError>>,
    C: Fn(Agent) -> F,
{
    let calls = fleet.iter().map(|host| {
        let answer = call(Agent::new(host, Arc::clone(identity)));
        async move { (host.name.clone(), answer.await) }
    });
    join_all(calls).await
}

/// The fleet's hosts, or those named.
pub(super) fn hosts(fleet: Fleet, only: &[String]) -> miette::Result<Vec<Host>> {
    let unknown: Vec<&String> = only.iter().filter(|name| !fleet.hosts.iter().any(|host| host.name == **name)).collect();
    if let Some(name) = unknown.first() {
        let known: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(miette!(help = format!("it has {}", known.join(", ")), "no host `{name}` in the fleet"));
    }
    Ok(fleet.hosts.into_iter().filter(|host| only.is_empty() || only.contains(&host.name)).collect())
}

/// A table for people.
pub(super) fn table(rows: Vec<Vec<String>>) -> String {
    use tabled::{builder::Builder, settings::Style};
    Builder::from_iter(rows).build().with(Style::blank()).to_string()
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> miette::Result<()> {
    let text = serde_json::to_string_pretty(value).into_diagnostic()?;
    anstream::println!("{text}");
    Ok(())
}
