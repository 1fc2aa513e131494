//! Neighbours, the kernel's cache of ARP and NDP: `struct ndmsg` and `NDA_…`.

use std::net::IpAddr;

use libc::{NDA_DST, NDA_LLADDR, NUD_PERMANENT, RTM_NEWNEIGH};

use super::{NEW, ask, family, octets};
use crate::{Attrs, NetlinkError, Socket};

/// The hardware address that an address has on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link's index.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// The hardware address of its owner.
    pub hardware_address: [u8; 6],
}

impl Neighbour {
    /// Adds it as a permanent entry: the kernel never resolves the address by ARP or NDP.
    ///
    /// # Errors
    /// The kernel's error: `EEXIST` if the link has an entry for the address.
    pub fn add(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        let attrs =
            Attrs::new().bytes(NDA_DST, &octets(self.address)).bytes(NDA_LLADDR, &self.hardware_address);
        ask(socket, what, (RTM_NEWNEIGH, NEW), &self.header(), &attrs)
    }

    fn header(&self) -> [u8; 12] {
        let mut header = [0; 12];
        header[0] = family(self.address);
        header[4..8].copy_from_slice(&self.link.to_ne_bytes());
        header[8..10].copy_from_slice(&NUD_PERMANENT.to_ne_bytes());
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_permanent() {
        let neighbour = Neighbour { link: 9, address: [10, 0, 0, 7].into(), hardware_address: [2; 6] };
        let state = 0x80_u16.to_ne_bytes();
        let header = [&[2, 0, 0, 0][..], &9_u32.to_ne_bytes(), &state, &[0, 0]].concat();
        assert_eq!(neighbour.header()[..], header);
    }
}
