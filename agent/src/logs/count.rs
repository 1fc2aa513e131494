//! Counts the lines of one log, and makes bins of the counts.

use firedrill_probe::clock::boot_us;
use firedrill_wire::logs::{LogBin, LogLine, LogSpec, shown};
use regex::bytes::Regex;

use super::lines::Line;

/// Maximum number of bytes of a log that are read in a bin. What is more is skipped.
pub(super) const BYTES_MOST: u64 = 8 * 1024 * 1024;
/// Length of a bin.
const BIN_US: u64 = 1_000_000;

/// Counts lines.
pub(super) struct Counter {
    pub(super) spec: LogSpec,
    pattern: Regex,
    /// The time before which all that was written has been read.
    pub(super) read_until_us: u64,
    /// Number of bytes that may still be read in this bin.
    pub(super) left: u64,
    bin: LogBin,
}

impl Counter {
    pub(super) fn new(spec: LogSpec, boot_id: String) -> Result<Self, String> {
        let pattern = spec.pattern().map_err(|why| format!("its pattern: {why}"))?;
        let read_until_us = boot_us();
        let log = spec.name.clone();
        let bin = LogBin { log, boot_id, start_boot_us: read_until_us, ..LogBin::default() };
        Ok(Self { spec, pattern, read_until_us, left: BYTES_MOST, bin })
    }

    /// Counts a line that was written since everything was last read.
    pub(super) fn line(&mut self, line: &Line<'_>) {
        self.bin.lines += 1;
        if !self.pattern.is_match(line.text) {
            self.bin.cut += u64::from(line.cut);
            return;
        }
        let now = boot_us();
        self.bin.matched += 1;
        self.bin.first_boot_us.get_or_insert(self.read_until_us);
        self.bin.last_boot_us = Some(now);
        if self.bin.kept.len() < self.spec.lines as usize {
            self.bin.kept.push(LogLine { boot_us: now, text: shown(line.text) });
        }
    }

    /// Lines may not have been counted.
    pub(super) fn missed(&mut self, why: String) {
        self.bin.missed.get_or_insert(why);
    }

    /// Nothing can be read, for a part of the bin at least.
    pub(super) fn absent(&mut self, why: String) {
        self.bin.absent.get_or_insert(why);
    }

    /// All that was written before that time has been read. Returns the bin if it is complete.
    pub(super) fn read_until(&mut self, us: u64) -> Option<LogBin> {
        self.read_until_us = us;
        (us.saturating_sub(self.bin.start_boot_us) >= BIN_US).then(|| self.seal())
    }

    /// Returns the bin, and begins the next one.
    pub(super) fn seal(&mut self) -> LogBin {
        let (log, boot_id) = (self.bin.log.clone(), self.bin.boot_id.clone());
        let next = LogBin { log, boot_id, start_boot_us: self.read_until_us, ..LogBin::default() };
        let mut bin = std::mem::replace(&mut self.bin, next);
        bin.length_us = self.read_until_us.saturating_sub(bin.start_boot_us);
        self.left = BYTES_MOST;
        bin
    }
}
