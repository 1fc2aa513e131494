//! Links (network interfaces): `struct ifinfomsg` and `IFLA_…`.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use libc::{
    IFLA_ADDRESS, IFLA_GROUP, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_NET_NS_FD, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK,
};

use super::{EXISTING, NEW, ask};
use crate::{Attrs, NetlinkError, Reason, Request, Socket};

/// The attribute of a `veth` link that describes the other end of the pair; libc lacks it.
const VETH_INFO_PEER: u16 = 1;
/// The flag of a link that is up.
const UP: u32 = libc::IFF_UP.cast_unsigned();
/// The length of `struct ifinfomsg`, in bytes.
const HEADER: usize = 16;

/// A link in a request: its identity, and the settings to make. A change leaves all other settings as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    index: u32,
    flags: u32,
    /// The mask of the flags that the request sets or clears.
    change: u32,
    attrs: Attrs,
}

impl Link {
    /// Identifies a link by its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { attrs: Attrs::new().text(IFLA_IFNAME, name), ..Self::default() }
    }

    /// Identifies a link by its index.
    #[must_use]
    pub fn numbered(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// Sets it up or down.
    #[must_use]
    pub fn up(self, up: bool) -> Self {
        let flags = if up { self.flags | UP } else { self.flags & !UP };
        Self { flags, change: self.change | UP, ..self }
    }

    /// Sets its hardware address.
    #[must_use]
    pub fn hardware_address(self, address: [u8; 6]) -> Self {
        Self { attrs: self.attrs.bytes(IFLA_ADDRESS, &address), ..self }
    }

    /// Makes it a port of the bridge or bond of that index.
    #[must_use]
    pub fn port_of(self, master: u32) -> Self {
        Self { attrs: self.attrs.ne32(IFLA_MASTER, master), ..self }
    }

    /// Puts it into the network namespace of that descriptor, which has to stay open until the request is sent.
    #[must_use]
    pub fn within(self, namespace: BorrowedFd<'_>) -> Self {
        let descriptor = namespace.as_raw_fd().cast_unsigned();
        Self { attrs: self.attrs.ne32(IFLA_NET_NS_FD, descriptor), ..self }
    }

    /// Puts it into the group of that number.
    #[must_use]
    pub fn group(self, group: u32) -> Self {
        Self { attrs: self.attrs.ne32(IFLA_GROUP, group), ..self }
    }

    /// Sets its alias, a text for people.
    #[must_use]
    pub fn alias(self, alias: &str) -> Self {
        Self { attrs: self.attrs.text(IFLA_IFALIAS, alias), ..self }
    }

    /// Sets its kind (`bridge`, `ifb`), with the attributes of that kind, which may be empty.
    #[must_use]
    pub fn of_kind(self, kind: &str, settings: &Attrs) -> Self {
        let mut info = Attrs::new().text(IFLA_INFO_KIND, kind);
        // Not `is_empty`, because an attribute that was too long has to cause an error.
        if *settings != Attrs::new() {
            info = info.nest(IFLA_INFO_DATA, settings);
        }
        Self { attrs: self.attrs.nest(IFLA_LINKINFO, &info), ..self }
    }

    /// Makes it one end of a `veth` pair. The other end is made with it.
    #[must_use]
    pub fn joined_to(self, peer: &Self) -> Self {
        let settings = Attrs::new().message(VETH_INFO_PEER, &peer.header(), &peer.attrs);
        self.of_kind("veth", &settings)
    }

    /// Adds attributes (`IFLA_…`) that have no method here.
    #[must_use]
    pub fn with(mut self, attrs: &Attrs) -> Self {
        self.attrs.extend(attrs);
        self
    }

    /// Creates the link.
    ///
    /// # Errors
    /// The kernel's error: `EEXIST` if the name is taken, `EOPNOTSUPP` if the kernel does not have the kind.
    pub fn create(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        ask(socket, what, (RTM_NEWLINK, NEW), &self.header(), &self.attrs)
    }

    /// Changes these settings of an existing link.
    ///
    /// # Errors
    /// The kernel's error: `ENODEV` if it does not exist.
    pub fn change(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        ask(socket, what, (RTM_NEWLINK, EXISTING), &self.header(), &self.attrs)
    }

    /// Removes it, and the other end of a `veth` pair. Absent is success.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn remove(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        match ask(socket, what, (RTM_DELLINK, EXISTING), &self.header(), &self.attrs) {
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(()),
            other => other,
        }
    }

    /// Returns its index.
    ///
    /// # Errors
    /// The kernel's error: `ENODEV` if it does not exist.
    pub fn find(&self, socket: &mut Socket, what: &str) -> Result<u32, NetlinkError> {
        let request = Request::new(what, RTM_GETLINK, EXISTING, &self.header(), &self.attrs)?;
        let answer = socket.get(what, &request)?;
        let index =
            answer.iter().find_map(|link| Some(u32::from_ne_bytes(*link.body.get(4..)?.first_chunk()?)));
        index.ok_or_else(|| {
            let reason = Reason::Nonsense("a link without an index".to_owned());
            NetlinkError { what: what.to_owned(), reason }
        })
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[4..8].copy_from_slice(&self.index.to_ne_bytes());
        header[8..12].copy_from_slice(&self.flags.to_ne_bytes());
        header[12..].copy_from_slice(&self.change.to_ne_bytes());
        header
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::{attr, find};

    #[test]
    fn a_veth_pair_is_one_request_with_both_ends() {
        let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
        let far = Link::named("eth0").hardware_address([2, 0, 0, 0, 0, 7]).within(namespace.as_fd());
        let near = Link::named("host7").port_of(3).up(true).joined_to(&far);
        // No index; the flag IFF_UP, and the mask with that flag.
        let up = libc::IFF_UP.to_ne_bytes();
        assert_eq!(near.header()[..], [&[0; 8][..], &up, &up].concat());
        let attrs = near.attrs.after(&[]).unwrap();
        assert_eq!(attr::text(&attrs, IFLA_IFNAME).as_deref(), Some("host7"));
        assert_eq!(find(&attrs, IFLA_MASTER), Some(&3_u32.to_ne_bytes()[..]));
        let info = find(&attrs, IFLA_LINKINFO).unwrap();
        assert_eq!(attr::text(info, IFLA_INFO_KIND).as_deref(), Some("veth"));
        let peer = find(find(info, IFLA_INFO_DATA).unwrap(), VETH_INFO_PEER).unwrap();
        let (header, attrs) = peer.split_at(HEADER);
        assert_eq!(header, [0; HEADER]);
        assert_eq!(attr::text(attrs, IFLA_IFNAME).as_deref(), Some("eth0"));
        assert_eq!(find(attrs, IFLA_ADDRESS), Some(&[2, 0, 0, 0, 0, 7][..]));
        assert_eq!(find(attrs, IFLA_NET_NS_FD), Some(&namespace.as_raw_fd().to_ne_bytes()[..]));
    }

    #[test]
    fn only_settings_that_were_made_are_sent() {
        let down = Link::numbered(7).up(true).up(false);
        let (index, up) = (7_u32.to_ne_bytes(), libc::IFF_UP.to_ne_bytes());
        assert_eq!(down.header()[..], [&[0; 4][..], &index, &[0; 4], &up].concat());
        assert!(down.attrs.is_empty());
        let bridge = Link::named("region0").of_kind("bridge", &Attrs::new());
        let attrs = bridge.attrs.after(&[]).unwrap();
        assert_eq!(find(find(&attrs, IFLA_LINKINFO).unwrap(), IFLA_INFO_DATA), None);
        let long = Link::named("region0").of_kind("bridge", &Attrs::new().bytes(1, &[0; 1 << 16]));
        assert_eq!(long.attrs.after(&[]), None);
    }
}
