//! Network interfaces: lists them with their dependencies, finds the interface that leads to a peer, and sets an interface up or down. Never
//! creates or removes one.
//!
//! [`link_state`] restores the entries that the kernel deletes when an interface goes down.

pub mod link_state;

use std::net::IpAddr;

use firedrill_netlink::{
    Attrs, Message, NetlinkError, Reason, Request, Socket, attr, find,
    route::{self, family, host_prefix, octets},
};

/// The classes of the claims that a fault makes on an interface that goes down: the interface, and its addresses and routes.
pub const CLAIMED: [&str; 2] = ["link", "addr"];

const GET_LINK: u16 = 18;
const GET_ROUTE: u16 = 26;
const HEADER: usize = 16;
/// IFF_UP and IFF_LOOPBACK.
const UP: u32 = 1;
const LOOPBACK: u32 = 8;
/// The operational state of an interface that carries packets (IF_OPER_UP).
const CARRIES: u8 = 6;
/// Maximum depth of stacked interfaces.
const DEEPEST: u8 = 8;

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The interface's index.
    pub index: u32,
    /// The interface's name.
    pub name: String,
    flags: u32,
    /// The interface's kind (`veth`, `bridge`); empty for a physical interface.
    pub kind: String,
    /// The interface's group; 0 by default.
    pub group: u32,
    /// The hardware type (`ARPHRD_…`).
    hardware: u16,
    /// The index of the interface below it, such as a VLAN's parent.
    lower: Option<u32>,
    /// The index of the bridge or bond of which it is a port.
    master: Option<u32>,
    /// The operational state (`IF_OPER_…`).
    state: u8,
    /// Number of packets that the interface has sent and received since it was made.
    pub packets: u64,
}

impl Link {
    /// Whether the interface is set up, with or without a carrier.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    /// Whether packets on the interface have Ethernet headers.
    #[must_use]
    pub const fn is_ethernet(&self) -> bool {
        self.hardware == libc::ARPHRD_ETHER
    }

    /// Whether the interface is a port of another interface (a bridge or bond), which gets its packets.
    #[must_use]
    pub const fn is_enslaved(&self) -> bool {
        self.master.is_some()
    }

    /// Whether the interface and all its dependencies are up, so that packets pass.
    #[must_use]
    pub const fn carries(&self) -> bool {
        self.state == CARRIES
    }

    /// Whether the interface is a loopback interface.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.flags & LOOPBACK != 0
    }
}

/// Returns all interfaces.
///
/// # Errors
/// The kernel could not list the interfaces.
pub fn all() -> Result<Vec<Link>, NetlinkError> {
    let request = Request { kind: GET_LINK, flags: 0, body: vec![0; HEADER] };
    let listed = route_socket()?.dump("list interfaces", &request)?;
    Ok(listed.iter().filter_map(link).collect())
}

fn route_socket() -> Result<Socket, NetlinkError> {
    Socket::open(libc::NETLINK_ROUTE)
}

/// Reads an interface from a message of the kernel.
fn link(message: &Message) -> Option<Link> {
    let (header, attrs) = message.body.split_at_checked(HEADER)?;
    let info = find(attrs, 18).unwrap_or_default();
    let kind = attr::text(info, 1).unwrap_or_default();
    // The other end of a veth, or an interface in another namespace, is not a dependency.
    let elsewhere = kind == "veth" || find(attrs, 37).is_some();
    let index = ne32(header, 4)?;
    let lower = find(attrs, 5).and_then(|value| ne32(value, 0));
    let packets =
        |at| find(attrs, 23).and_then(|stats| Some(u64::from_ne_bytes(*stats.get(at..)?.first_chunk()?)));
    Some(Link {
        index,
        name: attr::text(attrs, 3)?,
        flags: ne32(header, 8)?,
        group: find(attrs, 27).and_then(|group| ne32(group, 0)).unwrap_or(0),
        hardware: u16::from_ne_bytes(*header.get(2..)?.first_chunk()?),
        lower: lower.filter(|lower| !elsewhere && *lower != 0 && *lower != index),
        kind,
        master: find(attrs, 10).and_then(|value| ne32(value, 0)),
        state: find(attrs, 16).and_then(|state| state.first().copied()).unwrap_or(0),
        packets: packets(0).unwrap_or(0).saturating_add(packets(8).unwrap_or(0)),
    })
}

/// Reads a number in this machine's byte order.
pub(super) fn ne32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Sets an interface up or down. `name` is for the error.
///
/// # Errors
/// The interface does not exist, or the kernel refused.
pub fn set(index: u32, name: &str, up: bool) -> Result<(), NetlinkError> {
    let what = format!("set interface {name} {}", if up { "up" } else { "down" });
    route::Link::numbered(index).up(up).change(&mut route_socket()?, &what)
}

/// Returns the index of the interface over which packets go to the address `to`. `from` is this host's own address of the packets, if it is
/// known.
///
/// # Errors
/// There is no route ([`is_no_route`]), or the kernel could not be asked, or its answer makes no sense.
pub fn towards(to: IpAddr, from: Option<IpAddr>) -> Result<u32, NetlinkError> {
    let mut attrs = Attrs::new().bytes(1, &octets(to));
    let mut header = [0; 12];
    (header[0], header[1]) = (family(to), host_prefix(to));
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        header[2] = host_prefix(from);
        attrs = attrs.bytes(2, &octets(from));
    }
    let what = format!("find the route to {to}");
    let body = attrs.after(&header).unwrap_or_default();
    let answer = route_socket()?.get(&what, &Request { kind: GET_ROUTE, flags: 0, body })?;
    let interface = |message: &Message| ne32(find(message.body.get(12..)?, 4)?, 0);
    answer.iter().find_map(interface).ok_or_else(|| {
        let reason = Reason::Nonsense("a route without an interface".to_owned());
        NetlinkError { what, reason }
    })
}

/// Whether an error of [`towards`] means that no packets can go to the address. After any other error, that is unknown.
#[must_use]
pub fn is_no_route(error: &NetlinkError) -> bool {
    // EINVAL: the source is not an address of this host, or the route is a black hole. EACCES: the route prohibits it. EOPNOTSUPP and
    // EAFNOSUPPORT: the kernel lacks IPv6.
    matches!(
        error.errno(),
        Some(
            libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::EINVAL
                | libc::EACCES
                | libc::EOPNOTSUPP
                | libc::EAFNOSUPPORT
        )
    )
}

/// Whether packets over an interface may need the other interface: it is the same one, its parent, a port of the bridge, or the bond's only
/// good port.
#[must_use]
pub fn rests_on(links: &[Link], index: u32, other: u32) -> bool {
    rests(links, index, other, 0)
}

fn rests(links: &[Link], index: u32, other: u32, depth: u8) -> bool {
    if index == other {
        return true;
    }
    let Some(link) = links.iter().find(|link| link.index == index).filter(|_| depth < DEEPEST) else {
        return false;
    };
    if link.lower.is_some_and(|lower| rests(links, lower, other, depth + 1)) {
        return true;
    }
    let ports = || links.iter().filter(|port| port.master == Some(index));
    let needs = |port: &Link| rests(links, port.index, other, depth + 1);
    // A bond works as long as it has one good port. Each port of a bridge leads to other hosts, so every port is needed.
    let spare =
        matches!(link.kind.as_str(), "bond" | "team") && ports().any(|port| port.carries() && !needs(port));
    !spare && ports().any(needs)
}

/// Returns an interface, followed by the interfaces above it (such as VLANs), which go down and up with it.
#[must_use]
pub fn with_uppers(links: &[Link], index: u32) -> Vec<Link> {
    let mut found: Vec<Link> = links.iter().filter(|link| link.index == index).cloned().collect();
    let mut at = 0;
    while let Some(below) = found.get(at).map(|link| link.index) {
        for link in links.iter().filter(|link| link.lower == Some(below)) {
            if !found.contains(link) {
                found.push(link.clone());
            }
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, lower: Option<u32>, master: Option<u32>, kind: &str) -> Link {
        Link {
            index,
            lower,
            master,
            kind: kind.into(),
            name: format!("l{index}"),
            state: CARRIES,
            ..Link::default()
        }
    }

    #[test]
    fn interfaces_rest_on_their_parents_and_needed_ports() {
        let mut links = vec![
            link(2, None, Some(10), ""),
            link(3, None, Some(10), ""),
            link(4, None, Some(11), ""),
            link(5, None, Some(11), ""),
            link(10, None, None, "bond"),
            link(11, None, None, "bridge"),
            link(12, Some(10), None, "vlan"),
            link(13, Some(4), None, "vlan"),
        ];
        assert!(rests_on(&links, 2, 2) && rests_on(&links, 11, 4) && rests_on(&links, 13, 4));
        assert!(!rests_on(&links, 4, 11) && !rests_on(&links, 12, 4) && !rests_on(&links, 99, 4));
        assert!(!rests_on(&links, 12, 2), "the bond has another port");
        links[1].state = 2;
        assert!(rests_on(&links, 12, 2), "the bond has no other good port");
        let names = |index| with_uppers(&links, index).into_iter().map(|link| link.index).collect::<Vec<_>>();
        assert_eq!((names(4), names(2), names(99)), (vec![4, 13], vec![2], vec![]));
    }

    #[test]
    fn only_errors_about_routes_mean_that_there_is_no_route() {
        let refused = |errno| NetlinkError {
            what: "find the route".to_owned(),
            reason: Reason::Refused { errno, text: None },
        };
        for errno in [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EINVAL, libc::EACCES] {
            assert!(is_no_route(&refused(errno)), "{errno}");
        }
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EPERM, libc::EAGAIN, libc::EIO] {
            assert!(!is_no_route(&refused(errno)), "{errno}");
        }
        let reason = Reason::Nonsense("a route without an interface".to_owned());
        assert!(!is_no_route(&NetlinkError { what: "find the route".to_owned(), reason }));
    }

    #[test]
    fn circular_dependencies_are_no_endless_loop() {
        let links = [link(2, Some(3), None, "vlan"), link(3, Some(2), None, "vlan")];
        assert!(!rests_on(&links, 2, 9));
        assert_eq!(with_uppers(&links, 2).len(), 2);
    }
}
