//! Addresses of links: `struct ifaddrmsg` and `IFA_…`.

use std::net::IpAddr;

use libc::{IFA_ADDRESS, IFA_F_NODAD, IFA_FLAGS, IFA_LOCAL, RTM_DELADDR, RTM_NEWADDR};

use super::{EXISTING, NEW, ask, family, octets};
use crate::{Attrs, NetlinkError, Socket};

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix, in bits.
    pub prefix: u8,
}

impl Address {
    /// Adds it to the link. It is usable at once: without duplicate address detection, which takes a second.
    ///
    /// # Errors
    /// The kernel's error: `EEXIST` if the link has it.
    pub fn add(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        let attrs = self.attrs().ne32(IFA_FLAGS, IFA_F_NODAD);
        ask(socket, what, (RTM_NEWADDR, NEW), &self.header(), &attrs)
    }

    /// Removes it from the link.
    ///
    /// # Errors
    /// The kernel's error: `EADDRNOTAVAIL` if the link does not have it.
    pub fn remove(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        ask(socket, what, (RTM_DELADDR, EXISTING), &self.header(), &self.attrs())
    }

    fn header(&self) -> [u8; 8] {
        let [a, b, c, d] = self.link.to_ne_bytes();
        [family(self.address), self.prefix, 0, 0, a, b, c, d]
    }

    /// Returns the attributes. The local address and that of the peer are the same, because the link has no peer.
    fn attrs(&self) -> Attrs {
        let bytes = octets(self.address);
        Attrs::new().bytes(IFA_LOCAL, &bytes).bytes(IFA_ADDRESS, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;

    #[test]
    fn an_address_is_local_and_its_own_peer() {
        let six = "fd00::7".parse().unwrap();
        let address = Address { link: 9, address: six, prefix: 64 };
        assert_eq!(address.header()[..], [&[10, 64, 0, 0][..], &9_u32.to_ne_bytes()].concat());
        let attrs = address.attrs().after(&[]).unwrap();
        for kind in [IFA_LOCAL, IFA_ADDRESS] {
            assert_eq!(find(&attrs, kind), Some(&octets(six)[..]));
        }
    }
}
