//! Network interfaces: their kinds, their flags (up or down), and their masters.
//!
//! Offsets are those of `struct ifinfomsg`: type 2, index 4, flags 8. Numbers of attributes (`IFLA_…`) are those of `linux/if_link.h`.

use std::collections::BTreeMap;

use firedrill_netlink::{attr, find};

use super::{
    mask::{Mask, parts},
    route_dump::{LINK_HEADER, LINKS, dump},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// The attribute of an interface whose other end is in another network namespace (`IFLA_LINK_NETNSID`).
const PEER_ELSEWHERE: u16 = 37;
/// The flag of an interface that is set up.
const UP: u32 = 1;

/// Adds all interfaces.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    for link in dump("links", LINKS, &[0; LINK_HEADER])? {
        let name = attr::text(&link.attrs, 3).unwrap_or_default();
        let mask = if find(&link.attrs, PEER_ELSEWHERE).is_some() { paired } else { attribute };
        let mut parts = parts(&link.attrs, mask);
        if link.u32(8) & UP == 0 {
            // The carrier (33) of an interface that is down has no meaning: the kernel reports that of the lower interface.
            parts.retain(|part| !part.starts_with("33="));
        }
        let value = format!(
            "index {} type {} flags {:08x}\n{}",
            link.u32(4),
            u16::from_ne_bytes([link.u8(2), link.u8(3)]),
            link.u32(8),
            parts.join("\n")
        );
        put(into, &format!("link:{name}"), value);
    }
    Ok(())
}

/// Also drops the index of the other end (5): it has no meaning in this namespace, and changes when the other host or container restarts.
fn paired(kind: u16) -> Mask {
    if kind == 5 { Mask::Drop } else { attribute(kind) }
}

/// Drops the statistics (7, 23) and the numbers of changes of the carrier (35, 47, 48).
fn attribute(kind: u16) -> Mask {
    match kind {
        7 | 23 | 35 | 47 | 48 => Mask::Drop,
        18 => Mask::Nest(info),
        26 => Mask::Nest(family),
        _ => Mask::Keep,
    }
}

/// The part of each address family. IPv6 has the number 10.
fn family(kind: u16) -> Mask {
    if kind == 10 { Mask::Nest(ip6) } else { Mask::Keep }
}

/// Drops the flags of router discovery (1), the statistics (3, 6), and the time of the last change (5).
fn ip6(kind: u16) -> Mask {
    if matches!(kind, 1 | 3 | 5 | 6) { Mask::Drop } else { Mask::Keep }
}

/// The part of each kind of interface: its data (2), the data of a port (5). Drops the statistics (3).
fn info(kind: u16) -> Mask {
    match kind {
        2 => Mask::Nest(data),
        3 => Mask::Drop,
        5 => Mask::Nest(port),
        _ => Mask::Keep,
    }
}

/// Drops a bridge's timers and the sizes of its tables. For other kinds these numbers are rare settings, which are dropped too.
fn data(kind: u16) -> Mask {
    if matches!(kind, 16..=19 | 47 | 48) { Mask::Drop } else { Mask::Keep }
}

/// Drops a bridge port's timers and group counts.
fn port(kind: u16) -> Mask {
    if matches!(kind, 21..=23 | 38 | 41) { Mask::Drop } else { Mask::Keep }
}
