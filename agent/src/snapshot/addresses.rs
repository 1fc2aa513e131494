//! Addresses of interfaces, without their lifetimes. Numbers of attributes (`IFA_…`) and offsets are those of `linux/if_addr.h`.

use std::collections::BTreeMap;

use firedrill_netlink::attr;

use super::{
    mask::{Mask, canonical, hex},
    route_dump::{ADDRESSES, dump, name, names},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// The flags of an address that is still being checked for duplicates (tentative, optimistic). They are left out: they go away by
/// themselves.
const PASSING: u32 = 0x44;

/// Adds the addresses of all interfaces.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let names = names()?;
    for address in dump("addresses", ADDRESSES, &[0; 8])? {
        // The local address (2), or the address (1). On a point-to-point link the latter is the peer's.
        let local =
            attr::find(&address.attrs, 2).or_else(|| attr::find(&address.attrs, 1)).unwrap_or_default();
        let key = format!("addr:{} {}/{}", name(&names, address.u32(4)), ip(local), address.u8(1));
        let value = format!("scope {} {}", address.u8(3), canonical(&address.attrs, attribute));
        put(into, &key, value);
    }
    Ok(())
}

/// Drops the lifetimes (6), and the passing flags from the flags (8).
fn attribute(kind: u16) -> Mask {
    match kind {
        6 => Mask::Drop,
        8 => Mask::Text(|flags| {
            let flags = flags.try_into().map_or(0, u32::from_ne_bytes);
            format!("{:08x}", flags & !PASSING)
        }),
        _ => Mask::Keep,
    }
}

/// Formats an address of 4 or 16 bytes; other bytes as hexadecimal digits.
pub(super) fn ip(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        std::net::Ipv4Addr::from(four).to_string()
    } else if let Ok(sixteen) = <[u8; 16]>::try_from(bytes) {
        std::net::Ipv6Addr::from(sixteen).to_string()
    } else {
        hex(bytes)
    }
}
