//! Filters of queueing disciplines and classes, without the statistics of their actions.

use std::collections::BTreeMap;

use firedrill_netlink::attr;

use super::{
    mask::{Mask, canonical, hex},
    qdiscs,
    route_dump::{CLASSES, FILTERS, dump, name, names},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// The parents of the filters of `ingress` and `clsact`.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let names = names()?;
    let mut places = Vec::new();
    for qdisc in qdiscs::all()? {
        let index = qdisc.u32(4);
        match attr::text(&qdisc.attrs, 1).as_deref() {
            Some("ingress" | "clsact") => places.extend([(index, INGRESS), (index, EGRESS)]),
            // A qdisc without a handle (noqueue, the default) cannot have filters.
            _ if qdisc.u32(8) == 0 => {}
            _ => places.push((index, qdisc.u32(8))),
        }
    }
    for index in names.keys() {
        let classes = dump("classes", CLASSES, &qdiscs::header(*index, 0))?;
        places.extend(classes.iter().map(|class| (*index, class.u32(8))));
    }
    places.sort_unstable();
    places.dedup();
    for (index, parent) in places {
        for filter in dump("filters", FILTERS, &qdiscs::header(index, parent))? {
            if filter.u32(12) != parent {
                continue; // an egress question to an ingress qdisc is answered as if it were about ingress
            }
            let info = filter.u32(16);
            let key = format!(
                "filter:{} {} priority {} {:x}",
                name(&names, index),
                qdiscs::handle(parent),
                info >> 16,
                filter.u32(8)
            );
            let options = match attr::text(&filter.attrs, 1).as_deref() {
                Some("u32") => u32_filter,
                Some("basic" | "flower") => act_3,
                Some("matchall") => act_2,
                Some("bpf" | "cgroup") => act_1,
                Some("fw") => act_4,
                _ => super::mask::keep,
            };
            let value = format!(
                "protocol {:04x} {}\n{}",
                info & 0xffff,
                canonical(&filter.attrs, |kind| if kind == 2 { Mask::Drop } else { Mask::Keep }),
                canonical(attr::find(&filter.attrs, 2).unwrap_or_default(), options)
            );
            put(into, &key, value);
        }
    }
    Ok(())
}

/// Hit counts, and actions.
fn u32_filter(kind: u16) -> Mask {
    match kind {
        7 => Mask::Nest(actions),
        9 => Mask::Drop,
        _ => Mask::Keep,
    }
}

fn act_1(kind: u16) -> Mask {
    if kind == 1 { Mask::Nest(actions) } else { Mask::Keep }
}

fn act_2(kind: u16) -> Mask {
    match kind {
        2 => Mask::Nest(actions),
        4 => Mask::Drop,
        _ => Mask::Keep,
    }
}

fn act_3(kind: u16) -> Mask {
    if kind == 3 { Mask::Nest(actions) } else { Mask::Keep }
}

fn act_4(kind: u16) -> Mask {
    if kind == 4 { Mask::Nest(actions) } else { Mask::Keep }
}

fn actions(_: u16) -> Mask {
    Mask::Nest(action)
}

/// Statistics; the kernel chooses the index.
fn action(kind: u16) -> Mask {
    match kind {
        2 => Mask::Nest(action_options),
        3 | 4 => Mask::Drop,
        _ => Mask::Keep,
    }
}

/// Times; and of the parameters the index, reference count and bind count, which are in the first 20 bytes of all
/// common kinds except `police`.
fn action_options(kind: u16) -> Mask {
    match kind {
        1 => Mask::Drop,
        2 => Mask::Text(|parameters| {
            let mut parameters = parameters.to_vec();
            for (position, byte) in parameters.iter_mut().enumerate() {
                if matches!(position, 0..=3 | 12..=19) {
                    *byte = 0;
                }
            }
            hex(&parameters)
        }),
        _ => Mask::Keep,
    }
}
