//! Options that several commands have: the fleet, the certificate, and those of a drill.

use std::path::{Path, PathBuf};

use firedrill_wire::text::{TEXT_MOST, flaw};

use super::failure::{Failure, Result, Wrap as _};
use crate::{
    fleet::{FleetSource, split_command},
    link::{Identity, IdentityError},
    plan::Options,
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

impl FleetArgs {
    /// Returns the source of the fleet; `None` if there is none. The command line takes precedence over the
    /// environment.
    pub(super) fn source(&self) -> Option<FleetSource> {
        #[cfg(feature = "lab")]
        if let Some(name) = &self.lab {
            return Some(super::lab::files::fleet_of(name));
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

    /// Returns the options that name the same fleet, each after a space, for commands that are shown to people.
    pub(super) fn shown(&self) -> String {
        #[cfg(feature = "lab")]
        if let Some(name) = &self.lab {
            return format!(" --lab={name}");
        }
        match self.source() {
            Some(FleetSource::File(file)) => format!(" --fleet {}", file.display()),
            Some(FleetSource::Command(words)) => format!(" --fleet-command '{}'", words.join(" ")),
            None => String::new(),
        }
    }

    /// Returns the source of the fleet; an error if there is none.
    pub(super) fn needed(&self) -> Result<FleetSource> {
        self.source().ok_or_else(|| {
            Failure::new("no fleet is named").help(
                "name its file with --fleet FILE (or FIREDRILL_FLEET), or a command with --fleet-command",
            )
        })
    }
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
    /// Whether one of the options was given on the command line, and not by its environment variable.
    pub(super) fn is_given(&self) -> bool {
        let by_variable =
            |name: &str, value: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|set| set == value);
        let pki = self.pki.as_ref().is_some_and(|pki| !by_variable("FIREDRILL_PKI", pki.as_os_str()));
        pki || self.person.as_ref().is_some_and(|person| !by_variable("FIREDRILL_AS", person.as_ref()))
    }

    /// Returns the options that select the same identity, for the command line of a child program.
    #[cfg(feature = "serve")]
    pub(super) fn words(&self) -> Vec<std::ffi::OsString> {
        let pki = self.pki.iter().flat_map(|folder| ["--pki".into(), folder.clone().into_os_string()]);
        let person = self.person.iter().flat_map(|person| ["--as".into(), person.into()]);
        pki.chain(person).collect()
    }

    /// Loads the selected certificate, by default from the user's own folder.
    pub(super) fn load(&self) -> Result<Identity> {
        let folder = match &self.pki {
            Some(folder) => folder.clone(),
            None => crate::pki::default_dir()?,
        };
        self.from(&folder).wrap("no certificate was found")
    }

    fn from(&self, folder: &Path) -> std::result::Result<Identity, IdentityError> {
        match &self.person {
            Some(person) => Identity::load_as(folder, person),
            None => Identity::load(folder),
        }
    }

    /// Returns the certificate that `run` would use, if it can be loaded. A warning is printed if an option selected it and it cannot be
    /// loaded.
    pub(super) fn at_hand(&self) -> Option<Identity> {
        let folder = self.pki.clone().or_else(|| crate::pki::default_dir().ok())?;
        let asked_for = self.pki.is_some() || self.person.is_some();
        self.from(&folder)
            .inspect_err(|error| {
                if asked_for {
                    errln!("warning: the environments were not compared with your certificate: {error}");
                }
            })
            .ok()
    }
}

/// The options of a drill, beside the scenario. Two commands make the same plan, so that approvals count, only if all these options are equal.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DrillArgs {
    #[command(flatten)]
    pub(super) fleet: FleetArgs,
    #[command(flatten)]
    pub(super) identity: IdentityArgs,
    /// A parameter of the scenario, as NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, String)>,
    /// The seed of random picks; the same seed picks the same hosts
    #[arg(long)]
    seed: Option<u64>,
}

/// Reads `name=value`. The error says that there is no `=`, that the name is empty, or which characters are not allowed.
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    if let Some(flaw) = flaw(text, TEXT_MOST) {
        return Err(format!("it has {flaw}"));
    }
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

impl DrillArgs {
    /// Returns the plan's options for a scenario and a fleet.
    pub(super) fn options(&self, scenario: &Path, fleet: FleetSource) -> Options {
        let scenario = scenario.to_owned();
        Options { scenario, fleet, params: self.params.clone(), seed: self.seed }
    }
}
