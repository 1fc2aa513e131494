//! The log of one unit: counts its lines, and notes the messages that journald dropped. Never calls `journalctl`.

use firedrill_wire::{
    hide::KeyBlock,
    logs::{LogBin, LogSpec},
};

use super::{
    entry::{COREDUMP, DROPPED, Entry},
    limit::{Limiter, Limits},
};
use crate::logs::{
    count::{Counter, When},
    lines::Lines,
};

/// One unit that is followed.
pub(super) struct Unit {
    pub(super) counter: Counter,
    name: String,
    /// The private key of several lines that is being read, if any.
    key: KeyBlock,
    limiter: Limiter,
}

impl Unit {
    pub(super) fn new(
        spec: LogSpec,
        name: String,
        limits: Option<Limits>,
        boot_id: String,
        logs: usize,
    ) -> Result<Self, String> {
        let counter = Counter::new(spec, boot_id, logs)?;
        let limiter = Limiter::new(limits, counter.read_until_us);
        Ok(Self { counter, name, key: KeyBlock::default(), limiter })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Counts an entry if it belongs to the unit. The entry was written at some time from `since_us` to `taken_us` (CLOCK_BOOTTIME,
    /// microseconds). If it is journald's report that it dropped messages of the unit, returns a bin that says so.
    pub(super) fn take(&mut self, entry: &Entry, (since_us, taken_us): (u64, u64)) -> Option<LogBin> {
        if let Some((count, unit)) = entry.dropped() {
            return (unit == self.name).then(|| {
                let why = format!(
                    "journald dropped {count} messages by its rate limit (RateLimitBurst= in journald.conf)"
                );
                self.counter.beside(self.limiter.dropped(taken_us), Some(why), None)
            });
        }
        if !entry.is_of(&self.name) {
            return None;
        }
        if entry.is_by(&self.name) {
            self.limiter.took(entry.priority(), taken_us);
        }
        let Some(text) = entry.message() else {
            self.counter.missed("the journal did not show a message, which is too large".to_owned());
            return None;
        };
        let (key, counter) = (&mut self.key, &mut self.counter);
        // Only the matching counts as work of this log. The work of reading entries is bounded by their size.
        counter.begin_work();
        let mut each = |line: crate::logs::lines::Line<'_>| {
            let in_key = key.takes(line.text);
            counter.line(&line, When::Between(since_us, taken_us), in_key);
        };
        let mut lines = Lines::default();
        lines.take(text, &mut each);
        lines.end(&mut each);
        counter.end_work();
        None
    }

    /// Notes that messages up to `until_us` were not read.
    pub(super) fn lost_count(&mut self, until_us: u64) {
        self.limiter.lost_count(until_us);
    }

    /// Returns a bin for the range of times in which journald may have dropped messages that it has not reported yet; `None` if there is
    /// none.
    pub(super) fn doubt(&mut self, now_us: u64, at_end: bool) -> Option<LogBin> {
        let when = self.limiter.doubt(now_us, at_end)?;
        let burst = self.limiter.burst();
        let why = format!(
            "the unit may have reached its rate limit of {burst} messages, and then none came; journald may drop what exceeds it (RateLimitBurst= in journald.conf)"
        );
        Some(self.counter.beside(when, Some(why), None))
    }
}

/// Returns the arguments of `journalctl` that select the entries of these units and those about dropped messages, of one boot.
pub(super) fn matches<'n>(units: impl Iterator<Item = &'n str>, boot: &str) -> Vec<String> {
    let of_unit = |unit: &str| {
        [
            vec![format!("_SYSTEMD_UNIT={unit}")],
            vec!["_PID=1".to_owned(), format!("UNIT={unit}")],
            vec!["_UID=0".to_owned(), format!("OBJECT_SYSTEMD_UNIT={unit}")],
            vec!["_UID=0".to_owned(), format!("MESSAGE_ID={COREDUMP}"), format!("COREDUMP_UNIT={unit}")],
        ]
    };
    let dropped = vec!["_TRANSPORT=driver".to_owned(), format!("MESSAGE_ID={DROPPED}")];
    // `journalctl` shows entries that meet all conditions of one group; `+` separates the groups.
    let mut args = Vec::new();
    for conditions in units.flat_map(of_unit).chain([dropped]) {
        if !args.is_empty() {
            args.push("+".to_owned());
        }
        args.push(format!("_BOOT_ID={boot}"));
        args.extend(conditions);
    }
    args
}
