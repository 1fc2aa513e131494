//! Routes of all tables, IPv4 and IPv6, without the kernel's own copies of them.
//!
//! Offsets are those of `struct rtmsg`. Numbers of attributes (`RTA_…`) are those of `linux/rtnetlink.h`: destination 1, interface 4,
//! table 15.

use std::collections::BTreeMap;

use firedrill_netlink::attr;

use super::{
    addresses::ip,
    mask::{Mask, canonical},
    route_dump::{ROUTES, dump, name, names},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// The flag of the kernel's own copies.
const CLONED: u32 = 0x200;

/// Adds all routes.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let names = names()?;
    for (family, label) in [(libc::AF_INET, "ip"), (libc::AF_INET6, "ip6")] {
        let mut header = [0; 12];
        header[0] = u8::try_from(family).unwrap_or(0);
        for route in dump("routes", ROUTES, &header)? {
            if route.u32(8) & CLONED != 0 {
                continue;
            }
            let to = attr::find(&route.attrs, 1).map_or_else(|| "default".to_owned(), ip);
            let table = attr::find(&route.attrs, 15)
                .and_then(|four| four.try_into().ok())
                .map_or(u32::from(route.u8(4)), u32::from_ne_bytes);
            let mut key = format!("route:{label} table {table} {to}/{}", route.u8(1));
            if let Some(index) =
                attr::find(&route.attrs, 1).filter(|to| is_of_link(to)).and(attr::find(&route.attrs, 4))
            {
                // Each interface has its own route to such a destination. Their order in the list has no meaning, so the
                // interface is a part of the key.
                let index = index.try_into().map_or(0, u32::from_ne_bytes);
                key = format!("{key} {}", name(&names, index));
            }
            let value = format!(
                "source-length {} tos {} protocol {} scope {} type {} flags {:x} {}",
                route.u8(2),
                route.u8(3),
                route.u8(5),
                route.u8(6),
                route.u8(7),
                route.u32(8),
                canonical(&route.attrs, attribute)
            );
            put(into, &key, value);
        }
    }
    Ok(())
}

/// Whether an IPv6 destination is valid on one link only: link-local and multicast.
fn is_of_link(to: &[u8]) -> bool {
    matches!(to, [0xfe, 0x80..=0xbf, ..] | [0xff, _, ..]) && to.len() == 16
}

/// Drops the use count and age (12), and the remaining lifetime (23).
fn attribute(kind: u16) -> Mask {
    if matches!(kind, 12 | 23) { Mask::Drop } else { Mask::Keep }
}
