//! Making and removing interfaces of ours (kind `ifb`).
//!
//! Changes no interface that is not ours by name, kind and group.

use crate::host::{
    link::{self, Link},
    netlink::{Attrs, NetlinkError, Reason, Request, Socket, flag},
    nft::PREFIX,
};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const HEADER: usize = 16;
const NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const ALIAS: u16 = 20;
const GROUP: u16 = 27;
const FAMILIES: u16 = 26;
const UP: u32 = 1;
const KIND: &str = "ifb";
/// The group of our interfaces. Unlike an alias it is there from the first moment on.
const OURS: u32 = 0xfd00;

/// Whether it is one of our lines.
#[must_use]
pub fn is_line(link: &Link) -> bool {
    link.name.starts_with(PREFIX) && link.kind == KIND && link.group == OURS
}

/// Makes an interface of ours, up; its index. One that is there already is ours or in the way.
pub(super) fn make(name: &str, alias: &str) -> Result<u32, NetlinkError> {
    let what = format!("make interface {name} ({KIND})");
    let attrs = Attrs::new().text(NAME, name).ne32(GROUP, OURS).nest(LINK_INFO, &Attrs::new().text(1, KIND));
    let made = request(&what, NEW_LINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, 0, 0, &attrs);
    match made {
        Err(error) if error.errno() != Some(libc::EEXIST) => return Err(error),
        _ => {}
    }
    match link::all()?.into_iter().find(|one| one.name == name) {
        Some(one) if is_line(&one) => {
            // No addresses of its own: nothing is to be sent from there. Where there is no IPv6 there are none anyway.
            let none = Attrs::new().nest(FAMILIES, &Attrs::new().nest(10, &Attrs::new().bytes(8, &[1])));
            match request(&format!("keep {name} without addresses"), NEW_LINK, 0, one.index, 0, &none) {
                Err(error) if error.errno() != Some(libc::EAFNOSUPPORT) => return Err(error),
                _ => {}
            }
            request(&format!("set {name} up"), NEW_LINK, 0, one.index, UP, &Attrs::new().text(ALIAS, alias))?;
            Ok(one.index)
        }
        Some(_) => {
            Err(NetlinkError { what, reason: Reason::Owned("another of that name is there".to_owned()) })
        }
        None => Err(NetlinkError { what, reason: Reason::Owned("it was removed at once".to_owned()) }),
    }
}

/// Removes an interface; that it is not there is success.
pub(super) fn remove(name: &str, index: u32) -> Result<(), NetlinkError> {
    let what = format!("remove interface {name}");
    match request(&what, DELETE_LINK, 0, index, 0, &Attrs::new()) {
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(()),
        other => other,
    }
}

fn request(
    what: &str,
    kind: u16,
    flags: libc::c_int,
    index: u32,
    up: u32,
    attrs: &Attrs,
) -> Result<(), NetlinkError> {
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&up.to_ne_bytes());
    header[12..16].copy_from_slice(&up.to_ne_bytes());
    let too_long = || NetlinkError { what: what.to_owned(), reason: Reason::TooLong("a name".to_owned()) };
    let body = attrs.after(&header).ok_or_else(too_long)?;
    Socket::open(libc::NETLINK_ROUTE)?.request(what, &Request { kind, flags: flag(flags), body })
}
