//! Reads the filters of all queueing disciplines and classes. Leaves out values that change by themselves: counters, times, and indexes
//! that the kernel chooses.
//!
//! Offsets are those of `struct tcmsg`: interface 4, handle 8, parent 12, priority and protocol 16. Numbers of attributes are those of
//! `linux/rtnetlink.h` and `linux/pkt_cls.h`; each kind of filter and action numbers its options differently.

use std::collections::BTreeMap;

use firedrill_netlink::attr;

use super::{
    mask::{Mask, canonical, hex},
    qdiscs,
    route_dump::{CLASSES, FILTERS, dump, name, names},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// Parent handle of the filters for ingress on `ingress` and `clsact`.
const INGRESS: u32 = 0xffff_fff2;
/// Parent handle of the filters for egress on `clsact`.
const EGRESS: u32 = 0xffff_fff3;

/// Adds all filters of all interfaces.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let names = names()?;
    // An interface and a parent handle that may have filters.
    let mut places = Vec::new();
    for qdisc in qdiscs::all()? {
        let index = qdisc.u32(4);
        match attr::text(&qdisc.attrs, 1).as_deref() {
            Some("ingress" | "clsact") => places.extend([(index, INGRESS), (index, EGRESS)]),
            // A qdisc with the handle 0 (`noqueue`, or the default qdisc of an interface) cannot have filters.
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
                // An `ingress` qdisc answers the question about egress with its ingress filters.
                continue;
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
                Some("basic") => basic,
                Some("flower") => actions_in_3,
                Some("matchall") => actions_in_2,
                Some("bpf" | "cgroup") => actions_in_1,
                Some("fw") => actions_in_4,
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

/// Drops the hit counts (9), and formats the actions (7).
fn u32_filter(kind: u16) -> Mask {
    match kind {
        7 => Mask::Nest(actions),
        9 => Mask::Drop,
        _ => Mask::Keep,
    }
}

/// Formats the actions in option 1.
fn actions_in_1(kind: u16) -> Mask {
    if kind == 1 { Mask::Nest(actions) } else { Mask::Keep }
}

/// Formats the actions in option 2, and drops the hit counts (4).
fn actions_in_2(kind: u16) -> Mask {
    match kind {
        2 => Mask::Nest(actions),
        4 => Mask::Drop,
        _ => Mask::Keep,
    }
}

/// Formats the actions in option 3.
fn actions_in_3(kind: u16) -> Mask {
    if kind == 3 { Mask::Nest(actions) } else { Mask::Keep }
}

/// Drops the hit counts (5), and formats the actions (3).
fn basic(kind: u16) -> Mask {
    if kind == 5 { Mask::Drop } else { actions_in_3(kind) }
}

/// Formats the actions in option 4.
fn actions_in_4(kind: u16) -> Mask {
    if kind == 4 { Mask::Nest(actions) } else { Mask::Keep }
}

fn actions(_: u16) -> Mask {
    Mask::Text(action)
}

/// Formats one action. Its kind is attribute 1.
fn action(bytes: &[u8]) -> String {
    let mask = match attr::text(bytes, 1).as_deref() {
        Some("csum" | "nat" | "ct" | "connmark" | "ife") => parameters_first,
        Some("police") => police,
        Some("ctinfo") => ctinfo,
        _ => times_first,
    };
    format!("{{{}}}", canonical(bytes, mask))
}

/// Formats the options (2) of an action by `options`, and drops its index (3) and statistics (4).
fn of_action(kind: u16, options: fn(u16) -> Mask) -> Mask {
    match kind {
        2 => Mask::Nest(options),
        3 | 4 => Mask::Drop,
        _ => Mask::Keep,
    }
}

/// The mask of most kinds of actions: times are option 1, parameters option 2.
fn times_first(kind: u16) -> Mask {
    of_action(kind, |option| match option {
        1 => Mask::Drop,
        2 => Mask::Text(parameters),
        _ => Mask::Keep,
    })
}

/// The mask of kinds whose parameters are option 1, and times option 2.
fn parameters_first(kind: u16) -> Mask {
    of_action(kind, |option| match option {
        1 => Mask::Text(parameters),
        2 => Mask::Drop,
        _ => Mask::Keep,
    })
}

/// The mask of `ctinfo`: times are option 2, parameters option 3.
fn ctinfo(kind: u16) -> Mask {
    of_action(kind, |option| match option {
        2 => Mask::Drop,
        3 => Mask::Text(parameters),
        _ => Mask::Keep,
    })
}

/// The mask of `police`: parameters are option 1 (`struct tc_police`, without index, reference count and bind count), times option 6.
fn police(kind: u16) -> Mask {
    of_action(kind, |option| match option {
        1 => Mask::Text(|bytes| without(bytes, |at| matches!(at, 0..=3 | 44..=51))),
        6 => Mask::Drop,
        _ => Mask::Keep,
    })
}

/// Formats parameters that begin with the kernel's `tc_gen`: without index, reference count and bind count.
fn parameters(bytes: &[u8]) -> String {
    without(bytes, |at| matches!(at, 0..=3 | 12..=19))
}

/// Formats bytes, with zero for those whose offset is hidden.
fn without(bytes: &[u8], hidden: fn(usize) -> bool) -> String {
    let kept: Vec<u8> =
        bytes.iter().enumerate().map(|(at, byte)| if hidden(at) { 0 } else { *byte }).collect();
    hex(&kept)
}

#[cfg(test)]
mod tests {
    use firedrill_netlink::Attrs;

    use super::*;

    /// An action as the kernel reports it. `options` are the numbers of its parameters and its times. `seen` goes into everything that the
    /// kernel counts, `limit` into a parameter.
    fn reported(kind: &str, options: [u16; 2], seen: u32, limit: u32) -> String {
        let (length, counts) = if kind == "police" { (56, 44..52) } else { (20, 12..20) };
        let mut parameters = vec![7; length];
        parameters[0..4].copy_from_slice(&seen.to_ne_bytes());
        parameters[4..8].copy_from_slice(&limit.to_ne_bytes());
        parameters[counts].fill(u8::try_from(seen).unwrap());
        let [parameters_at, times_at] = options;
        let inner = Attrs::new().bytes(parameters_at, &parameters).be32(times_at, seen);
        let attrs = Attrs::new().text(1, kind).nest(2, &inner).be32(4, seen);
        action(&attrs.after(&[]).expect("short"))
    }

    #[test]
    fn new_counts_of_an_action_are_no_change_and_new_parameters_are() {
        for (kind, options) in [
            ("gact", [2, 1]),
            ("mirred", [2, 1]),
            ("csum", [1, 2]),
            ("nat", [1, 2]),
            ("police", [1, 6]),
            ("ctinfo", [3, 2]),
        ] {
            let before = reported(kind, options, 1, 100);
            assert_eq!(before, reported(kind, options, 2, 100), "{kind}");
            assert_ne!(before, reported(kind, options, 1, 101), "{kind}");
        }
    }
}
