//! The lease of a run.

/// The facts about a run's lease on which decisions depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The end of the lease. At that moment it is over.
    pub until: u64,
    /// The number of renewals so far.
    pub renewals: u64,
    /// Whether it ended while an injection was open. Such a lease is never renewed.
    pub ended: bool,
}

impl Lease {
    /// Whether it is over, so that nothing may be in force under it.
    #[must_use]
    pub const fn is_over(&self, now: u64) -> bool {
        self.ended || now >= self.until
    }
}

/// The answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is renewed.
    Renewed,
    /// It comes too late, and nobody has ended the run yet: it must be ended now.
    Ends,
    /// The run has ended.
    Ended,
}

/// Decides about a renewal. `open` tells whether the run has anything that the lease has to end: without that, a lease
/// that has run out has ended nothing, and may begin again.
#[must_use]
pub const fn renewal(now: u64, lease: &Lease, open: bool) -> Renewal {
    if lease.ended {
        Renewal::Ended
    } else if open && lease.is_over(now) {
        Renewal::Ends
    } else {
        Renewal::Renewed
    }
}
