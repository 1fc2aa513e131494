//! Makes and removes interfaces of kind `ifb`.
//!
//! [`make`] changes only interfaces of ours: name, kind and group must match. Callers of [`remove`] check [`is_our_ifb`] first.

use firedrill_netlink::{Attrs, NetlinkError, Reason, Socket, route};

use crate::{
    link::{self, Link},
    nft::PREFIX,
};

const KIND: &str = "ifb";
/// The attribute for the mode in which an interface generates its link-local address. libc does not define it.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// The mode that generates no link-local address. libc does not define it.
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
/// The address family `AF_INET6`, as the type of an attribute in `IFLA_AF_SPEC`.
const INET6: u16 = 10;
/// The group that marks an interface as ours. The request that creates the interface sets it, so no interface of ours is ever without it. The
/// alias is not the mark: only a second request can set it.
const OURS: u32 = 0xfd00;

/// Whether this tool has created the interface as an ifb.
#[must_use]
pub fn is_our_ifb(link: &Link) -> bool {
    link.name.starts_with(PREFIX) && link.kind == KIND && link.group == OURS
}

/// Creates an interface and brings it up; returns its index. Uses an existing interface of that name if it is ours, and fails
/// otherwise.
pub(super) fn make(name: &str, alias: &str) -> Result<u32, NetlinkError> {
    let what = format!("make interface {name} ({KIND})");
    let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
    let made = route::Link::named(name).group(OURS).of_kind(KIND, &Attrs::new()).create(&mut socket, &what);
    match made {
        Err(error) if error.errno() != Some(libc::EEXIST) => return Err(error),
        // An interface that existed is checked below.
        _ => {}
    }
    match link::all()?.into_iter().find(|one| one.name == name) {
        Some(one) if is_our_ifb(&one) => {
            let request = || route::Link::numbered(one.index);
            // Without an IPv6 address the kernel sends no traffic of its own over the interface.
            let mode = Attrs::new().bytes(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
            let families = Attrs::new().nest(INET6, &mode);
            let no_address = request().with(&Attrs::new().nest(libc::IFLA_AF_SPEC, &families));
            match no_address.change(&mut socket, &format!("keep {name} without addresses")) {
                // EAFNOSUPPORT: the host has no IPv6, so there is no address to prevent.
                Err(error) if error.errno() != Some(libc::EAFNOSUPPORT) => return Err(error),
                _ => {}
            }
            request().up(true).alias(alias).change(&mut socket, &format!("set {name} up"))?;
            Ok(one.index)
        }
        Some(_) => Err(NetlinkError {
            what,
            reason: Reason::Owned("another interface has that name and is not ours".to_owned()),
        }),
        None => Err(NetlinkError { what, reason: Reason::Owned("it was removed at once".to_owned()) }),
    }
}

/// Removes an interface by its index; `name` is for messages. Succeeds if the interface does not exist.
pub(super) fn remove(name: &str, index: u32) -> Result<(), NetlinkError> {
    let what = format!("remove interface {name}");
    route::Link::numbered(index).remove(&mut Socket::open(libc::NETLINK_ROUTE)?, &what)
}
