//! Shared parts of commands: the fleet, the identity, and requests to all hosts at once.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use super::failure::{Failure, Result, Wrap as _};
use crate::{
    diagnostic::{Report, Sink, plural},
    fleet::{Fleet, FleetSource, split_command},
    link::{Agent, Identity, LinkError, hosts_at_once},
    plan::{Options, model::Host},
};

/// The environment variable that names the fleet's file where the command line names no fleet.
const FLEET_VARIABLE: &str = "FIREDRILL_FLEET";

/// The options that select the fleet, with the same meaning for every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FleetArgs {
    /// The fleet's file; default FIREDRILL_FLEET
    #[arg(long, value_name = "FILE", conflicts_with = "fleet_command")]
    pub fleet: Option<PathBuf>,
    /// A program that prints the fleet as JSON, with its arguments; quotes group words, no shell is involved
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    pub fleet_command: Option<Command>,
    /// A lab that was started with `firedrill lab up`: its fleet, from inside its network
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

/// The options that select the identity.
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
    /// Loads the certificate.
    pub(super) fn load(&self) -> Result<Identity> {
        let folder = match &self.pki {
            Some(folder) => folder.clone(),
            None => crate::pki::default_dir()?,
        };
        let loaded = match &self.person {
            Some(person) => Identity::load_as(&folder, person),
            None => Identity::load(&folder),
        };
        loaded.wrap("no certificate was found")
    }

    /// Returns the certificate that `run` would use, if there is one. An explicitly selected one that cannot be used
    /// is a warning.
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
                    errln!("warning: the environments were not compared with your certificate: {error}");
                }
            })
            .ok()
    }
}

/// The options of a drill, beside the scenario. Plans are equal, and approvals count, only if all of them are equal.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DrillArgs {
    #[command(flatten)]
    pub(super) fleet: FleetArgs,
    #[command(flatten)]
    pub(super) identity: IdentityArgs,
    /// A parameter of the scenario, as NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::check::parameter)]
    params: Vec<(String, String)>,
    /// The seed of random picks; the same seed picks the same hosts
    #[arg(long)]
    seed: Option<u64>,
}

impl DrillArgs {
    /// Returns the plan's options for a scenario and a fleet.
    pub(super) fn options(&self, scenario: &Path, fleet: FleetSource) -> Options {
        let scenario = scenario.to_owned();
        Options { scenario, fleet, params: self.params.clone(), seed: self.seed }
    }
}

/// A fleet and the certificate for it; for a lab, its network was entered already.
pub(super) struct Reached {
    pub(super) source: FleetSource,
    pub(super) identity: Arc<Identity>,
    pub(super) operator: String,
}

impl FleetArgs {
    /// Returns the source of the fleet; `None` if there is none. The command line takes precedence over the
    /// environment.
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

    /// Returns the source of the fleet; an error if there is none.
    pub(super) fn needed(&self) -> Result<FleetSource> {
        self.source().ok_or_else(|| {
            Failure::new("which fleet?").help(
                "name its file with --fleet FILE (or FIREDRILL_FLEET), or a command with --fleet-command",
            )
        })
    }

    /// Finds fleet and certificate for a command that looks or heals: a revocation list that cannot be used is a
    /// warning. Must be called before any thread exists, because it may enter a lab's network.
    pub(super) fn reach(&self, identity: &IdentityArgs) -> Result<Reached> {
        let reached = self.found(identity)?;
        if let Err(why) = reached.identity.revocations() {
            errln!(
                "warning: revocations are unknown, so a revoked host is not recognized, and only what looks or heals \
                 goes on: {why}"
            );
        }
        Ok(reached)
    }

    /// Like [`Self::reach`], for a command that may do harm: refuses if revocations are unknown.
    pub(super) fn reach_to_harm(&self, identity: &IdentityArgs) -> Result<Reached> {
        let reached = self.found(identity)?;
        match reached.identity.revocations() {
            Ok(()) => Ok(reached),
            Err(why) => Err(Failure::new(format!("revocations are unknown: {why}"))
                .help("copy a fresh crl.pem there (`firedrill pki crl` writes one); `status` and `undo` work meanwhile")),
        }
    }

    fn found(&self, identity: &IdentityArgs) -> Result<Reached> {
        #[cfg(feature = "lab")]
        if let Some(name) = &self.lab {
            return super::lab::enter(name);
        }
        let source = self.needed()?;
        let loaded = identity.load()?;
        Ok(Reached { source, operator: loaded.name().to_owned(), identity: Arc::new(loaded) })
    }
}

/// Reads a fleet, or fails with all its errors.
pub(super) fn fleet(source: &FleetSource) -> Result<Fleet> {
    let mut sink = Sink::default();
    let fleet = Fleet::load(source, &mut sink);
    match fleet {
        Some(fleet) if !sink.failed() => Ok(fleet),
        _ => Err(wrong(&sink.into_report())),
    }
}

/// The hosts to heal.
pub(super) struct ToHeal {
    /// The hosts that are asked.
    pub(super) hosts: Vec<Host>,
    /// Entries of the fleet that are no valid host, with their errors.
    pub(super) wrong: Vec<(String, String)>,
}

/// Returns the fleet's hosts, or those in `only`, as far as they are valid: an error in one entry must not keep other
/// hosts from being asked. Errors are printed.
pub(super) fn to_heal(source: &FleetSource, only: &[String]) -> Result<ToHeal> {
    let mut sink = Sink::default();
    let Some(mut fleet) = Fleet::salvage(source, &mut sink) else { return Err(wrong(&sink.into_report())) };
    if sink.failed() {
        let report = sink.into_report();
        if fleet.hosts.is_empty() {
            return Err(wrong(&report));
        }
        crate::terminal::err(format_args!("{}", report.render(true, 110)));
        errln!("the fleet has errors; all hosts that can be read are asked anyway");
    }
    let meant = |name: &String| only.is_empty() || only.contains(name);
    let entries: Vec<_> =
        std::mem::take(&mut fleet.wrong).into_iter().filter(|one| meant(&one.name)).collect();
    let hopeless = |name: &str| {
        entries.iter().any(|one| one.name == name) && !fleet.hosts.iter().any(|host| host.name == name)
    };
    let known: Vec<String> = only.iter().filter(|name| !hopeless(name)).cloned().collect();
    let mut asked = if known.is_empty() && !only.is_empty() { Vec::new() } else { hosts(fleet, &known)? };
    let mut wrong = Vec::new();
    for entry in entries {
        match entry.host {
            Some(host) => asked.push(host),
            None => wrong.push((entry.name, format!("its entry in the fleet is invalid: {}", entry.why))),
        }
    }
    Ok(ToHeal { hosts: asked, wrong })
}

/// Returns all problems of files as one error.
pub(super) fn wrong(report: &Report) -> Failure {
    crate::terminal::err(format_args!("{}", report.render(true, 110)));
    let (errors, _) = report.counts();
    Failure::new(format!("{errors} error{}; nothing was done", plural(errors)))
}

/// Creates a runtime for the coordinator's work.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().wrap("cannot start")
}

/// Interval at which the hosts that have not answered yet are printed.
const SILENCE: Duration = Duration::from_secs(5);

/// Asks every host of a fleet, as many at once as the limit of open files allows; returns the answers in the fleet's
/// order.
pub(super) async fn ask_all<T, F, C>(
    fleet: &[Host],
    identity: &Arc<Identity>,
    call: C,
) -> Vec<(String, Result<T, LinkError>)>
where
    F: Future<Output = Result<T, LinkError>>,
    C: Fn(Agent) -> F,
{
    let at_once = hosts_at_once(fleet, 1);
    if at_once < fleet.len() {
        errln!(
            "this process may open files for the links to {at_once} hosts at a time, so {} hosts are asked in turns; a higher hard limit (`ulimit -Hn`, LimitNOFILE=) allows all to be asked at once",
            fleet.len()
        );
    }
    let calls = fleet.iter().enumerate().map(|(place, host)| {
        let answer = call(Agent::new(host, Arc::clone(identity)));
        async move { (place, answer.await) }
    });
    let mut asked = std::pin::pin!(stream::iter(calls).buffer_unordered(at_once));
    let mut answers: Vec<Option<Result<T, LinkError>>> = fleet.iter().map(|_| None).collect();
    loop {
        match timeout(SILENCE, asked.next()).await {
            Ok(Some((place, answer))) => answers[place] = Some(answer),
            Ok(None) => break,
            Err(_) => {
                let silent = fleet.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
                let silent: Vec<&str> = silent.map(|(host, _)| host.name.as_str()).collect();
                errln!("waiting for {} of {} hosts: {}", silent.len(), fleet.len(), some_of(&silent));
            }
        }
    }
    let answers = answers.into_iter().flatten();
    fleet.iter().map(|host| host.name.clone()).zip(answers).collect()
}

/// Lists the first of some names, and the number of the others.
pub(super) fn some_of(names: &[&str]) -> String {
    const MOST: usize = 10;
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{}, and {more} more", names[..MOST].join(", ")),
        _ => names.join(", "),
    }
}

/// Returns the fleet's hosts, or those in `only`.
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

/// Formats a table for people.
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

/// Returns the width of the terminal, with a default.
pub(super) fn width() -> usize {
    terminal_size::terminal_size().map_or(110, |(columns, _)| usize::from(columns.0).max(60))
}
