//! The lease of a run: its state, and the decision about a renewal. All times are microseconds of the clock that counts
//! through suspend (CLOCK_BOOTTIME).

/// The facts about a run's lease on which decisions depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The end of the lease. At that moment it is over.
    pub until: u64,
    /// The number of renewals so far.
    pub renewals: u64,
    /// Whether the lease ended while an injection was open. Such a lease is never renewed.
    pub ended: bool,
}

impl Lease {
    /// Whether the lease is over, so that nothing may be in force under it.
    #[must_use]
    pub const fn is_over(&self, now: u64) -> bool {
        self.ended || now >= self.until
    }
}

/// The answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is renewed.
    Renewed,
    /// The renewal comes too late, and the run has not been ended yet: the caller must end it now.
    Ends,
    /// The run has ended already.
    Ended,
}

/// Decides about a renewal. `open` tells whether the run has an open injection, which the end of the lease ends. Without
/// one, a lease that has run out has ended nothing, so it may be renewed.
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
