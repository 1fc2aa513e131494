//! Makes and removes interfaces of kind `ifb`.
//!
//! [`make`] never changes an interface that this tool has not made: name, kind and group must match. Callers of [`remove`] check
//! [`is_our_ifb`] first.

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
/// The group that marks an interface as made by this tool. The request that creates the interface sets the group, so none of them is ever
/// without it. The alias is no such mark, because only a second request can set it.
const OURS: u32 = 0xfd00;

/// Whether the interface is an ifb that this tool has made.
#[must_use]
pub fn is_our_ifb(link: &Link) -> bool {
    link.name.starts_with(PREFIX) && link.kind == KIND && link.group == OURS
}

/// Creates an ifb and sets it up. Returns its interface index. If an interface with this name exists, it is used if this tool has made it;
/// otherwise that is an error.
pub(super) fn make(name: &str, alias: &str) -> Result<u32, NetlinkError> {
    let what = format!("make interface {name} ({KIND})");
    let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
    let made = route::Link::named(name).group(OURS).of_kind(KIND, &Attrs::new()).create(&mut socket, &what);
    match made {
        Err(error) if error.errno() != Some(libc::EEXIST) => return Err(error),
        // An interface that existed already is checked below.
        _ => {}
    }
    match link::all()?.into_iter().find(|link| link.name == name) {
        Some(link) if is_our_ifb(&link) => {
            let request = || route::Link::numbered(link.index);
            // The interface gets no IPv6 address, so that the kernel sends no packets over it by itself.
            let mode = Attrs::new().bytes(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
            let families = Attrs::new().nest(INET6, &mode);
            let no_address = request().with(&Attrs::new().nest(libc::IFLA_AF_SPEC, &families));
            match no_address.change(&mut socket, &format!("keep {name} without addresses")) {
                // EAFNOSUPPORT: the host has no IPv6, so there is no address to prevent.
                Err(error) if error.errno() != Some(libc::EAFNOSUPPORT) => return Err(error),
                _ => {}
            }
            request().up(true).alias(alias).change(&mut socket, &format!("set {name} up"))?;
            Ok(link.index)
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
