//! The network between the hosts: one bridge per region, the router between them, a cable to each host.

use std::{fs::File, net::IpAddr, os::fd::AsFd as _};

use crate::{
    LabError, LabSpec,
    error::Doing as _,
    net::{Net, mac},
};

const BRIDGE: u8 = 0xb0;
const HOST: u8 = 0x10;

/// The bridges, and the one to which each host is plugged. The coordinator is the last host.
pub(super) struct Cables {
    net: Net,
    /// The bridge of each host, the coordinator's last.
    bridge_of: Vec<u32>,
}

impl Cables {
    /// Makes bridges and routes, without cables.
    pub(super) fn lay(spec: &LabSpec) -> Result<Self, LabError> {
        let mut net = Net::open()?;
        net.set_sysctls(true)?;
        net.loopback()?;
        let regions = spec.regions();
        let mut bridges = Vec::new();
        for number in 0..=regions.len() {
            bridges.push(net.bridge(&format!("region{number}"), mac(BRIDGE, number))?);
        }
        let place_of = |region: &str| regions.iter().position(|r| *r == region).unwrap_or(regions.len());
        let hosts = spec.hosts.iter().map(|h| (place_of(&h.region), &h.addresses));
        let mut bridge_of = Vec::new();
        for (index, (place, addresses)) in hosts.chain([(regions.len(), &spec.coordinator)]).enumerate() {
            for address in addresses {
                net.reach(*address, bridges[place], mac(HOST, index))?;
            }
            bridge_of.push(bridges[place]);
        }
        Ok(Self { net, bridge_of })
    }

    /// Plugs in the process's network namespace as that host.
    pub(super) fn plug(&mut self, index: usize, pid: i32) -> Result<(), LabError> {
        let namespace = File::open(format!("/proc/{pid}/ns/net")).doing("open the host's network")?;
        self.net.cable(&name(index), self.bridge_of[index], mac(HOST, index), namespace.as_fd())
    }

    /// Sets the router's end up or down.
    pub(super) fn set(&mut self, index: usize, up: bool) -> Result<(), LabError> {
        self.net.set_link(&name(index), up)
    }

    /// Removes the cable.
    pub(super) fn unplug(&mut self, index: usize) -> Result<(), LabError> {
        self.net.remove(&name(index))
    }
}

fn name(index: usize) -> String {
    format!("host{index}")
}

/// The settings that a process in a network namespace of its own needs for its end of the cable.
pub(crate) fn configure_own_end(addresses: &[IpAddr]) -> Result<(), LabError> {
    let mut net = Net::open()?;
    net.set_sysctls(false)?;
    net.configure_host(addresses)
}
