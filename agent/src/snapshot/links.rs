//! Network interfaces: their kinds, their flags (up or down), and their masters.

use std::collections::BTreeMap;

use firedrill_netlink::{attr, find};

use super::{
    mask::{Mask, parts},
    route_dump::{LINK_HEADER, LINKS, dump},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// The attribute of an interface whose other end is in another network namespace.
const PEER_ELSEWHERE: u16 = 37;
/// The flag of an interface that is set up.
const UP: u32 = 1;

pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    for link in dump("links", LINKS, &[0; LINK_HEADER])? {
        let name = attr::text(&link.attrs, 3).unwrap_or_default();
        let mask = if find(&link.attrs, PEER_ELSEWHERE).is_some() { paired } else { attribute };
        let mut parts = parts(&link.attrs, mask);
        if link.u32(8) & UP == 0 {
            // An interface that is down has no meaningful carrier; the kernel reports that of the lower interface.
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

/// The number of the other end has no meaning here, and changes whenever a host or a container restarts.
fn paired(kind: u16) -> Mask {
    if kind == 5 { Mask::Drop } else { attribute(kind) }
}

/// Statistics, and the number of carrier changes.
fn attribute(kind: u16) -> Mask {
    match kind {
        7 | 23 | 35 | 47 | 48 => Mask::Drop,
        18 => Mask::Nest(info),
        26 => Mask::Nest(family),
        _ => Mask::Keep,
    }
}

fn family(kind: u16) -> Mask {
    if kind == 10 { Mask::Nest(ip6) } else { Mask::Keep }
}

/// The progress of router discovery, statistics, and the time of the last change.
fn ip6(kind: u16) -> Mask {
    if matches!(kind, 1 | 3 | 5 | 6) { Mask::Drop } else { Mask::Keep }
}

fn info(kind: u16) -> Mask {
    match kind {
        2 => Mask::Nest(data),
        3 => Mask::Drop,
        5 => Mask::Nest(port),
        _ => Mask::Keep,
    }
}

/// A bridge's timers and tables. Other kinds lose these numbers too, which are rare settings there.
fn data(kind: u16) -> Mask {
    if matches!(kind, 16..=19 | 47 | 48) { Mask::Drop } else { Mask::Keep }
}

/// A bridge port's timers and group counts.
fn port(kind: u16) -> Mask {
    if matches!(kind, 21..=23 | 38 | 41) { Mask::Drop } else { Mask::Keep }
}
