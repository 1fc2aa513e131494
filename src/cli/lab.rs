//! `firedrill lab`: starts, shows, changes and ends a fleet of hosts on this machine, from the same kind of file as a fleet of real hosts.

pub mod files;
mod services;
mod setup;

use std::{ffi::OsString, path::PathBuf, process::ExitStatus};

use clap::Subcommand;
use firedrill_lab::{HostState, Lab, LabStatus, ReadyState, ServiceState, ServiceStatus, demo::Shop};
use firedrill_wire::Span;

pub use setup::Setup;
pub(super) use setup::builtin;

use super::{
    failure::{Failure, Result},
    hosts::fleet,
    output::{print_json, table},
};
use crate::{fleet::FleetSource, verdict::Exit};

/// The default name of a lab.
const NAME: &str = "lab";

/// Options of `lab`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill lab up                                    the demo's six hosts, in the background
  firedrill lab up --fleet fleet.toml                 hosts with programs of one's own
  firedrill run scenarios/network-block.toml --lab    a drill on them
  firedrill lab exec app1 -- cat /etc/hosts
  firedrill lab down

Hosts are sets of namespaces: they need no root where the kernel lets users make them, and can do nothing to this machine.")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a lab in the background: an agent on each host, and the services of the fleet's hosts; without any, the demo shop on hosts
    /// with roles `app` and `edge`
    Up {
        /// The fleet's file; the demo's six hosts without one
        #[arg(long, value_name = "FILE")]
        fleet: Option<PathBuf>,
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
        /// Let the demo shop's load balancer treat every backend as healthy, always
        #[arg(long)]
        no_health_check: bool,
    },
    /// Show the hosts and their services
    Status {
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Run a command in a host
    Exec {
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
        /// The host
        host: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Show the output of a host's service
    Log {
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
        /// The host
        host: String,
        /// The service, such as `firedrill-agent`
        service: String,
    },
    /// Cut a host off: pull its cable, or its power
    Cut {
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
        /// Cut its power, not its cable
        #[arg(long)]
        power: bool,
        /// The host
        host: String,
    },
    /// Plug a host's cable in again, or switch its power on
    Plug {
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
        /// Switch its power on, not its cable
        #[arg(long)]
        power: bool,
        /// The host
        host: String,
    },
    /// End a lab and everything in it
    Down {
        /// The lab's name
        #[arg(long, default_value = NAME)]
        name: String,
    },
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    match &args.verb {
        Verb::Up { fleet, name, no_health_check } => up(fleet.clone(), name, !no_health_check),
        Verb::Status { name, json } => {
            let status = Lab::attach(name)?.status()?;
            if *json {
                print_json(&status)?;
            } else {
                outln!("{}", people(&status));
            }
            Ok(Exit::Held)
        }
        Verb::Exec { name, host, command } => {
            let status = Lab::attach(name)?.exec(host, command)?;
            std::process::exit(code(status));
        }
        Verb::Log { name, host, service } => {
            crate::terminal::out(format_args!("{}", Lab::attach(name)?.log(host, service)?));
            Ok(Exit::Held)
        }
        Verb::Cut { name, power, host } => {
            let lab = Lab::attach(name)?;
            (if *power { lab.kill(host) } else { lab.cut(host) })?;
            Ok(Exit::Held)
        }
        Verb::Plug { name, power, host } => {
            let lab = Lab::attach(name)?;
            (if *power { lab.power_on(host) } else { lab.plug(host) })?;
            Ok(Exit::Held)
        }
        Verb::Down { name } => {
            Lab::attach(name)?.down()?;
            files::forget(name);
            outln!("lab {name} is gone");
            Ok(Exit::Held)
        }
    }
}

/// Returns a command's exit code as a shell does: 128 plus the number of the signal that killed it.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// Starts a lab in the background. `file` is the fleet's file; `None` means the demo's hosts.
fn up(file: Option<PathBuf>, name: &str, health_check: bool) -> Result<Exit> {
    let shop = Shop { health_check, ..Shop::default() };
    let setup = match file {
        Some(file) => {
            let fleet = fleet(&FleetSource::File(file.clone()))?;
            if !health_check && !fleet.services.is_empty() {
                return Err(Failure::new(
                    "--no-health-check is for the demo shop, which a fleet with services does not get",
                )
                .help("leave it out, or take a fleet whose hosts have no `service`"));
            }
            let text = std::fs::read_to_string(&file)?;
            Setup::of_fleet(name, &fleet, &file, &text, &shop)?
        }
        None => Setup::demo(name, &shop)?,
    };
    let lab = setup.up_and_tell(true, |host, service, after| {
        let after = Span::millis(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        errln!("{host}: {service} is ready after {after}");
    })?;
    let status = lab.status()?;
    outln!("{}\n", people(&status));
    // The default name is left out of the commands that are shown.
    let (lab_value, name_option) = if name == NAME {
        (String::new(), String::new())
    } else {
        (format!("={name}"), format!(" --name {name}"))
    };
    outln!(
        "lab {name} is up; run a drill on it with --lab{lab_value}, end it with `firedrill lab down{name_option}`"
    );
    Ok(Exit::Held)
}

/// Formats the name of a service; with its state in parentheses unless it runs and is ready.
fn shown(service: &ServiceStatus) -> String {
    let name = &service.name;
    match (service.state, service.ready) {
        (ServiceState::Run, None | Some(ReadyState::Ready)) => name.clone(),
        (ServiceState::Run, Some(ReadyState::Waiting)) => format!("{name} (not ready yet)"),
        (ServiceState::Run, Some(ReadyState::Late)) => format!("{name} (not ready in time)"),
        (ServiceState::Down, _) => format!("{name} (down)"),
        (ServiceState::Finish, _) => format!("{name} (ending)"),
    }
}

/// Formats the hosts of a lab as a table.
fn people(status: &LabStatus) -> String {
    let mut lines =
        vec![["host", "region", "roles", "address", "state", "services"].map(str::to_owned).to_vec()];
    for host in &status.hosts {
        let state = match host.state {
            HostState::Booting => "booting",
            HostState::Up if host.link => "up",
            HostState::Up => "up, cable pulled",
            HostState::Restarting => "restarting",
            HostState::Off => "off",
        };
        let services = host.services.iter().map(shown);
        lines.push(vec![
            host.name.clone(),
            host.region.clone(),
            host.roles.join(", "),
            host.addresses.first().map(ToString::to_string).unwrap_or_default(),
            state.to_owned(),
            services.collect::<Vec<_>>().join(", "),
        ]);
    }
    table(lines)
}
