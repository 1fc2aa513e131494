//! Messages of rtnetlink that make, change and remove links, addresses, routes and neighbours.
//!
//! Each is one request to a socket of `NETLINK_ROUTE`. It takes effect in the network namespace in which the socket was
//! opened, whatever namespace the calling thread is in. `what` names the attempt in errors and completes "could not".

mod address;
mod entry;
mod link;
mod neighbour;

use std::net::IpAddr;

pub use address::Address;
pub use entry::Route;
pub use link::Link;
pub use neighbour::Neighbour;

use crate::{Attrs, NetlinkError, Request, Socket};

/// Creates an object; `EEXIST` if it exists.
const NEW: libc::c_int = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
/// No flags: the object exists.
const EXISTING: libc::c_int = 0;

/// Returns the address family of an address, for headers.
#[must_use]
pub const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => byte(libc::AF_INET),
        IpAddr::V6(_) => byte(libc::AF_INET6),
    }
}

/// Returns the bytes of an address, for attributes.
#[must_use]
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Returns the length in bits of a prefix that contains one address.
#[must_use]
pub const fn host_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Converts an address family of libc, which is a `c_int`, to the byte that headers have.
const fn byte(number: libc::c_int) -> u8 {
    number.to_le_bytes()[0]
}

/// Sends a request of this type and with these flags, and waits for its acknowledgement.
fn ask(
    socket: &mut Socket,
    what: &str,
    (kind, flags): (u16, libc::c_int),
    header: &[u8],
    attrs: &Attrs,
) -> Result<(), NetlinkError> {
    socket.request(what, &Request::new(what, kind, flags, header, attrs)?)
}
