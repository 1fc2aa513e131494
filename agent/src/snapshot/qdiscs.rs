//! Queueing disciplines and their classes, without statistics and reference counts.
//!
//! Offsets are those of `struct tcmsg`: interface 4, handle 8, parent 12, leaf 16. Numbers of attributes (`TCA_…`) are those of
//! `linux/rtnetlink.h`: kind 1, options 2.

use std::collections::BTreeMap;

use firedrill_netlink::attr;

use super::{
    mask::{Mask, canonical, hex},
    route_dump::{CLASSES, QDISCS, Seen, TC_HEADER, dump, name, names},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// The first major number of handles that the kernel assigns by itself, in no fixed order.
const FIRST_AUTOMATIC: u32 = 0x8000;
/// The kinds of queueing disciplines whose classes are flows, which come and go with packets.
const FLOWS: [&str; 5] = ["fq_codel", "sfq", "fq", "cake", "fq_pie"];

/// Adds all queueing disciplines and classes.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let names = names()?;
    for qdisc in all()? {
        let key = format!("qdisc:{} {}", name(&names, qdisc.u32(4)), handle(qdisc.u32(12)));
        let mask = if attr::text(&qdisc.attrs, 1).as_deref() == Some("htb") { htb } else { attribute };
        put(into, &key, format!("handle {} {}", handle(qdisc.u32(8)), canonical(&qdisc.attrs, mask)));
    }
    for index in names.keys() {
        for class in dump("classes", CLASSES, &header(*index, 0))? {
            if attr::text(&class.attrs, 1).is_some_and(|kind| FLOWS.contains(&kind.as_str())) {
                continue;
            }
            let key = format!("class:{} {}", name(&names, *index), handle(class.u32(8)));
            let value = format!(
                "parent {} leaf {} {}",
                handle(class.u32(12)),
                handle(class.u32(16)),
                canonical(&class.attrs, attribute)
            );
            put(into, &key, value);
        }
    }
    Ok(())
}

/// Returns the interface and kind of each queueing discipline.
///
/// # Errors
/// The kernel could not list them.
pub(crate) fn kinds() -> Result<Vec<(String, String)>, SnapshotError> {
    let names = names()?;
    let kind = |qdisc: &Seen| attr::text(&qdisc.attrs, 1).unwrap_or_default();
    Ok(all()?.iter().map(|qdisc| (name(&names, qdisc.u32(4)), kind(qdisc))).collect())
}

/// Returns all queueing disciplines.
pub(super) fn all() -> Result<Vec<Seen>, SnapshotError> {
    dump("queueing disciplines", QDISCS, &[0; TC_HEADER])
}

/// Returns the header of a request for the qdiscs of an interface and a parent.
pub(super) fn header(index: u32, parent: u32) -> [u8; TC_HEADER] {
    let mut header = [0; TC_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.to_ne_bytes());
    header
}

/// Formats a handle. The major number is left out if the kernel assigned it by itself: then it does not identify the object.
pub(super) fn handle(handle: u32) -> String {
    let (major, minor) = (handle >> 16, handle & 0xffff);
    match handle {
        u32::MAX => "root".to_owned(),
        0xffff_fff1 => "ingress".to_owned(),
        _ if (FIRST_AUTOMATIC..0xffff).contains(&major) => format!("auto:{minor:x}"),
        _ => format!("{major:x}:{minor:x}"),
    }
}

/// Drops the last of the five numbers in htb's parameters (option 2): it counts packets that were sent directly.
fn htb(kind: u16) -> Mask {
    fn options(kind: u16) -> Mask {
        if kind == 2 { Mask::Text(|numbers| hex(numbers.get(..16).unwrap_or(numbers))) } else { Mask::Keep }
    }
    if kind == 2 { Mask::Nest(options) } else { attribute(kind) }
}

/// Drops the statistics.
fn attribute(kind: u16) -> Mask {
    if matches!(kind, 3 | 4 | 7) { Mask::Drop } else { Mask::Keep }
}
