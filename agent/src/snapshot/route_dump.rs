//! Lists objects of rtnetlink, each split into its header and its attributes, and the names of interfaces. Never changes an object.

use std::collections::BTreeMap;

use firedrill_netlink::{NetlinkError, Reason, Request, Socket, attr};

use super::seen::SnapshotError;

// Types of requests for lists (`RTM_GET…`).
pub(super) const LINKS: u16 = 18;
pub(super) const ADDRESSES: u16 = 22;
pub(super) const ROUTES: u16 = 26;
pub(super) const RULES: u16 = 34;
pub(super) const QDISCS: u16 = 38;
pub(super) const CLASSES: u16 = 42;
pub(super) const FILTERS: u16 = 46;

/// Length of `struct ifinfomsg`, in bytes.
pub(super) const LINK_HEADER: usize = 16;
/// Length of `struct tcmsg`, in bytes.
pub(super) const TC_HEADER: usize = 20;

/// One listed object.
pub(super) struct Seen {
    pub(super) header: Vec<u8>,
    pub(super) attrs: Vec<u8>,
}

impl Seen {
    /// Returns the byte of the header at an offset; 0 if the header is shorter.
    pub(super) fn u8(&self, at: usize) -> u8 {
        self.header.get(at).copied().unwrap_or(0)
    }

    /// Returns the number of four bytes in the header at an offset; 0 if the header is shorter.
    pub(super) fn u32(&self, at: usize) -> u32 {
        self.header.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }
}

/// Lists the objects that a header asks for; none if the kernel does not know this type of request. `what` names them in errors.
pub(super) fn dump(what: &str, kind: u16, header: &[u8]) -> Result<Vec<Seen>, SnapshotError> {
    let request = Request { kind, flags: 0, body: header.to_vec() };
    let listed = match Socket::open(libc::NETLINK_ROUTE)?.dump(&format!("list {what}"), &request) {
        Err(NetlinkError { reason: Reason::Refused { errno: libc::EOPNOTSUPP, .. }, .. }) => Vec::new(),
        other => other?,
    };
    Ok(listed
        .into_iter()
        .filter(|message| message.body.len() >= header.len())
        .map(|mut message| {
            let attrs = message.body.split_off(header.len());
            Seen { header: message.body, attrs }
        })
        .collect())
}

/// Returns the names of all interfaces by index.
pub(super) fn names() -> Result<BTreeMap<u32, String>, SnapshotError> {
    let links = dump("links", LINKS, &[0; LINK_HEADER])?;
    Ok(links.iter().map(|link| (link.u32(4), attr::text(&link.attrs, 3).unwrap_or_default())).collect())
}

/// Returns an interface's name, or its number if it is gone.
pub(super) fn name(names: &BTreeMap<u32, String>, index: u32) -> String {
    names.get(&index).cloned().unwrap_or_else(|| format!("index-{index}"))
}
