//! Measurements of a probe: bins of one second, and the single requests in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The single requests of a [`Bin`]. Their due times follow from the first and the probe's schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// The number of the first request that was due in the bin, counted from 0 since the probe started.
    pub first: u64,
    /// The time at which it was due, in microseconds after the bin's start.
    pub first_us: u64,
    /// Two bits for each request in the order in which they were due, the first in the lowest bits: 1 good, 2 bad, 3
    /// slipped; base64. Empty where all were good.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcomes: String,
}

/// The measurements of a probe in one second at one vantage. Every request counts in the bin in which it was *due*.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Rises by one with each bin of this vantage and run; starts at 1.
    pub seq: u64,
    /// The probe's name.
    pub probe: String,
    /// The bin's start by the vantage's CLOCK_BOOTTIME, in microseconds.
    pub start_boot_us: u64,
    /// The boot that the clock belongs to.
    pub boot_id: String,
    /// Its length in microseconds.
    pub length_us: u64,
    /// Requests that were due.
    pub due: u64,
    /// Requests with a good answer in time.
    pub good: u64,
    /// Requests with a bad answer, or none, by cause (`timeout`, `refused`, `status 503`, `reset`, `dns`, `tls`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bad: BTreeMap<String, u64>,
    /// Requests that are neither good nor bad, by the vantage's own fault: it sent them later than its slip limit, or not at all, or
    /// it stood still meanwhile and could not time them.
    #[serde(default)]
    pub slipped: u64,
    /// The latest start against the schedule, in microseconds.
    #[serde(default)]
    pub worst_slip_us: u64,
    /// Delays of the requests' starts against the schedule: an HdrHistogram (V2, base64) in microseconds. Empty where none was
    /// later than a millisecond.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lateness: String,
    /// The requests by themselves; absent where none was due, and in bins of probers that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    /// The time at which the first bad request was due, in microseconds after the bin's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_us: Option<u64>,
    /// The time at which the last bad request was due, in microseconds after the bin's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_bad_us: Option<u64>,
    /// Latencies of all good requests from when they were sent, in microseconds: an HDR histogram in its
    /// serialization V2, not compressed, in base64, with 3 significant digits. Empty where there were none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub latency: String,
    /// Sum over good requests, in microseconds, of each phase of the request (`resolve`, `connect`, `tls`, `first_byte`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, u64>,
}

impl Bin {
    /// Returns the number of requests with a bad answer or none.
    #[must_use]
    pub fn bad_total(&self) -> u64 {
        self.bad.values().sum()
    }
}
