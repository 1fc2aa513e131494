//! The setup of a lab: certificates, agents' configurations, the fleet's file. All of it is in one folder that only
//! this user can open.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use firedrill_lab::{
    HostSpec, Lab, LabSpec, Options,
    demo::{Shop, add_shop},
};
use firedrill_wire::identity::Role;

use super::files::{OPERATOR, folder, forget};
use crate::{
    cli::{
        failure::{Failure, Result, Wrap as _},
        hosts::fleet,
    },
    fleet::FleetSource,
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
        Self::build(name, &made, &hosts, shop)
    }

    /// Sets up the hosts of a fleet; `text` is its file.
    pub fn make(name: &str, hosts: &[Host], text: &str, shop: &Shop) -> Result<Self> {
        let made = fresh(name)?;
        fs::write(made.join("fleet.toml"), text)?;
        Self::build(name, &made, hosts, shop)
    }

    fn build(name: &str, folder: &Path, hosts: &[Host], shop: &Shop) -> Result<Self> {
        let ports = hosts.iter().filter_map(|host| Some((host.name.clone(), port(&host.agent)?))).collect();
        let pki = Pki::init(&folder.join("pki"))?;
        pki.issue_person(&PersonAsk::new(OPERATOR, Role::Operator, DAYS))?;
        let hosts: Result<Vec<HostSpec>, _> =
            hosts.iter().map(|host| rehearsal::host(&pki, host, "")).collect();
        let mut spec = LabSpec::new(name, hosts?);
        add_shop(&mut spec, shop);
        Ok(Self { name: name.to_owned(), spec, ports })
    }

    /// Starts the lab, and waits until every agent can be reached.
    pub fn up(&self, detach: bool) -> Result<Lab> {
        let lab = Lab::up(&self.spec, &Options { detach, program: None })
            .inspect_err(|_| forget(&self.name))
            .wrap("cannot start the lab")?;
        match self.agents_listen(&lab) {
            Ok(()) => Ok(lab),
            Err(why) => {
                let _ = lab.down();
                forget(&self.name);
                Err(why)
            }
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

/// Whether something in a host listens on a port, by the host's own `/proc/net`.
fn listens(lab: &Lab, host: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    let row = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (own, _, state) = (words.next(), words.next(), words.next());
        own.is_some_and(|own| own.ends_with(&wanted)) && state == Some(LISTEN)
    };
    // The first process may be ending; every process of the host sees the same network.
    lab.pids(host).unwrap_or_default().iter().any(|pid| {
        ["tcp", "tcp6"].iter().any(|table| {
            fs::read_to_string(format!("/proc/{pid}/net/{table}")).is_ok_and(|text| text.lines().any(row))
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
