//! The network between the hosts of a lab: one bridge per region, the router between the bridges, and a cable to each host. Never decides
//! when a cable is plugged.

use std::{fs::File, net::IpAddr, os::fd::AsFd as _};

use crate::{
    LabError, LabSpec,
    error::Doing as _,
    net::{Net, mac},
};

/// Second byte of the hardware addresses of bridges.
const BRIDGE: u8 = 0xb0;
/// Second byte of the hardware addresses of hosts.
const HOST: u8 = 0x10;

/// The bridges and cables. The coordinator counts as the last host.
pub(super) struct Cables {
    net: Net,
    /// The index of each host's bridge, the coordinator's last.
    bridge_of: Vec<u32>,
}

impl Cables {
    /// Makes the bridges and routes, without cables.
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

    /// Makes the cable of host `index`. `pid` is a process in the host's network namespace.
    pub(super) fn plug(&mut self, index: usize, pid: i32) -> Result<(), LabError> {
        let namespace = File::open(format!("/proc/{pid}/ns/net")).doing("open the host's network")?;
        self.net.cable(&name(index), self.bridge_of[index], mac(HOST, index), namespace.as_fd())
    }

    /// Sets the router's end of a host's cable up or down.
    pub(super) fn set(&mut self, index: usize, up: bool) -> Result<(), LabError> {
        self.net.set_link(&name(index), up)
    }

    /// Removes a host's cable.
    pub(super) fn unplug(&mut self, index: usize) -> Result<(), LabError> {
        self.net.remove(&name(index))
    }
}

/// Returns the name of the router's end of a host's cable.
fn name(index: usize) -> String {
    format!("host{index}")
}

/// Configures the network of the calling process, which has its own network namespace, at its end of the cable.
pub(crate) fn configure_own_end(addresses: &[IpAddr]) -> Result<(), LabError> {
    let mut net = Net::open()?;
    net.set_sysctls(false)?;
    net.configure_host(addresses)
}
