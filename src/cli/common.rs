//! What several verbs share: which fleet, as whom, and asking every host at once.

use std::{future::Future, path::PathBuf, sync::Arc};

use futures_util::future::join_all;

use super::failure::{Failure, Result, Wrap as _};
use crate::{
    fleet::{Fleet, FleetSource, split_command},
    link::{Agent, Identity, LinkError},
    plan::model::Host,
    scenario::diagnose::{Report, Sink, plural},
};

/// The environment variable that names the fleet's file where the command line names no fleet.
const FLEET_VARIABLE: &str = "FIREDRILL_FLEET";

/// Which fleet: the same question, with the same answer, for every verb that has one.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FleetArgs {
    /// The fleet's file; FIREDRILL_FLEET where no fleet is named
    #[arg(long, value_name = "FILE", conflicts_with = "fleet_command")]
    pub fleet: Option<PathBuf>,
    /// A program that prints the fleet as JSON, with its arguments; quotes group words, no shell is involved
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    pub fleet_command: Option<Command>,
    /// The lab of that name that `firedrill lab up` started: its fleet, from inside its network
    #[cfg(feature = "lab")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "lab", conflicts_with_all = ["fleet", "fleet_command"])]
    pub lab: Option<String>,
}

/// An argument vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(pub Vec<String>);

fn command(text: &str) -> Result<Command, String> {
    split_command(text).map(Command)
}

/// As whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct IdentityArgs {
    /// The folder of certificates (`firedrill pki`)
    #[arg(long, value_name = "DIR", env = "FIREDRILL_PKI")]
    pub(super) pki: Option<PathBuf>,
    /// The person whose certificate is used
    #[arg(long = "as", value_name = "NAME", env = "FIREDRILL_AS")]
    pub(super) person: Option<String>,
}

impl IdentityArgs {
    /// The certificate that `run` would use, where that is at hand. One that was asked for and cannot be used is a warning.
    pub(super) fn at_hand(&self) -> Option<Identity> {
        let folder = self.pki.clone().or_else(|| crate::pki::default_dir().ok())?;
        let loaded = match &self.person {
            Some(person) => Identity::load_as(&folder, person),
            None => Identity::load(&folder),
        };
        let asked_for = self.pki.is_some() || self.person.is_some();
        loaded
            .inspect_err(|error| {
                if asked_for {
                    errln!("warning: no certificate was compared with the environments: {error}");
                }
            })
            .ok()
    }
}

/// A fleet and the certificate to reach it with; inside the lab's network already, where it is a lab.
pub(super) struct Reached {
    pub(super) source: FleetSource,
    pub(super) identity: Arc<Identity>,
    pub(super) operator: String,
}

impl FleetArgs {
    /// Where the fleet comes from; `None` where nothing was given. The command line goes before the environment.
    pub(super) fn source(&self) -> Option<FleetSource> {
        #[cfg(feature = "lab")]
        if let Some(name) = &self.lab {
            return Some(super::lab::fleet_of(name));
        }
        match (&self.fleet, &self.fleet_command) {
            (Some(file), _) => Some(FleetSource::File(file.clone())),
            (None, Some(command)) => Some(FleetSource::Command(command.0.clone())),
            (None, None) => {
                let file = std::env::var_os(FLEET_VARIABLE).filter(|file| !file.is_empty());
                file.map(|file| FleetSource::File(file.into()))
            }
        }
    }

    /// Finds fleet and certificate. Call it before any thread exists: a lab's network is entered on the way.
    pub(super) fn reach(&self, identity: &IdentityArgs) -> Result<Reached> {
        #[cfg(feature = "lab")]
        if let Some(name) = &self.lab {
            return super::lab::enter(name);
        }
        let source = self.source().ok_or_else(|| {
            Failure::new("which fleet?").help(
                "name its file with --fleet FILE (or FIREDRILL_FLEET), or a command with --fleet-command",
            )
        })?;
        let folder = match &identity.pki {
            Some(folder) => folder.clone(),
            None => crate::pki::default_dir()?,
        };
        let loaded = match &identity.person {
            Some(person) => Identity::load_as(&folder, person),
            None => Identity::load(&folder),
        };
        let loaded = loaded.wrap("no certificate to reach the agents with")?;
        Ok(Reached { source, operator: loaded.name().to_owned(), identity: Arc::new(loaded) })
    }
}

/// Reads a fleet, or says all that is wrong with it.
pub(super) fn fleet(source: &FleetSource) -> Result<Fleet> {
    let mut sink = Sink::default();
    let fleet = Fleet::load(source, &mut sink);
    match fleet {
        Some(fleet) if !sink.failed() => Ok(fleet),
        _ => Err(wrong(&sink.into_report())),
    }
}

/// All that is wrong with files, as one error.
pub(super) fn wrong(report: &Report) -> Failure {
    crate::terminal::err(format_args!("{}", report.render(true, 110)));
    let (errors, _) = report.counts();
    Failure::new(format!("{errors} error{}; nothing was done", plural(errors)))
}

/// A runtime for the coordinator's work.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().wrap("cannot start")
}

/// Asks every host of a fleet at once; the answers in the fleet's order.
pub(super) async fn ask_all<T, F, C>(
    fleet: &[Host],
    identity: &Arc<Identity>,
    call: C,
) -> Vec<(String, Result<T, LinkError>)>
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
pub(super) fn hosts(fleet: Fleet, only: &[String]) -> Result<Vec<Host>> {
    let unknown: Vec<&String> =
        only.iter().filter(|name| !fleet.hosts.iter().any(|host| host.name == **name)).collect();
    if let Some(name) = unknown.first() {
        let known: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(Failure::new(format!("no host `{name}` in the fleet"))
            .help(format!("it has {}", known.join(", "))));
    }
    Ok(fleet.hosts.into_iter().filter(|host| only.is_empty() || only.contains(&host.name)).collect())
}

/// A table for people.
pub(super) fn table(rows: Vec<Vec<String>>) -> String {
    use tabled::{builder::Builder, settings::Style};
    let padded = Builder::from_iter(rows).build().with(Style::blank()).to_string();
    padded.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    outln!("{text}");
    Ok(())
}

/// How wide the terminal is; a usual width where there is none.
pub(super) fn width() -> usize {
    terminal_size::terminal_size().map_or(110, |(columns, _)| usize::from(columns.0).max(60))
}
