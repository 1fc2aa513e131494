//! Numbers of writes between two times at which they were read back. Never judges.

use firedrill_wire::writes::Counts;

/// Numbers since the last time that the records were read back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    /// Writes that the store acknowledged.
    pub(crate) acked: u64,
    /// All writes, and records in the store that the write record lacks.
    pub(crate) writes: u64,
    /// Writes with an unknown outcome, and records in the store that the write record lacks.
    pub(crate) unknown: u64,
    /// Acknowledged writes that the store lacks.
    pub(crate) lost: u64,
    /// Acknowledged writes that it has more than once.
    pub(crate) duplicates: u64,
    /// Refused writes that it has.
    pub(crate) ghosts: u64,
    /// Acknowledged writes that it showed at the second look only.
    pub(crate) stale: u64,
    /// Acknowledged writes that it has with another value.
    pub(crate) altered: u64,
}

impl Since {
    /// Returns the differences of two counts of all writes so far.
    pub(crate) fn new(before: &Counts, now: &Counts) -> Self {
        Self {
            acked: now.acked.saturating_sub(before.acked),
            writes: (now.writes() + now.foreign).saturating_sub(before.writes() + before.foreign),
            unknown: (now.unknown() + now.foreign).saturating_sub(before.unknown() + before.foreign),
            // Of an answer that got lost the writes are not newly lost the next time, and are gone all the same.
            lost: now.newly_lost().max(now.gone().saturating_sub(before.gone())),
            duplicates: now.duplicate.saturating_sub(before.duplicate),
            ghosts: now.ghost.saturating_sub(before.ghost),
            stale: now.stale,
            altered: now.altered.saturating_sub(before.altered),
        }
    }
}
