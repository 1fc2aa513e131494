//! Counts the lines of one log, and makes bins of the counts. Never opens a log.

use std::time::Duration;

use firedrill_probe::clock::boot_us;
use firedrill_wire::logs::{LogBin, LogLine, LogSpec, shown};
use nix::time::{ClockId, clock_gettime};
use regex::bytes::Regex;

use super::lines::Line;

/// Maximum number of bytes of a log that are read in a bin. The rest is skipped.
pub(super) const BYTES_MOST: u64 = 8 * 1024 * 1024;
/// Maximum processor time for all logs of a run in a bin. Each log gets an equal share of it.
const WORK_MOST: Duration = Duration::from_millis(200);
/// Minimum share of a log.
const WORK_LEAST: Duration = Duration::from_millis(25);
/// Number of bytes of lines after which the processor time is measured.
const MEASURED: usize = 4096;
/// Bytes that are added to a line's length for the work that each line makes, whatever its length.
const LINE_COST: usize = 64;
/// Length of a bin, in microseconds.
const BIN_US: u64 = 1_000_000;

/// Counts lines.
pub(super) struct Counter {
    pub(super) spec: LogSpec,
    pattern: Regex,
    /// Everything that was written before this time has been read (CLOCK_BOOTTIME, microseconds).
    pub(super) read_until_us: u64,
    /// Number of bytes that may still be read in this bin.
    pub(super) left: u64,
    /// Maximum processor time in a bin.
    pub(super) work_most: Duration,
    work: Work,
    /// The reason why lines may be missing in this bin and in all later bins; `None` if there is none.
    missed_for_good: Option<String>,
    /// The bin that is being filled.
    bin: LogBin,
}

/// The time at which a line was written (CLOCK_BOOTTIME, microseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Between that moment and now.
    Since(u64),
    /// Between these moments.
    Between(u64, u64),
}

/// The processor time that was spent in a bin.
#[derive(Default)]
struct Work {
    spent: Duration,
    /// The thread's processor time at the last measurement.
    at: Duration,
    /// Number of bytes that were counted since the last measurement.
    unmeasured: usize,
}

/// Returns the processor time that this thread has used.
fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

impl Work {
    fn measure(&mut self) {
        let now = thread_time();
        self.spent += now.saturating_sub(self.at);
        (self.at, self.unmeasured) = (now, 0);
    }
}

impl Counter {
    /// Begins to count the lines of a log now. `logs` is the number of logs of its run.
    pub(super) fn new(spec: LogSpec, boot_id: String, logs: usize) -> Result<Self, String> {
        let pattern = spec.pattern().map_err(|why| format!("its pattern: {why}"))?;
        let read_until_us = boot_us();
        let log = spec.name.clone();
        let bin = LogBin { log, boot_id, start_boot_us: read_until_us, ..LogBin::default() };
        let work_most = (WORK_MOST / u32::try_from(logs.max(1)).unwrap_or(u32::MAX)).max(WORK_LEAST);
        let work = Work::default();
        Ok(Self {
            spec,
            pattern,
            read_until_us,
            left: BYTES_MOST,
            work_most,
            work,
            missed_for_good: None,
            bin,
        })
    }

    /// Counts the time of this thread from now on as work for this log.
    pub(super) fn begin_work(&mut self) {
        self.work.at = thread_time();
    }

    /// Counts the time of this thread from now on as other work.
    pub(super) fn end_work(&mut self) {
        self.work.measure();
    }

    /// Counts a line. `in_key` tells that the line is a part of a private key: its text is hidden where lines are kept.
    pub(super) fn line(&mut self, line: &Line<'_>, when: When, in_key: bool) {
        self.work.unmeasured += line.text.len() + LINE_COST;
        if self.work.unmeasured > MEASURED {
            self.work.measure();
        }
        // Not only after a measurement here: the time is also measured between two lines.
        if self.work.spent > self.work_most {
            self.left = 0;
            self.missed(
                "the pattern took too much of the processor's time in a second; the rest was skipped"
                    .to_owned(),
            );
            return;
        }
        self.bin.lines += 1;
        if !self.pattern.is_match(line.text) {
            self.bin.cut += u64::from(line.cut);
            return;
        }
        let (since_us, until_us) = match when {
            When::Since(us) => (us, boot_us()),
            When::Between(since_us, until_us) => (since_us, until_us),
        };
        self.bin.matched += 1;
        self.bin.first_boot_us = Some(self.bin.first_boot_us.map_or(since_us, |first| first.min(since_us)));
        self.bin.last_boot_us = Some(self.bin.last_boot_us.map_or(until_us, |last| last.max(until_us)));
        if self.bin.kept.len() < self.spec.lines as usize {
            let text = if in_key { firedrill_wire::hide::HIDDEN.to_owned() } else { shown(line.text) };
            self.bin.kept.push(LogLine { boot_us: until_us, text });
        }
    }

    /// Notes that lines may be missing from the count.
    pub(super) fn missed(&mut self, why: String) {
        self.bin.missed.get_or_insert(why);
    }

    /// Notes that lines may be missing from the count of this bin and of all later bins.
    pub(super) fn missed_for_good(&mut self, why: String) {
        self.missed(why.clone());
        self.missed_for_good.get_or_insert(why);
    }

    /// Notes that nothing could be read for at least a part of the bin.
    pub(super) fn absent(&mut self, why: String) {
        self.bin.absent.get_or_insert(why);
    }

    /// Returns a separate bin without counts for a range of times (CLOCK_BOOTTIME, microseconds). It says why lines may be missing from the
    /// counts of that range, or why nothing was read in it.
    pub(super) fn beside(
        &self,
        (from_us, until_us): (u64, u64),
        missed: Option<String>,
        absent: Option<String>,
    ) -> LogBin {
        let (log, boot_id) = (self.bin.log.clone(), self.bin.boot_id.clone());
        let length_us = until_us.saturating_sub(from_us);
        LogBin { log, boot_id, start_boot_us: from_us, length_us, missed, absent, ..LogBin::default() }
    }

    /// Notes that everything that was written before `us` (CLOCK_BOOTTIME, microseconds) has been read. Returns the bin if it is complete.
    pub(super) fn read_until(&mut self, us: u64) -> Option<LogBin> {
        self.work.measure();
        self.read_until_us = us;
        (us.saturating_sub(self.bin.start_boot_us) >= BIN_US).then(|| self.seal())
    }

    /// Returns the bin, and begins the next one.
    pub(super) fn seal(&mut self) -> LogBin {
        let (log, boot_id, missed) =
            (self.bin.log.clone(), self.bin.boot_id.clone(), self.missed_for_good.clone());
        let next = LogBin { log, boot_id, missed, start_boot_us: self.read_until_us, ..LogBin::default() };
        let mut bin = std::mem::replace(&mut self.bin, next);
        bin.length_us = self.read_until_us.saturating_sub(bin.start_boot_us);
        self.left = BYTES_MOST;
        self.work.spent = Duration::ZERO;
        bin
    }
}
