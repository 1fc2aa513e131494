//! Makes and removes interfaces of kind `ifb`.
//!
//! Changes no interface that is not ours by name, kind and group.

use firedrill_netlink::{Attrs, NetlinkError, Reason, Socket, route};

use crate::{
    link::{self, Link},
    nft::PREFIX,
};

const KIND: &str = "ifb";
/// The attribute for the mode in which an interface generates its link-local address, and the mode that generates none;
/// libc lacks both.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
/// The address family `AF_INET6` as the type of an attribute.
const INET6: u16 = 10;
/// The group of our interfaces. Unlike an alias it is set by the request that makes the interface.
const OURS: u32 = 0xfd00;

/// Whether it is an ifb of ours.
#[must_use]
pub fn is_ifb(link: &Link) -> bool {
    link.name.starts_with(PREFIX) && link.kind == KIND && link.group == OURS
}

/// Makes an interface and sets it up; returns its index. An existing interface of that name is taken if it is ours, and is an
/// error otherwise.
pub(super) fn make(name: &str, alias: &str) -> Result<u32, NetlinkError> {
    let what = format!("make interface {name} ({KIND})");
    let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
    let made = route::Link::named(name).group(OURS).of_kind(KIND, &Attrs::new()).create(&mut socket, &what);
    match made {
        Err(error) if error.errno() != Some(libc::EEXIST) => return Err(error),
        _ => {}
    }
    match link::all()?.into_iter().find(|one| one.name == name) {
        Some(one) if is_ifb(&one) => {
            let ours = || route::Link::numbered(one.index);
            // No addresses, so that the kernel sends nothing over it. A host without IPv6 gives it none anyway.
            let mode = Attrs::new().bytes(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
            let families = Attrs::new().nest(INET6, &mode);
            let none = ours().with(&Attrs::new().nest(libc::IFLA_AF_SPEC, &families));
            match none.change(&mut socket, &format!("keep {name} without addresses")) {
                Err(error) if error.errno() != Some(libc::EAFNOSUPPORT) => return Err(error),
                _ => {}
            }
            ours().up(true).alias(alias).change(&mut socket, &format!("set {name} up"))?;
            Ok(one.index)
        }
        Some(_) => {
            Err(NetlinkError { what, reason: Reason::Owned("another of that name is there".to_owned()) })
        }
        None => Err(NetlinkError { what, reason: Reason::Owned("it was removed at once".to_owned()) }),
    }
}

/// Removes an interface. Absent is success.
pub(super) fn remove(name: &str, index: u32) -> Result<(), NetlinkError> {
    let what = format!("remove interface {name}");
    route::Link::numbered(index).remove(&mut Socket::open(libc::NETLINK_ROUTE)?, &what)
}
