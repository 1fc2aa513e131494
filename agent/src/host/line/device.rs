//! The interfaces of this host, and making and removing those of ours (kind `ifb`).
//!
//! Changes no interface that is not ours by name, kind and group.

use crate::host::{
    netlink::{Attrs, NetlinkError, Reason, Request, Socket, attr, find, flag},
    nft::PREFIX,
};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const HEADER: usize = 16;
const NAME: u16 = 3;
const MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const ALIAS: u16 = 20;
const GROUP: u16 = 27;
const FAMILIES: u16 = 26;
const UP: u32 = 1;
const LOOPBACK: u32 = 8;
const ETHERNET: u16 = 1;
const KIND: &str = "ifb";
/// The group of our interfaces. Unlike an alias it is there from the first moment on.
const OURS: u32 = 0xfd00;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether its packets have Ethernet headers.
    pub ethernet: bool,
    /// Whether it is loopback.
    pub loopback: bool,
    /// Whether it is part of another one (a bridge's port, a bond's leg), which gets its packets.
    pub enslaved: bool,
    kind: Option<String>,
    group: u32,
}

impl Interface {
    /// Whether it is one of our lines.
    #[must_use]
    pub fn is_line(&self) -> bool {
        self.name.starts_with(PREFIX) && self.kind.as_deref() == Some(KIND) && self.group == OURS
    }
}

/// All interfaces of this network namespace.
///
/// # Errors
/// What the kernel said.
pub fn interfaces() -> Result<Vec<Interface>, NetlinkError> {
    let request = Request { kind: GET_LINK, flags: 0, body: vec![0; HEADER] };
    let links = Socket::open(libc::NETLINK_ROUTE)?.dump("list interfaces", &request)?;
    Ok(links.iter().filter_map(|link| read(&link.body)).collect())
}

fn read(body: &[u8]) -> Option<Interface> {
    let (header, attrs) = body.split_at_checked(HEADER)?;
    let hardware = u16::from_ne_bytes(header.get(2..4)?.try_into().ok()?);
    let flags = u32::from_ne_bytes(header.get(8..12)?.try_into().ok()?);
    Some(Interface {
        index: u32::from_ne_bytes(header.get(4..8)?.try_into().ok()?),
        name: attr::text(attrs, NAME)?,
        ethernet: hardware == ETHERNET,
        loopback: flags & LOOPBACK != 0,
        enslaved: find(attrs, MASTER).is_some(),
        kind: find(attrs, LINK_INFO).and_then(|info| attr::text(info, 1)),
        group: u32::from_ne_bytes(find(attrs, GROUP)?.try_into().ok()?),
    })
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
    match interfaces()?.into_iter().find(|one| one.name == name) {
        Some(one) if one.is_line() => {
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
