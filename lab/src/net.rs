//! The lab's wires, over netlink: loopback, bridges, cables, routes. Only ever inside a lab's namespaces.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, BorrowedFd},
    path::Path,
};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    address::{AddressAttribute, AddressFlags},
    link::{InfoData, InfoVeth},
    neighbour::NeighbourState,
    route::RouteScope,
};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::{LabError, error::Doing, sys::mounts::sysctl};

/// The router's address towards every host, v4. Link-local, so that it is never a host's own.
pub(crate) const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
/// The same, v6.
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// The zone of the lab's name server, which is the router.
pub(crate) const ZONE: &str = "lab.test";
/// The interface of every host.
const HOST_INTERFACE: &str = "eth0";

/// The wires of the network namespace that the connection was opened in.
#[derive(Clone)]
pub(crate) struct Net {
    handle: Handle,
    v6: bool,
}

impl Net {
    /// Opens the connection; needs a tokio runtime.
    pub(crate) fn open() -> Result<Self, LabError> {
        let (connection, handle, _) = rtnetlink::new_connection().doing("open a netlink socket")?;
        tokio::spawn(connection);
        Ok(Self { handle, v6: Path::new("/proc/sys/net/ipv6").exists() })
    }

    /// Sysctls are copied from the machine when a namespace is made, so those that matter are set.
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

    /// Loopback up.
    pub(crate) async fn loopback(&self) -> Result<(), LabError> {
        self.set_link("lo", true).await
    }

    /// A region's bridge with the router's addresses on it; its interface index.
    pub(crate) async fn bridge(&self, name: &str, mac: [u8; 6]) -> Result<u32, LabError> {
        // A fixed address: else it would change with the ports, and hosts would remember the wrong one.
        let message = LinkBridge::new(name).address(mac.to_vec()).build();
        self.handle
            .link()
            .add(message)
            .execute()
            .await
            .map_err(io_error)
            .doing(format!("make bridge {name}"))?;
        let index = self.index(name).await?;
        self.address(index, GATEWAY4.into(), 32).await?;
        if self.v6 {
            self.address(index, GATEWAY6.into(), 64).await?;
        }
        Ok(index)
    }

    /// A cable from a bridge to a new `eth0` in that network namespace; both ends up as far as they can be.
    pub(crate) async fn cable(
        &self,
        name: &str,
        bridge: u32,
        mac: [u8; 6],
        namespace: BorrowedFd<'_>,
    ) -> Result<(), LabError> {
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(HOST_INTERFACE)
            .address(mac.to_vec())
            .setns_by_fd(namespace.as_raw_fd())
            .build();
        let message = LinkVeth::new(name, HOST_INTERFACE)
            .controller(bridge)
            .up()
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        self.handle.link().add(message).execute().await.map_err(io_error).doing(format!("make cable {name}"))
    }

    /// Sends what is for that address out of a bridge, to that hardware address. It never asks the network who has it:
    /// a host without power must meet with silence, and "no such host" is not silence.
    pub(crate) async fn reach(&self, address: IpAddr, bridge: u32, mac: [u8; 6]) -> Result<(), LabError> {
        if self.skips(address) {
            return Ok(());
        }
        self.route(address, bridge).await?;
        self.handle
            .neighbours()
            .add(bridge, address)
            .state(NeighbourState::Permanent)
            .link_layer_address(&mac)
            .execute()
            .await
            .map_err(io_error)
            .doing(format!("fix the neighbour {address}"))
    }

    /// Gives this namespace's `eth0` its addresses and the way to all others.
    pub(crate) async fn configure_host(&self, addresses: &[IpAddr]) -> Result<(), LabError> {
        self.loopback().await?;
        self.set_link(HOST_INTERFACE, true).await?;
        let index = self.index(HOST_INTERFACE).await?;
        for address in addresses.iter().filter(|a| !self.skips(**a)) {
            self.address(index, *address, if address.is_ipv4() { 32 } else { 128 }).await?;
        }
        let routes = self.handle.route();
        if addresses.iter().any(IpAddr::is_ipv4) {
            let message = RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(GATEWAY4)
                .output_interface(index)
                .onlink()
                .build();
            routes.add(message).execute().await.map_err(io_error).doing("set the default route")?;
        }
        if self.v6 && addresses.iter().any(IpAddr::is_ipv6) {
            let message = RouteMessageBuilder::<Ipv6Addr>::new()
                .gateway(GATEWAY6)
                .output_interface(index)
                .onlink()
                .build();
            routes.add(message).execute().await.map_err(io_error).doing("set the default route (IPv6)")?;
        }
        Ok(())
    }

    /// Link up or down. With the router's end down no packet of a host reaches anybody.
    pub(crate) async fn set_link(&self, name: &str, up: bool) -> Result<(), LabError> {
        let builder = LinkUnspec::new_with_name(name);
        let message = if up { builder.up() } else { builder.down() }.build();
        let word = if up { "up" } else { "down" };
        self.handle
            .link()
            .set(message)
            .execute()
            .await
            .map_err(io_error)
            .doing(format!("set link {name} {word}"))
    }

    /// Removes a cable; both ends. Gone already is success.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), LabError> {
        match self.index(name).await {
            Err(_) => Ok(()),
            Ok(index) => match self.handle.link().del(index).execute().await.map_err(io_error) {
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
                other => other.doing(format!("remove cable {name}")),
            },
        }
    }

    async fn route(&self, address: IpAddr, interface: u32) -> Result<(), LabError> {
        let message = match address {
            IpAddr::V4(a) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(a, 32)
                .scope(RouteScope::Link)
                .output_interface(interface)
                .build(),
            IpAddr::V6(a) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(a, 128)
                .output_interface(interface)
                .build(),
        };
        self.handle
            .route()
            .add(message)
            .execute()
            .await
            .map_err(io_error)
            .doing(format!("add a route to {address}"))
    }

    async fn address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<(), LabError> {
        let mut request = self.handle.address().add(index, address, prefix);
        // Without looking for duplicates, which would take a second; there are none.
        request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        request.execute().await.map_err(io_error).doing(format!("add address {address}"))
    }

    async fn index(&self, name: &str) -> Result<u32, LabError> {
        let mut links = self.handle.link().get().match_name(name).execute();
        let link = links.try_next().await.map_err(io_error).doing(format!("find link {name}"))?;
        link.map(|l| l.header.index)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
            .doing(format!("find link {name}"))
    }

    fn skips(&self, address: IpAddr) -> bool {
        address.is_ipv6() && !self.v6
    }
}

/// The kernel's own error out of a netlink answer.
fn io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// A locally administered hardware address.
pub(crate) fn mac(kind: u8, index: usize) -> [u8; 6] {
    let index = u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes();
    [0x02, kind, index[0], index[1], index[2], index[3]]
}
