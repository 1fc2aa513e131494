//! The setup of a lab: certificates, agents' configurations, the fleet's file. All files are in one folder that only
//! this user can open.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use firedrill_lab::{
    HostSpec, Lab, LabSpec, Late, Options,
    demo::{Shop, add_shop},
    has_listener,
};
use firedrill_wire::identity::Role;

use super::{
    files::{OPERATOR, folder, forget},
    services,
};
use crate::{
    cli::{
        failure::{Failure, Result, Wrap as _},
        hosts::fleet,
    },
    fleet::{Fleet, FleetSource},
    pki::{PersonAsk, Pki},
    plan::model::{Host, Reach},
    rehearsal::{self, DAYS},
};

/// The scenario library's files that the demo needs, so that it also runs where the repository is not.
pub(crate) mod builtin {
    /// The demo's fleet.
    pub(crate) const FLEET: &str = include_str!("../../../scenarios/fleet.toml");
    /// The demo's scenario.
    pub(crate) const DEMO: &str = include_str!("../../../scenarios/demo.toml");
    /// The library file that it includes.
    pub(crate) const SHOP: &str = include_str!("../../../scenarios/lib/shop.toml");
}

/// The policy of a lab's hosts, where it differs from the defaults: agents may read the logs of services.
const POLICY: &str = "\n[policy]\nlogs = [\"/var/log/*\"]\n";

/// A lab that is ready to start.
pub struct Setup {
    name: String,
    spec: LabSpec,
    /// The names of the hosts, each with the port of its agent.
    ports: Vec<(String, u16)>,
}

impl Setup {
    /// Sets up the demo's six hosts.
    pub fn demo(name: &str, shop: &Shop) -> Result<Self> {
        let folder = fresh(name)?;
        let file = folder.join("fleet.toml");
        fs::write(&file, builtin::FLEET)?;
        let hosts = fleet(&FleetSource::File(file))?.hosts;
        Self::build(name, &folder, &hosts, Some(shop))
    }

    /// Sets up hosts with the shop; `text` is the text of their fleet's file.
    pub fn make(name: &str, hosts: &[Host], text: &str, shop: &Shop) -> Result<Self> {
        let folder = fresh(name)?;
        fs::write(folder.join("fleet.toml"), text)?;
        Self::build(name, &folder, hosts, Some(shop))
    }

    /// Sets up the hosts of a fleet with their services; if no host has a service, with the shop. `file` is the fleet's file, and `text`
    /// its text.
    pub(super) fn of_fleet(name: &str, fleet: &Fleet, file: &Path, text: &str, shop: &Shop) -> Result<Self> {
        let mut programs = services::of(fleet, file.parent().unwrap_or(Path::new("")))?;
        if programs.is_empty() {
            return Self::make(name, &fleet.hosts, text, shop);
        }
        let folder = fresh(name)?;
        fs::write(folder.join("fleet.toml"), text)?;
        let mut setup = Self::build(name, &folder, &fleet.hosts, None)?;
        for host in &mut setup.spec.hosts {
            let own = programs.remove(&host.name).unwrap_or_default();
            host.services.extend(own.services);
            host.files.extend(own.files);
        }
        Ok(setup)
    }

    /// Makes the certificates in `folder`, and the lab's specification.
    fn build(name: &str, folder: &Path, hosts: &[Host], shop: Option<&Shop>) -> Result<Self> {
        let ports = hosts.iter().filter_map(|host| Some((host.name.clone(), port(&host.agent)?))).collect();
        let pki = Pki::init(&folder.join("pki"))?;
        pki.issue_person(&PersonAsk::new(OPERATOR, Role::Operator, DAYS))?;
        let hosts: Result<Vec<HostSpec>, _> =
            hosts.iter().map(|host| rehearsal::host(&pki, host, POLICY)).collect();
        let mut spec = LabSpec::new(name, hosts?);
        if let Some(shop) = shop {
            add_shop(&mut spec, shop);
        }
        Ok(Self { name: name.to_owned(), spec, ports })
    }

    /// Starts the lab, and waits until every agent listens and every service with a ready check is ready. With `detach` the lab goes on when
    /// this program ends. If something does not become ready in time, the lab is ended.
    pub fn up(&self, detach: bool) -> Result<Lab> {
        self.up_and_tell(detach, |_, _, _| {})
    }

    /// As [`Self::up`]. For each service that becomes ready, calls `heard` with the host, the service, and the time since the start of the lab.
    pub(super) fn up_and_tell(&self, detach: bool, heard: impl FnMut(&str, &str, Duration)) -> Result<Lab> {
        let began = Instant::now();
        let lab = Lab::up(&self.spec, &Options { detach, program: None })
            .inspect_err(|_| forget(&self.name))
            .wrap("cannot start the lab")?;
        match self.agents_listen(&lab).and_then(|()| services_ready(&lab, began, heard)) {
            Ok(()) => Ok(lab),
            Err(why) => Err(match lab.down() {
                Ok(()) => {
                    forget(&self.name);
                    why
                }
                Err(left) => why.help(format!(
                    "the lab could not be ended ({left}); end it with `firedrill lab down --name {}`",
                    self.name
                )),
            }),
        }
    }

    /// Waits until every agent listens on its port.
    fn agents_listen(&self, lab: &Lab) -> Result<()> {
        /// The longest time to wait for all agents.
        const LONG: Duration = Duration::from_secs(30);
        let end = Instant::now() + LONG;
        for (host, port) in &self.ports {
            while !listens(lab, host, *port) {
                if Instant::now() > end {
                    let log = lab.log(host, "firedrill-agent").unwrap_or_default();
                    return Err(Failure::new(format!(
                        "the agent of {host} does not listen on port {port} after {} s; it said:\n{log}",
                        LONG.as_secs()
                    ))
                    .help("on a busy machine, try again; otherwise read the agent's output above"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// Returns the port of an agent; `None` if it is reached by a command.
fn port(reach: &Reach) -> Option<u16> {
    match reach {
        Reach::Tcp(address) => address.rsplit(':').next()?.parse().ok(),
        Reach::Command(_) => None,
    }
}

/// Waits until all services with a ready check are ready. For each, calls `heard` with the host, the service, and the time since `began`.
/// The error is that one was not ready in time; it has the end of the service's log.
fn services_ready(lab: &Lab, began: Instant, mut heard: impl FnMut(&str, &str, Duration)) -> Result<()> {
    /// Number of lines at the end of a log that an error shows.
    const LINES: usize = 20;
    let late = lab.wait_ready(|host, service| heard(host, service, began.elapsed()))?;
    let Some(Late { host, service }) = late.first() else { return Ok(()) };
    let log = lab.log(host, service).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
    Err(Failure::new(format!(
        "service `{service}` of host `{host}` was not ready in time; its log ends with:\n{end}"
    ))
    .help("see its log above, or give it more time by `within` of its `ready`"))
}

/// Whether a process in a host listens on a TCP port.
fn listens(lab: &Lab, host: &str, port: u16) -> bool {
    // All processes of a host see the same network, so any of them answers. All are tried, because one may be ending.
    lab.pids(host).unwrap_or_default().iter().any(|pid| {
        ["tcp", "tcp6"].iter().any(|table| {
            fs::read_to_string(format!("/proc/{pid}/net/{table}")).is_ok_and(|text| has_listener(&text, port))
        })
    })
}

/// Creates an empty folder for a lab of this name, which only this user can open. Replaces the folder of a lab that is gone. The error is
/// that a lab of this name is up, that the name is invalid, or that the folder cannot be made.
fn fresh(name: &str) -> Result<PathBuf> {
    let is_file_name = Path::new(name).file_name().is_some_and(|file| file == name);
    if !is_file_name || firedrill_lab::list()?.iter().any(|lab| lab.name == name) {
        return Err(Failure::new(format!("a lab called `{name}` is up already, or the name is invalid"))
            .help(format!("end it with `firedrill lab down --name {name}`, or choose another name")));
    }
    let folder = folder(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).wrap(format!("cannot clear {}", folder.display()))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&folder).wrap(format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
