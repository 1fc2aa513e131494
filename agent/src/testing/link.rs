//! Links, addresses and routes for tests, each made by one request.

use std::{net::IpAddr, os::fd::AsRawFd as _};

use ipnet::IpNet;

use super::{Netns, wait_until};
use crate::host::{
    link,
    netlink::{Attrs, Request, Socket, attr, flag},
};

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const REMOVE_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;

fn ask(ns: &Netns, what: &str, kind: u16, flags: libc::c_int, header: &[u8], attrs: &Attrs) {
    let body = attrs.after(header).expect("short attributes");
    let request = Request { kind, flags: flag(flags), body };
    ns.run(|| Socket::open(libc::NETLINK_ROUTE)?.request(what, &request)).expect("the kernel does it");
}

/// Joins two namespaces by a cable, both ends up and carrying packets.
///
/// # Panics
/// The kernel refused.
pub fn join(a: &Netns, a_name: &str, b: &Netns, b_name: &str) {
    let descriptor = u32::try_from(b.fd().as_raw_fd()).expect("descriptors are not negative");
    let peer = Attrs::new().text(3, b_name).ne32(28, descriptor).after(&[0; 16]).expect("short");
    let info = Attrs::new().text(1, "veth").nest(2, &Attrs::new().bytes(1, &peer));
    let attrs = Attrs::new().text(3, a_name).nest(18, &info);
    ask(a, "make a veth pair", NEW_LINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &[0; 16], &attrs);
    up(a, a_name);
    up(b, b_name);
    for (ns, name) in [(a, a_name), (b, b_name)] {
        wait_until("a cable carries packets", || carries(ns, name));
    }
}

/// Whether a link has its carrier and its queue; the kernel may take a second for that, and drops everything before.
fn carries(ns: &Netns, name: &str) -> bool {
    const GET_LINK: u16 = 18;
    const OPERATIONAL: [u8; 1] = [6];
    let request = Request { kind: GET_LINK, flags: 0, body: vec![0; 16] };
    let links = ns.run(|| Socket::open(libc::NETLINK_ROUTE)?.dump("list links", &request)).expect("a list");
    links.iter().filter_map(|link| link.body.get(16..)).any(|attrs| {
        attr::text(attrs, 3).as_deref() == Some(name)
            && attr::find(attrs, 16) == Some(&OPERATIONAL)
            && attr::text(attrs, 6).as_deref() != Some("noop")
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

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (2, address.octets().to_vec()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    }
}

/// Gives a link an address, at once usable.
///
/// # Panics
/// The text is no network, or the kernel refused.
pub fn address(ns: &Netns, name: &str, network: &str) {
    let network: IpNet = network.parse().expect("a network");
    let (family, bytes) = octets(network.addr());
    // Flag 2: no search for duplicates, which takes a second.
    let header = [&[family, network.prefix_len(), 2, 0][..], &index(ns, name).to_ne_bytes()].concat();
    let attrs = Attrs::new().bytes(2, &bytes).bytes(1, &bytes);
    ask(ns, "add an address", NEW_ADDRESS, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &header, &attrs);
}

/// Takes an address from a link.
///
/// # Panics
/// The text is no network, or the kernel refused.
pub fn remove_address(ns: &Netns, name: &str, network: &str) {
    let network: IpNet = network.parse().expect("a network");
    let (family, bytes) = octets(network.addr());
    let header = [&[family, network.prefix_len(), 0, 0][..], &index(ns, name).to_ne_bytes()].concat();
    ask(ns, "remove an address", REMOVE_ADDRESS, 0, &header, &Attrs::new().bytes(2, &bytes).bytes(1, &bytes));
}

/// Adds a route through a gateway.
///
/// # Panics
/// A text is no network or address, or the kernel refused.
pub fn route(ns: &Netns, to: &str, through: &str) {
    let to: IpNet = to.parse().expect("a network");
    let (family, destination) = octets(to.addr());
    let (_, gateway) = octets(through.parse().expect("an address"));
    // Table main, protocol static, scope universe, a unicast route.
    let header = [family, to.prefix_len(), 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    let attrs = Attrs::new().bytes(1, &destination).bytes(5, &gateway);
    ask(ns, "add a route", NEW_ROUTE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &header, &attrs);
}
