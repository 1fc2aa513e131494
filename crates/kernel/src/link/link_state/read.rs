//! Reads rtnetlink's lists as entries: only the entries of some interfaces, without the parts that change by themselves. Changes nothing in
//! the kernel.

use std::collections::BTreeSet;

use firedrill_netlink::{Attrs, Message, attributes, find};
use firedrill_probe::clock::boot_us;

use super::entry::{Class, DEPRECATED, Entry, INET6, NEXTHOP_OBJECT, PERMANENT};
use crate::link::ne32;

/// The flag of a temporary IPv6 address.
const TEMPORARY: u32 = 1;
/// Flags of an address that the kernel sets by itself: duplicate address detection in progress or failed.
const OWN_FLAGS: u32 = 0x4c;
/// The flag of a route that the kernel copied from another route.
const CLONED: u32 = 0x200;
/// The flags of a next hop that users set: pervasive, on-link.
const ASKED: u32 = 6;

/// Reads a message as an entry; `None` if it belongs to another interface or must not be restored.
pub(super) fn entry(class: Class, message: &Message, indices: &BTreeSet<u32>) -> Option<Entry> {
    let (header, attrs) = message.body.split_at_checked(class.header())?;
    match class {
        Class::Address => address(header, attrs, indices),
        Class::Neighbour => neighbour(header, attrs, indices),
        Class::Route => route(header, attrs, indices),
    }
}

/// Returns the attributes of these kinds unchanged, without the others.
fn kept(attrs: &[u8], kinds: &[u16]) -> Attrs {
    attributes(attrs)
        .filter(|(kind, _)| kinds.contains(kind))
        .fold(Attrs::new(), |kept, (kind, value)| kept.bytes(kind, value))
}

/// Converts lifetimes in seconds to their ends by [`boot_us`].
fn ends(valid: u32, preferred: u32) -> (u64, u64) {
    let at = |seconds: u32| boot_us().saturating_add(u64::from(seconds) * 1_000_000);
    (at(valid), at(preferred))
}

fn address(header: &[u8], attrs: &[u8], indices: &BTreeSet<u32>) -> Option<Entry> {
    let flags = find(attrs, 8).and_then(|flags| ne32(flags, 0)).unwrap_or(u32::from(header[2]));
    // Temporary addresses are left out: the kernel makes new ones, with other host parts.
    if !indices.contains(&ne32(header, 4)?) || (header[0] == INET6 && flags & TEMPORARY != 0) {
        return None;
    }
    let permanent = flags & PERMANENT != 0;
    let flags = flags & !OWN_FLAGS & if permanent { u32::MAX } else { !DEPRECATED };
    let mut header = header.to_vec();
    header[2] = flags.to_le_bytes()[0];
    let ends_us =
        find(attrs, 6).filter(|_| !permanent).and_then(|life| Some(ends(ne32(life, 4)?, ne32(life, 0)?)));
    let body = kept(attrs, &[1, 2, 3, 4, 9, 11]).ne32(8, flags).after(&header)?;
    Some(Entry { class: Class::Address, body, ends_us })
}

fn neighbour(header: &[u8], attrs: &[u8], indices: &BTreeSet<u32>) -> Option<Entry> {
    const ALWAYS: u16 = 0x80;
    const PROXY: u8 = 8;
    let state = u16::from_ne_bytes(*header.get(8..)?.first_chunk()?);
    let ours = indices.contains(&ne32(header, 4)?) && matches!(header[0], 2 | INET6);
    let stays = state & ALWAYS != 0 || header[10] & PROXY != 0;
    let body = kept(attrs, &[1, 2, 12]).after(header)?;
    (ours && stays).then_some(Entry { class: Class::Neighbour, body, ends_us: None })
}

fn route(header: &[u8], attrs: &[u8], indices: &BTreeSet<u32>) -> Option<Entry> {
    const KEPT: [u16; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 18, 19, 20, 21, 22, NEXTHOP_OBJECT];
    let over = |value: &[u8]| ne32(value, 0).is_some_and(|index| indices.contains(&index));
    let hops = find(attrs, 9).map(next_hops).unwrap_or_default();
    let ours = find(attrs, 4).is_some_and(over) || hops.iter().any(|hop| hop.get(4..).is_some_and(over));
    let flags = ne32(header, 8)?;
    // Routes of other families (MPLS, multicast) are left out.
    if !ours || flags & CLONED != 0 || !matches!(header[0], 2 | INET6) {
        return None;
    }
    let header = [&header[..8], &(flags & ASKED).to_ne_bytes()].concat();
    let mut body = kept(attrs, &KEPT);
    if !hops.is_empty() {
        body = body.bytes(9, &hops.concat());
    }
    // The lifetime is a part of `rta_cacheinfo`, in hundredths of a second.
    let expires = find(attrs, 12).and_then(|figures| ne32(figures, 8)).filter(|left| *left != 0);
    let left =
        expires.and_then(|left| i32::try_from(left).ok()).and_then(|left| u32::try_from(left / 100).ok());
    Some(Entry {
        class: Class::Route,
        body: body.after(&header)?,
        ends_us: left.map(|left| ends(left, left)),
    })
}

/// Returns the next hops of a multipath route, each without the flags that the kernel sets.
fn next_hops(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut hops = Vec::new();
    while let Some(length) = bytes.first_chunk().map(|length| usize::from(u16::from_ne_bytes(*length))) {
        let Some(hop) = bytes.get(..length).filter(|_| length >= 8) else { break };
        let mut hop = hop.to_vec();
        hop[2] &= ASKED.to_le_bytes()[0];
        hop.resize(length.next_multiple_of(4), 0);
        hops.push(hop);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

#[cfg(test)]
mod tests {
    use super::super::entry::ROUTER;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_that_change_by_themselves_are_not_in_an_entry() {
        let indices = BTreeSet::from([7]);
        let header = |flags: u8| [INET6, 64, flags, 0, 7, 0, 0, 0];
        let life = |valid: u32| [valid, valid, 1, 2].map(u32::to_ne_bytes).concat();
        let make = |flags: u32, valid: u32| {
            let attrs =
                Attrs::new().bytes(1, &[0xfd; 16]).bytes(6, &life(valid)).ne32(8, flags).after(&[]).unwrap();
            address(&header(0), &attrs, &indices).unwrap()
        };
        let (tentative, settled) = (make(0xc0, u32::MAX), make(0x80, u32::MAX));
        assert_eq!(tentative, settled);
        assert_eq!(settled.ends_us, None, "a permanent address does not expire");
        let leased = make(0, 100);
        assert!(leased.ends_us.is_some_and(|(valid, _)| valid > boot_us()) && leased.patience() == ROUTER);
        assert_eq!(leased.key(), settled.key());
        let attrs = Attrs::new().bytes(1, &[0xfd; 16]).ne32(8, 1).after(&[]).unwrap();
        assert_eq!(address(&header(0), &attrs, &indices), None, "the address is temporary");
        assert_eq!(address(&header(0), &attrs, &BTreeSet::from([8])), None, "it is on another interface");
    }

    #[test]
    fn next_hops_lose_only_the_flags_that_the_kernel_sets() {
        let hop = |flags: u8, index: u8| [8, 0, flags, 1, index, 0, 0, 0];
        let dead = [hop(0x15, 7), hop(0, 8)].concat();
        assert_eq!(next_hops(&dead), [hop(4, 7).to_vec(), hop(0, 8).to_vec()]);
        assert_eq!(next_hops(&[1, 0, 0]), Vec::<Vec<u8>>::new());
    }

    proptest! {
        #[test]
        fn an_entry_is_read_back_from_the_journal_unchanged(body in proptest::collection::vec(any::<u8>(), 12..90), ends_us: Option<(u64, u64)>) {
            let entry = Entry { class: Class::Route, body, ends_us };
            let text = serde_json::to_string(&entry).unwrap();
            prop_assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        }

        #[test]
        fn garbage_never_panics(body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let indices: BTreeSet<u32> = (0..=u32::from(u8::MAX)).collect();
            for class in Class::ALL {
                if let Some(entry) = entry(class, &Message { kind: 0, body: body.clone() }, &indices) {
                    let _ = (entry.key(), entry.describe(), entry.patience(), entry.stays());
                }
            }
            let _ = next_hops(&body);
        }
    }
}
