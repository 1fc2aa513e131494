//! Sets up a lab's network over netlink: loopback, bridges, cables, routes. Used only inside a lab's namespaces; never changes the
//! machine's own network.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::BorrowedFd,
    path::Path,
};

use firedrill_netlink::{
    Attrs, Socket,
    route::{Address, Link, Neighbour, Route, host_prefix},
};

use crate::{LabError, sys::mounts::sysctl};

/// The router's IPv4 address on every bridge. It is link-local, so that no host can have it.
pub(crate) const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
/// The router's IPv6 address on every bridge.
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// The DNS zone that the lab's name server on the router answers for.
pub(crate) const ZONE: &str = "lab.test";
/// The name of the interface of every host.
const HOST_INTERFACE: &str = "eth0";

/// A handle on the network namespace in which its socket was opened.
pub(crate) struct Net {
    socket: Socket,
    /// Whether the kernel has IPv6.
    v6: bool,
}

impl Net {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, LabError> {
        let socket = Socket::open(libc::NETLINK_ROUTE)?;
        Ok(Self { socket, v6: Path::new("/proc/sys/net/ipv6").exists() })
    }

    /// Sets the relevant sysctls of this namespace, because the kernel copies the machine's sysctls when a namespace is made. Only a router
    /// forwards packets.
    pub(crate) fn set_sysctls(&self, router: bool) -> Result<(), LabError> {
        for scope in ["all", "default"] {
            for (name, value) in
                [("rp_filter", "0"), ("send_redirects", "0"), ("accept_redirects", "0"), ("arp_ignore", "0")]
            {
                sysctl(&format!("net/ipv4/conf/{scope}/{name}"), value)?;
            }
            if self.v6 {
                for (name, value) in [
                    ("disable_ipv6", "0"),
                    ("accept_dad", "0"),
                    ("accept_ra", "0"),
                    ("accept_redirects", "0"),
                ] {
                    sysctl(&format!("net/ipv6/conf/{scope}/{name}"), value)?;
                }
            }
        }
        sysctl("net/ipv4/ip_forward", if router { "1" } else { "0" })?;
        if self.v6 {
            sysctl("net/ipv6/conf/all/forwarding", if router { "1" } else { "0" })?;
        }
        Ok(())
    }

    /// Sets loopback up.
    pub(crate) fn loopback(&mut self) -> Result<(), LabError> {
        self.set_link("lo", true)
    }

    /// Makes a region's bridge with the router's addresses. Returns the index of its interface.
    pub(crate) fn bridge(&mut self, name: &str, mac: [u8; 6]) -> Result<u32, LabError> {
        // The hardware address is fixed. Otherwise it would change with the ports, and hosts would cache an outdated address.
        Link::named(name)
            .hardware_address(mac)
            .up(true)
            .of_kind("bridge", &Attrs::new())
            .create(&mut self.socket, &format!("make bridge {name}"))?;
        let index = self.index(name)?;
        self.address(index, GATEWAY4.into(), 32)?;
        self.address(index, GATEWAY6.into(), 64)?;
        Ok(index)
    }

    /// Makes a cable from a bridge to a new `eth0` with the hardware address `mac` in another network namespace, and sets the bridge's end up.
    pub(crate) fn cable(
        &mut self,
        name: &str,
        bridge: u32,
        mac: [u8; 6],
        namespace: BorrowedFd<'_>,
    ) -> Result<(), LabError> {
        let peer = Link::named(HOST_INTERFACE).hardware_address(mac).within(namespace);
        let cable = Link::named(name).port_of(bridge).up(true).joined_to(&peer);
        Ok(cable.create(&mut self.socket, &format!("make cable {name}"))?)
    }

    /// Adds a route for an address over a bridge to a fixed hardware address. ARP and NDP are not used: packets to a host without power
    /// must get no answer at all, and a failed lookup would be answered with "host unreachable".
    pub(crate) fn reach(&mut self, address: IpAddr, bridge: u32, mac: [u8; 6]) -> Result<(), LabError> {
        if self.skips(address) {
            return Ok(());
        }
        let route = Route::to(address, host_prefix(address)).over(bridge);
        route.add(&mut self.socket, &format!("add a route to {address}"))?;
        let neighbour = Neighbour { link: bridge, address, hardware_address: mac };
        Ok(neighbour.add(&mut self.socket, &format!("fix the neighbour {address}"))?)
    }

    /// Gives this namespace's `eth0` its addresses and the default routes.
    pub(crate) fn configure_host(&mut self, addresses: &[IpAddr]) -> Result<(), LabError> {
        self.loopback()?;
        self.set_link(HOST_INTERFACE, true)?;
        let index = self.index(HOST_INTERFACE)?;
        for address in addresses {
            self.address(index, *address, host_prefix(*address))?;
        }
        if addresses.iter().any(IpAddr::is_ipv4) {
            let default = Route::to(Ipv4Addr::UNSPECIFIED.into(), 0).through(GATEWAY4.into());
            default.over(index).on_link().add(&mut self.socket, "set the default route")?;
        }
        if self.v6 && addresses.iter().any(IpAddr::is_ipv6) {
            let default = Route::to(Ipv6Addr::UNSPECIFIED.into(), 0).through(GATEWAY6.into());
            default.over(index).on_link().add(&mut self.socket, "set the default route (IPv6)")?;
        }
        Ok(())
    }

    /// Sets a link up or down. While the router's end of a cable is down, no packet leaves or reaches the host.
    pub(crate) fn set_link(&mut self, name: &str, up: bool) -> Result<(), LabError> {
        let action = format!("set link {name} {}", if up { "up" } else { "down" });
        Ok(Link::named(name).up(up).change(&mut self.socket, &action)?)
    }

    /// Removes both ends of a cable. Succeeds if there is no such cable.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), LabError> {
        Ok(Link::named(name).remove(&mut self.socket, &format!("remove cable {name}"))?)
    }

    /// Adds an address to a link. An IPv6 address is left out if the kernel has no IPv6.
    fn address(&mut self, index: u32, address: IpAddr, prefix: u8) -> Result<(), LabError> {
        if self.skips(address) {
            return Ok(());
        }
        let entry = Address { link: index, address, prefix };
        Ok(entry.add(&mut self.socket, &format!("add address {address}"))?)
    }

    /// Returns the index of an interface.
    fn index(&mut self, name: &str) -> Result<u32, LabError> {
        Ok(Link::named(name).find(&mut self.socket, &format!("find link {name}"))?)
    }

    /// Whether an address is left out, because it is an IPv6 address and the kernel has no IPv6.
    fn skips(&self, address: IpAddr) -> bool {
        address.is_ipv6() && !self.v6
    }
}

/// Makes a locally administered hardware address. Different pairs of `kind` and `index` have different addresses.
pub(crate) fn mac(kind: u8, index: usize) -> [u8; 6] {
    let index = u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes();
    [0x02, kind, index[0], index[1], index[2], index[3]]
}
