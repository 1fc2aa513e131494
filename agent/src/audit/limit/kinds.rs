//! The kinds of requests that were recorded, in one block of memory of fixed size.

use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::audit::record::{Outcome, Request};

/// Requests of one kind within this time after a record are not recorded.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// The same for renewals, which come again and again as long as a run lasts.
const WINDOW_OF_RENEWALS: Duration = Duration::from_secs(3600);
/// Maximum number of kinds in memory.
pub(super) const KINDS_MOST: usize = 224;

/// A kind: the digest of the caller's name, the operation, the run and the result ([`kind_of`]). A digest is shorter than
/// these texts, and hundreds of kinds are kept.
pub(super) type Kind = [u8; 16];

/// The last record of a kind, and the requests of this kind since then. Small, because hundreds are kept.
#[derive(Debug)]
pub(super) struct Seen {
    /// The time of the record.
    pub(super) since: Moment,
    /// Number of requests since the record that were not recorded.
    pub(super) more: u32,
    /// The number of the bucket that the recorded request took from.
    pub(super) bucket: u32,
    /// Whether the requests of this kind are refused.
    pub(super) refused: bool,
    /// Whether the requests of this kind are renewals, whose window is longer.
    pub(super) renewals: bool,
}

impl Seen {
    /// Whether the window of the record is over, so that the next request of this kind is recorded.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        let window = if self.renewals { WINDOW_OF_RENEWALS } else { WINDOW };
        now.since(self.since) >= window
    }
}

/// The recorded kinds, in one block of memory that is never enlarged. This is not a hash table, because a hash table from
/// which entries are removed may grow before it is full.
#[derive(Debug)]
pub(super) struct Kinds(Vec<(Kind, Seen)>);

impl Default for Kinds {
    fn default() -> Self {
        let seen = || Seen { since: Moment(0), more: 0, bucket: 0, refused: false, renewals: false };
        let mut kinds = Vec::with_capacity(KINDS_MOST);
        // All entries are written once, so that the kernel provides the whole block now, and not page by page while requests come.
        kinds.resize_with(KINDS_MOST, || (Kind::default(), seen()));
        kinds.clear();
        Self(kinds)
    }
}

impl Kinds {
    /// Whether there is no room for one more.
    pub(super) const fn is_full(&self) -> bool {
        self.0.len() >= KINDS_MOST
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get_mut(&mut self, kind: &Kind) -> Option<&mut Seen> {
        self.0.iter_mut().find(|(known, _)| known == kind).map(|(_, seen)| seen)
    }

    /// Notes a record of a kind, and returns the kind's record before it. A new kind needs room ([`Self::is_full`]).
    pub(super) fn insert(&mut self, kind: Kind, seen: Seen) -> Option<Seen> {
        match self.get_mut(&kind) {
            Some(known) => Some(std::mem::replace(known, seen)),
            None => {
                self.0.push((kind, seen));
                None
            }
        }
    }

    /// Removes the kinds whose window is over, or all kinds if no window is over. Returns their records.
    pub(super) fn forget(&mut self, now: Moment) -> Vec<Seen> {
        let some_are_over = self.0.iter().any(|(_, seen)| seen.is_over(now));
        let over = self.0.extract_if(.., |(_, seen)| !some_are_over || seen.is_over(now));
        over.map(|(_, seen)| seen).collect()
    }
}

/// Milliseconds since the limit was made. It takes 8 bytes; an `Instant` takes 16.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Returns the kind of a request. Accepted requests are of one kind if name, operation, run and detail are equal; refused
/// ones if name, operation and code are equal.
pub(super) fn kind_of(request: &Request) -> Kind {
    // The run of a refused request does not count, because the caller can invent another run for each request.
    let (run, result) = match request.outcome {
        Outcome::Accepted => (request.run.as_str(), &request.detail),
        Outcome::Refused => ("", &request.code),
    };
    let mut hash = Context::new(&SHA256);
    for part in [&request.who, &request.what, run, result] {
        hash.update(&part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut kind = Kind::default();
    kind.copy_from_slice(&hash.finish().as_ref()[..16]);
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stay_in_one_block() {
        let mut kinds = Kinds::default();
        let block = kinds.0.as_ptr();
        for n in 0..5000_u32 {
            let moment = Moment(u64::from(n) * 7000);
            if kinds.is_full() {
                let forgotten = kinds.forget(moment).len();
                assert!(forgotten > 0 && forgotten < KINDS_MOST, "{forgotten} removed; renewals stay longer");
            }
            let mut kind = Kind::default();
            kind[..4].copy_from_slice(&n.to_le_bytes());
            let seen = Seen { since: moment, more: n, bucket: 0, refused: false, renewals: n % 7 == 0 };
            assert!(kinds.insert(kind, seen).is_none());
            assert_eq!(kinds.get_mut(&kind).map(|seen| seen.more), Some(n));
        }
        assert_eq!((kinds.0.as_ptr(), kinds.0.capacity()), (block, KINDS_MOST));
    }
}
