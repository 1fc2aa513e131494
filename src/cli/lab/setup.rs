//! The setup of a lab: certificates, agents' configurations, the fleet's file. All of it is in one folder that only
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

/// The part of the policy of a lab's hosts that differs from the defaults: agents may read the logs of the hosts' services.
const POLICY: &str = "\n[policy]\nlogs = [\"/var/log/*\"]\n";

/// A lab that is ready to start.
pub struct Setup {
    name: String,
    spec: LabSpec,
    /// The port of each host's agent.
    ports: Vec<(String, u16)>,
}

impl Setup {
    /// Sets up the demo's six hosts.
    pub fn demo(name: &str, shop: &Shop) -> Result<Self> {
        let made = fresh(name)?;
        let file = made.join("fleet.toml");
        fs::write(&file, builtin::FLEET)?;
        let hosts = fleet(&FleetSource::File(file))?.hosts;
        Self::build(name, &made, &hosts, Some(shop))
    }

    /// Sets up hosts with the shop; `text` is the file of their fleet.
    pub fn make(name: &str, hosts: &[Host], text: &str, shop: &Shop) -> Result<Self> {
        let made = fresh(name)?;
        fs::write(made.join("fleet.toml"), text)?;
        Self::build(name, &made, hosts, Some(shop))
    }

    /// Sets up the hosts of a fleet, with their services; with the shop if no host has any. `file` is the fleet's file, and `text`
    /// its text.
    pub(super) fn of_fleet(name: &str, fleet: &Fleet, file: &Path, text: &str, shop: &Shop) -> Result<Self> {
        let mut programs = services::of(fleet, file.parent().unwrap_or(Path::new("")))?;
        if programs.is_empty() {
            return Self::make(name, &fleet.hosts, text, shop);
        }
        let made = fresh(name)?;
        fs::write(made.join("fleet.toml"), text)?;
        let mut setup = Self::build(name, &made, &fleet.hosts, None)?;
        for host in &mut setup.spec.hosts {
            let own = programs.remove(&host.name).unwrap_or_default();
            host.services.extend(own.services);
            host.files.extend(own.files);
        }
        Ok(setup)
    }

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

    /// Starts the lab, and waits until every agent can be reached and every service with a ready check is ready.
    pub fn up(&self, detach: bool) -> Result<Lab> {
        self.up_and_tell(detach, |_, _, _| {})
    }

    /// As [`Self::up`]. Calls `heard` with host, service and time since the call for each service that is ready.
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

    fn agents_listen(&self, lab: &Lab) -> Result<()> {
        const LONG: Duration = Duration::from_secs(30);
        let end = Instant::now() + LONG;
        for (host, port) in &self.ports {
            while !listens(lab, host, *port) {
                if Instant::now() > end {
                    let said = lab.log(host, "firedrill-agent").unwrap_or_default();
                    return Err(Failure::new(format!(
                        "the agent of {host} does not listen on port {port} after {} s; it said:\n{said}",
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

fn port(reach: &Reach) -> Option<u16> {
    match reach {
        Reach::Tcp(address) => address.rsplit(':').next()?.parse().ok(),
        Reach::Command(_) => None,
    }
}

/// Waits until all services with a ready check are ready. Calls `heard` with host, service and the time since `began` for each.
fn services_ready(lab: &Lab, began: Instant, mut heard: impl FnMut(&str, &str, Duration)) -> Result<()> {
    /// The end of a log that an error shows, in lines.
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

/// Whether something in a host listens on a port, by the host's own `/proc/net`.
fn listens(lab: &Lab, host: &str, port: u16) -> bool {
    // The first process may be ending; every process of the host sees the same network.
    lab.pids(host).unwrap_or_default().iter().any(|pid| {
        ["tcp", "tcp6"].iter().any(|table| {
            fs::read_to_string(format!("/proc/{pid}/net/{table}")).is_ok_and(|text| has_listener(&text, port))
        })
    })
}

/// Creates an empty folder of this user.
fn fresh(name: &str) -> Result<PathBuf> {
    let plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if !plain || firedrill_lab::list()?.iter().any(|lab| lab.name == name) {
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
