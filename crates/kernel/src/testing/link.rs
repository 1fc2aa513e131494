//! Makes links, addresses and routes in the namespaces of tests. Never changes another namespace.

use std::net::IpAddr;

use firedrill_netlink::{
    NetlinkError, Request, Socket, attr, find,
    route::{Address, Link, Route},
};
use ipnet::IpNet;

use super::{Netns, wait_until};
use crate::link;

/// Sends a request to the kernel in a namespace.
fn ask(ns: &Netns, request: impl FnOnce(&mut Socket) -> Result<(), NetlinkError> + Send) {
    ns.run(|| request(&mut Socket::open(libc::NETLINK_ROUTE)?)).expect("the kernel does it");
}

/// Joins two namespaces by a cable, and waits until both ends carry packets.
///
/// # Panics
/// The kernel refused.
pub fn join(a: &Netns, a_name: &str, b: &Netns, b_name: &str) {
    let cable = Link::named(a_name).joined_to(&Link::named(b_name).within(b.fd()));
    ask(a, |socket| cable.create(socket, "make a veth pair"));
    up(a, a_name);
    up(b, b_name);
    for (ns, name) in [(a, a_name), (b, b_name)] {
        wait_until("a cable carries packets", || carries(ns, name));
    }
}

/// Whether a link has its carrier and its queue. The kernel may need a second for that, and drops all packets before.
fn carries(ns: &Netns, name: &str) -> bool {
    const OPERATIONAL: [u8; 1] = [6];
    let request = Request { kind: libc::RTM_GETLINK, flags: 0, body: vec![0; 16] };
    let links = ns.run(|| Socket::open(libc::NETLINK_ROUTE)?.dump("list links", &request)).expect("a list");
    links.iter().filter_map(|link| link.body.get(16..)).any(|attrs| {
        attr::text(attrs, libc::IFLA_IFNAME).as_deref() == Some(name)
            && find(attrs, libc::IFLA_OPERSTATE) == Some(&OPERATIONAL)
            && attr::text(attrs, libc::IFLA_QDISC).as_deref() != Some("noop")
    })
}

fn index(ns: &Netns, name: &str) -> u32 {
    ns.run(|| nix::net::if_::if_nametoindex(name)).expect("the link is there")
}

fn set(ns: &Netns, name: &str, up: bool) {
    ns.run(|| link::set(index(ns, name), name, up)).expect("the kernel does it");
}

/// Sets a link up.
///
/// # Panics
/// The kernel refused.
pub fn up(ns: &Netns, name: &str) {
    set(ns, name, true);
}

/// Sets a link down.
///
/// # Panics
/// The kernel refused.
pub fn down(ns: &Netns, name: &str) {
    set(ns, name, false);
}

fn address_of(ns: &Netns, name: &str, network: &str) -> Address {
    let network: IpNet = network.parse().expect("a network");
    Address { link: index(ns, name), address: network.addr(), prefix: network.prefix_len() }
}

/// Adds an address to a link. It is usable at once.
///
/// # Panics
/// The text is no network, or the kernel refused.
pub fn address(ns: &Netns, name: &str, network: &str) {
    let address = address_of(ns, name, network);
    ask(ns, |socket| address.add(socket, "add an address"));
}

/// Removes an address from a link.
///
/// # Panics
/// The text is no network, or the kernel refused.
pub fn remove_address(ns: &Netns, name: &str, network: &str) {
    let address = address_of(ns, name, network);
    ask(ns, |socket| address.remove(socket, "remove an address"));
}

/// Adds a route through a gateway.
///
/// # Panics
/// A text is no network or address, or the kernel refused.
pub fn route(ns: &Netns, to: &str, through: &str) {
    let to: IpNet = to.parse().expect("a network");
    let through: IpAddr = through.parse().expect("an address");
    let route = Route::to(to.addr(), to.prefix_len()).through(through);
    ask(ns, |socket| route.add(socket, "add a route"));
}
