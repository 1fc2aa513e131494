//! Seconds as the log keeps them: the part of a [`Bin`] that judging needs, without repetition.
//!
//! Outcomes of requests are kept as runs, so that they take space only where the outcome changes; latencies are kept in cells
//! ([`crate::cells`]). Readers of a log get its bins in this form, whether they were written as bins or as blocks
//! ([`encode`]), and judge both alike.

mod block;
mod bytes;

use std::collections::BTreeMap;

use firedrill_wire::probe::Bin;

pub use block::{BINS_MOST, BlockError, decode, encode};

use crate::{
    bin::{self, ON_TIME_US},
    cells::Grid,
    requests::{MOST, Outcome, Pace, requests},
    schedule,
};

/// The measurements of a probe in one second at one vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Second {
    /// Its start on the run's clock, in microseconds.
    pub start_us: i64,
    /// Its start by the vantage's CLOCK_BOOTTIME, in microseconds.
    pub start_boot_us: u64,
    /// Its length in microseconds.
    pub length_us: u64,
    /// Requests that were due.
    pub due: u64,
    /// Requests with a good answer in time.
    pub good: u64,
    /// Requests with a bad answer or none.
    pub bad: u64,
    /// The bad ones by cause.
    pub causes: BTreeMap<String, u64>,
    /// Requests that the vantage itself lost.
    pub slipped: u64,
    /// The time at which the first bad request was due, in microseconds after the start.
    pub first_bad_us: Option<u64>,
    /// The time at which the last bad request was due, in microseconds after the start.
    pub last_bad_us: Option<u64>,
    /// The single requests; `None` where the bin did not have them, or contradicted itself or its pace.
    pub single: Option<Single>,
    /// The cells of the good requests' latencies, sorted; `None` where they cannot be read, or are not as many as the good requests.
    pub latencies: Option<Vec<u16>>,
    /// The delays of the requests' starts.
    pub lateness: Lateness,
}

/// The single requests of a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Single {
    /// The number of the first one.
    pub first: u64,
    /// The time at which it was due, in microseconds after the second's start.
    pub first_us: u64,
    /// Their outcomes in the order in which they were due, as runs of one outcome. Empty if all were good.
    pub ends: Vec<(Outcome, u32)>,
}

/// The delays with which the requests of a second started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lateness {
    /// No request started later than a millisecond.
    #[default]
    OnTime,
    /// Some requests started later than that.
    Late {
        /// Requests that started.
        started: u64,
        /// The cells of the delays above a millisecond, sorted, on the scale without other ends.
        cells: Vec<u16>,
    },
    /// The delays of the bin cannot be read.
    Unreadable,
}

impl Second {
    /// Returns the part of a bin that judging needs. The bin began at `start_us` on the run's clock; its latencies are put on
    /// the scale `grid`. `pace` is that of its probe at its vantage; without it single requests have no times.
    #[must_use]
    pub fn of(bin: &Bin, start_us: i64, grid: &Grid, pace: Option<Pace>) -> Self {
        let bad = bin.bad.values().fold(0, |sum, count| u64::saturating_add(sum, *count));
        Self {
            start_us,
            start_boot_us: bin.start_boot_us,
            length_us: bin.length_us,
            due: bin.due,
            good: bin.good,
            bad,
            causes: if bad > 0 { bin.bad.clone() } else { BTreeMap::new() },
            slipped: bin.slipped,
            first_bad_us: bin.first_bad_us.filter(|_| bad > 0),
            last_bad_us: bin.last_bad_us.filter(|_| bad > 0),
            single: pace.and_then(|pace| Single::of(bin, pace)),
            latencies: latencies(bin, grid),
            lateness: Lateness::of(bin),
        }
    }
}

impl Single {
    fn of(bin: &Bin, pace: Pace) -> Option<Self> {
        let all = requests(bin, pace)?;
        let (first, first_us) = bin.requests.as_ref().map_or((0, 0), |said| (said.first, said.first_us));
        let mut ends: Vec<(Outcome, u32)> = Vec::new();
        for (_, outcome) in &all {
            match ends.last_mut() {
                Some((last, count)) if last == outcome => *count += 1,
                _ => ends.push((*outcome, 1)),
            }
        }
        if matches!(ends.as_slice(), [(Outcome::Good, _)]) {
            ends.clear();
        }
        Some(Self { first, first_us, ends })
    }

    /// Returns the moments at which each of `count` requests was due, in microseconds after the second's start; `None` for an impossible rate.
    #[must_use]
    pub fn dues(&self, pace: Pace, count: usize) -> Option<Vec<u64>> {
        schedule::follow(pace.rate, pace.arrivals, pace.key, self.first, self.first_us, count)
    }
}

impl Lateness {
    fn of(bin: &Bin) -> Self {
        if bin.lateness.is_empty() {
            return Self::OnTime;
        }
        let Ok(all) = bin::lateness(bin) else { return Self::Unreadable };
        if all.len() > MOST as u64 {
            return Self::Unreadable;
        }
        let grid = Grid::new(&[]);
        let late = all.iter_recorded().filter(|step| step.value_iterated_to() > ON_TIME_US);
        let cells = late.flat_map(|step| {
            std::iter::repeat_n(grid.cell(step.value_iterated_to()), times(step.count_at_value()))
        });
        Self::Late { started: all.len(), cells: cells.collect() }
    }
}

/// Returns the cells of a bin's latencies; `None` where they cannot be read, or are not as many as the good requests.
fn latencies(bin: &Bin, grid: &Grid) -> Option<Vec<u16>> {
    if bin.latency.is_empty() {
        return (bin.good == 0).then(Vec::new);
    }
    let all = bin::histogram(bin).ok().filter(|all| all.len() == bin.good && all.len() <= MOST as u64)?;
    let cells = all.iter_recorded().flat_map(|step| {
        std::iter::repeat_n(grid.cell(step.value_iterated_to()), times(step.count_at_value()))
    });
    Some(cells.collect())
}

/// Bounds a count by the maximum number of values in a histogram.
fn times(count: u64) -> usize {
    usize::try_from(count).unwrap_or(MOST).min(MOST)
}

/// Seconds of one probe at one vantage in one boot, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The probe.
    pub probe: String,
    /// The vantage: `coordinator` or a host's name.
    pub vantage: String,
    /// The boot that the vantage's clock belongs to.
    pub boot_id: String,
    /// The ends that the scale of the latencies has besides its own ends, in microseconds.
    pub cuts: Vec<u64>,
    /// The highest number of the bins.
    pub last_seq: u64,
    /// The latest start against the schedule, in microseconds.
    pub worst_slip_us: u64,
    /// Sums over good requests of what each phase of a request took (resolve, connect, tls, first byte), in microseconds.
    pub phases: [u64; 4],
    /// The seconds.
    pub seconds: Vec<Second>,
}

/// The names of a request's phases, in the order of [`Stream::phases`].
pub const PHASES: [&str; 4] = ["resolve", "connect", "tls", "first_byte"];

impl Stream {
    /// Takes a bin of this stream. It began at `start_us` on the run's clock.
    pub fn push(&mut self, bin: &Bin, start_us: i64, grid: &Grid, pace: Option<Pace>) {
        self.last_seq = self.last_seq.max(bin.seq);
        self.worst_slip_us = self.worst_slip_us.max(bin.worst_slip_us);
        for (sum, name) in self.phases.iter_mut().zip(PHASES) {
            *sum = sum.saturating_add(bin.phases.get(name).copied().unwrap_or(0));
        }
        self.seconds.push(Second::of(bin, start_us, grid, pace));
    }
}

#[cfg(test)]
mod tests;
