//! The decisions about time in an injection's life: whether it may start, how long it holds, when its run's lease is over,
//! and by when its thread has to report.
//!
//! Pure functions of the time and of what is known of injection and run. They read no clock, take no lock and do nothing:
//! the supervisor acts, and tests try every time. All times are microseconds of the clock that counts through suspend
//! (CLOCK_BOOTTIME).

mod deadline;
mod hold;
mod lease;
mod start;

pub use self::{
    deadline::{called_off_by, deadline, is_over, made_by},
    hold::{Held, Holding, hold},
    lease::{Lease, Renewal, renewal},
    start::{Armed, Next, is_late, may_start},
};

#[cfg(test)]
mod tests;
