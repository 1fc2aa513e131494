//! Ranges of addresses and ports, and single numbers, as elements of sets. Ranges are merged, because the kernel refuses overlapping ranges.
//! Only computes.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::expr::Family;

/// The length of a cgroup's id as a key, in bytes. No other kind of key has this length.
const NUMBER: usize = 8;

/// Ranges of big-endian keys of one length, merged and sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    /// First and last key of each range.
    ranges: Vec<(u128, u128)>,
    /// The length of a key, in bytes.
    width: usize,
}

impl Intervals {
    /// Merges ranges of keys of `width` bytes, ends included.
    fn merge(width: usize, mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged, width }
    }

    /// Makes ranges of ports, ends included.
    #[must_use]
    pub fn ports(ports: impl IntoIterator<Item = (u16, u16)>) -> Self {
        Self::merge(2, ports.into_iter().map(|(first, last)| (first.into(), last.into())).collect())
    }

    /// Makes ranges of networks, by family. A family without networks is left out.
    #[must_use]
    pub fn networks(networks: impl IntoIterator<Item = IpNet>) -> BTreeMap<Family, Self> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => {
                    v4.push((u32::from(network.network()).into(), u32::from(network.broadcast()).into()));
                }
                IpNet::V6(network) => {
                    v6.push((u128::from(network.network()), u128::from(network.broadcast())));
                }
            }
        }
        [(Family::V4, 4, v4), (Family::V6, 16, v6)]
            .into_iter()
            .filter(|(_, _, ranges)| !ranges.is_empty())
            .map(|(family, width, ranges)| (family, Self::merge(width, ranges)))
            .collect()
    }

    /// Makes single numbers, whose keys have 8 bytes in the machine's order.
    #[must_use]
    pub fn numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut ranges: Vec<_> = numbers
            .into_iter()
            .map(|number| u128::from(u64::from_be_bytes(number.to_ne_bytes())))
            .map(|number| (number, number))
            .collect();
        ranges.sort_unstable();
        ranges.dedup();
        Self { ranges, width: NUMBER }
    }

    /// Whether these are single numbers.
    #[must_use]
    pub fn are_numbers(&self) -> bool {
        self.width == NUMBER
    }

    /// Makes an empty set for addresses of a family.
    #[must_use]
    pub fn none_of(family: Family) -> Self {
        Self { ranges: Vec::new(), width: if family == Family::V4 { 4 } else { 16 } }
    }

    /// Returns the length of a key, in bytes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of ranges after merging.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are no ranges.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns for each range its first key and the key after its last key. The second is `None` if the range extends to the last possible key,
    /// and for single numbers.
    pub(super) fn keys(&self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        let largest = if self.width == 16 { u128::MAX } else { (1 << (8 * self.width)) - 1 };
        self.ranges.iter().map(move |&(first, last)| {
            let ends = last < largest && !self.are_numbers();
            (self.key(first), ends.then(|| self.key(last.saturating_add(1))))
        })
    }

    fn key(&self, key: u128) -> Vec<u8> {
        key.to_be_bytes()[16 - self.width..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_that_overlap_or_touch_become_one_range() {
        let networks = ["10.0.0.0/9", "10.128.0.0/9", "10.1.2.3/32", "::/0", "fd00::/8"];
        let merged = Intervals::networks(networks.map(|text| text.parse().expect("a network")));
        assert_eq!(merged[&Family::V4].ranges, [(0x0a00_0000, 0x0aff_ffff)]);
        assert_eq!(merged[&Family::V6].keys().collect::<Vec<_>>(), [(vec![0; 16], None)]);
    }

    #[test]
    fn the_range_with_the_last_port_has_no_key_after_it() {
        let ports = Intervals::ports([(65535, 65535), (1, 2)]);
        let keys: Vec<_> = ports.keys().collect();
        assert_eq!(keys, [(vec![0, 1], Some(vec![0, 3])), (vec![255, 255], None)]);
    }

    #[test]
    fn numbers_are_not_merged_and_are_in_the_machines_order() {
        let numbers = Intervals::numbers([0x1_0000_0002, 7, 6, 7]);
        let mut keys: Vec<_> = numbers.keys().collect();
        keys.sort();
        let mut wanted = [7_u64, 6, 0x1_0000_0002].map(|number| (number.to_ne_bytes().to_vec(), None));
        wanted.sort();
        assert_eq!(keys, wanted);
    }

    proptest! {
        #[test]
        fn merging_keeps_exactly_the_same_ports(
            ranges in proptest::collection::vec((any::<u16>(), 0_u16..300), 0..20),
            probe in any::<u16>(),
        ) {
            let ranges: Vec<_> = ranges.iter().map(|&(first, more)| (first, first.saturating_add(more))).collect();
            let merged = Intervals::ports(ranges.clone());
            for candidate in ranges.iter().flat_map(|r| [r.0, r.1, r.1.saturating_add(1)]).chain([probe]) {
                let inside = |ranges: &[(u128, u128)]| ranges.iter().any(|r| r.0 <= candidate.into() && u128::from(candidate) <= r.1);
                let before: Vec<_> = ranges.iter().map(|r| (r.0.into(), r.1.into())).collect();
                prop_assert_eq!(inside(&before), inside(&merged.ranges));
            }
            prop_assert!(merged.ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
