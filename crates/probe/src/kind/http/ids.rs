//! Ids of requests: UUIDs that no other request has. They say nothing about the run or the machine.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use http::HeaderValue;

/// Makes one id after another: a random part of 60 bits for each probe that is started, and a count.
#[derive(Debug)]
pub(super) struct Ids {
    random: u64,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { random: RandomState::new().hash_one(0), next: AtomicU64::new(0) }
    }
}

impl Ids {
    /// Returns the next id, as a UUID of version 8 (RFC 9562).
    pub(super) fn next(&self) -> HeaderValue {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let (random, low) = (self.random, count & 0xffff_ffff_ffff);
        let id = format!(
            "{:08x}-{:04x}-8{:03x}-8{:03x}-{low:012x}",
            random >> 32,
            random >> 16 & 0xffff,
            random >> 4 & 0xfff,
            count >> 48 & 0xfff
        );
        // Digits, letters and hyphens are the value of a header.
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from(count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_uuids_and_differ_within_a_probe_and_between_probes() {
        let probes = [Ids::default(), Ids::default()];
        let all: Vec<HeaderValue> = (0..100).flat_map(|_| probes.iter().map(Ids::next)).collect();
        let texts: BTreeSet<&str> = all.iter().map(|id| id.to_str().unwrap()).collect();
        assert_eq!(texts.len(), 200);
        for text in texts {
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{text}");
            assert!(text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{text}");
            assert_eq!((&text[14..15], &text[19..20]), ("8", "8"), "version and variant of {text}");
        }
    }
}
