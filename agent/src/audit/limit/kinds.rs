//! The kinds of requests that were recorded, in one block of memory.

use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::audit::record::{Outcome, Request};

/// Requests of one kind within this time are recorded once.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// The same for renewals, which come for as long as a run lasts.
const WINDOW_OF_RENEWALS: Duration = Duration::from_secs(3600);
/// Maximum number of kinds in memory.
pub(super) const KINDS_MOST: usize = 224;

/// The digest of name, request, run and result; requests that agree in all of them are of one kind. A digest, because
/// hundreds of kinds are kept.
pub(super) type Kind = [u8; 16];

/// Small, because hundreds are kept.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) since: Moment,
    /// Number of requests that were counted only.
    pub(super) more: u32,
    /// The number of the bucket that the recorded request took from.
    pub(super) bucket: u32,
    /// Whether the request was refused.
    pub(super) refused: bool,
    /// Whether they are renewals, whose window is longer.
    pub(super) renewals: bool,
}

impl Seen {
    pub(super) fn is_over(&self, now: Moment) -> bool {
        let window = if self.renewals { WINDOW_OF_RENEWALS } else { WINDOW };
        now.since(self.since) >= window
    }
}

/// The kinds that were seen, in one block of memory, which is never enlarged. No hash table: one from which entries are
/// removed is doubled before it is full.
#[derive(Debug)]
pub(super) struct Kinds(Vec<(Kind, Seen)>);

impl Default for Kinds {
    fn default() -> Self {
        let seen = || Seen { since: Moment(0), more: 0, bucket: 0, refused: false, renewals: false };
        let mut kinds = Vec::with_capacity(KINDS_MOST);
        // Written once, so that the whole block takes memory from the start, not more with each request.
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

    /// Notes a kind, and returns what was noted of it before. A new one needs room.
    pub(super) fn insert(&mut self, kind: Kind, seen: Seen) -> Option<Seen> {
        match self.get_mut(&kind) {
            Some(known) => Some(std::mem::replace(known, seen)),
            None => {
                self.0.push((kind, seen));
                None
            }
        }
    }

    /// Removes the kinds whose window is over, or all if there are none.
    pub(super) fn forget(&mut self, now: Moment) -> Vec<Seen> {
        let some_are_over = self.0.iter().any(|(_, seen)| seen.is_over(now));
        let over = self.0.extract_if(.., |(_, seen)| !some_are_over || seen.is_over(now));
        over.map(|(_, seen)| seen).collect()
    }
}

/// Milliseconds since the limit was made, as small as what is kept by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Returns the kind of a request.
pub(super) fn kind_of(request: &Request) -> Kind {
    // A caller who is refused can make up a run for each request.
    let run = if request.outcome == Outcome::Accepted { request.run.as_str() } else { "" };
    let outcome = match request.outcome {
        Outcome::Accepted => &request.detail,
        Outcome::Refused => &request.code,
    };
    let mut hash = Context::new(&SHA256);
    for part in [&request.who, &request.what, run, outcome] {
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
                assert!(forgotten > 0 && forgotten < KINDS_MOST, "{forgotten}: renewals stay longer");
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
