//! Reads the messages that units of systemd wrote to the journal. Never opens the journal's files itself.
//!
//! Once a second `journalctl` is called for the new messages of all units of a run. The agent uses this program and no library, because
//! it reads the formats of all its versions, follows rotation, and can be killed. It does not run with `--follow`: a program that hangs
//! would look like a unit that writes nothing, while a call that ended well has read everything that was there.

mod call;
mod entry;
mod host;
mod limit;
mod unit;

use std::{collections::BTreeSet, time::Duration};

use firedrill_probe::clock::{boot_us, wall_us};
use firedrill_wire::logs::{LogBin, LogSpec};

pub(super) use self::host::Journal;
use self::{
    call::{Call, Ended, Written},
    entry::{Entry, FIELDS},
    host::failure,
    unit::{Unit, matches},
};
use super::bounds::Bounds;
use crate::time::{HostTime, Time as _};

/// Interval between two calls, in microseconds.
const EVERY_US: u64 = 1_000_000;
/// Maximum time that a look waits for a call. Then it is the turn of the run's other logs.
const LOOK: Duration = Duration::from_millis(200);
/// Time that a look waits in one step.
const WAIT: Duration = Duration::from_millis(50);
/// Maximum time for a call.
const CALL_MOST: Duration = Duration::from_secs(10);
/// Maximum number of bytes that a call may write, for all units of a run together.
const BYTES_MOST: u64 = 8 * 1024 * 1024;
/// Maximum number of different complaints of `journalctl` that are remembered.
const COMPLAINTS_MOST: usize = 1024;

/// The units of a run that are followed.
pub(super) struct Units {
    journal: Journal,
    boot: String,
    units: Vec<Unit>,
    /// The time at which reading began. This and all times below are in microseconds, and by CLOCK_BOOTTIME where nothing else is said.
    began_us: u64,
    /// The wall clock at that time.
    began_wall_us: u64,
    position: Position,
    /// The newest entry that was read: its sequence and its number there; `None` before the first.
    newest: Option<(String, u64)>,
    /// The call under way.
    call: Option<Call>,
    /// The time from which the next call may begin.
    next_us: u64,
    /// The time up to which all messages were read and journald answered.
    good_us: u64,
    /// The time since which journald has not answered; `None` once all messages are read that it took afterwards.
    stalled_us: Option<u64>,
    trouble: Trouble,
    /// The lines that `journalctl` has written to its standard error so far, such as complaints about old damaged files: only a
    /// new line is reported. `None` before the first call has ended.
    complaints: Option<BTreeSet<String>>,
}

/// The reason why the journal is not read at present, and the time up to which bins report it.
#[derive(Default)]
struct Trouble {
    why: Option<String>,
    told_us: u64,
}

/// The entry or time at which the next call begins.
enum Position {
    /// At the first entry after that time, which is given by both clocks. Entries that were read before are left out.
    Since { boot_us: u64, wall_us: u64 },
    /// After the entry with that cursor.
    After(String),
}

/// Returns the time by which CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC.
fn asleep_us() -> u64 {
    boot_us().saturating_sub(HostTime.awake_us())
}

impl Units {
    /// Begins to follow units now. `specs` has each log with the name of its unit; `logs` is the number of all logs of the run.
    ///
    /// # Errors
    /// The name of a log that cannot be read, and the reason.
    pub(super) fn start(
        specs: Vec<(LogSpec, String)>,
        journal: Journal,
        boot_id: &str,
        logs: usize,
    ) -> Result<Self, (String, String)> {
        let boot = boot_id.replace('-', "");
        let first = specs.first().map_or_else(String::new, |(spec, _)| spec.name.clone());
        journal.check(&boot).map_err(|why| (first, why))?;
        let (began_us, began_wall_us) = (boot_us(), wall_us());
        let units = specs.into_iter().map(|(spec, name)| {
            let log = spec.name.clone();
            let unit = journal
                .unit(&name)
                .and_then(|limits| Unit::new(spec, name, limits, boot_id.to_owned(), logs));
            unit.map_err(|why| (log, why))
        });
        let units = units.collect::<Result<_, _>>()?;
        Ok(Self {
            journal,
            boot,
            units,
            began_us,
            began_wall_us,
            position: Position::Since { boot_us: began_us, wall_us: began_wall_us },
            newest: None,
            call: None,
            next_us: 0,
            good_us: boot_us(),
            stalled_us: None,
            trouble: Trouble::default(),
            complaints: None,
        })
    }

    /// Reads new messages. Returns the bins that are complete.
    pub(super) fn look(&mut self, bounds: &Bounds<'_>) -> Vec<LogBin> {
        let (mut bins, end) = (Vec::new(), std::time::Instant::now() + LOOK);
        if self.call.is_none() && boot_us() >= self.next_us {
            self.begin();
        }
        while let Some(mut call) = self.call.take() {
            let mut each = |written: Written<'_>| self.take(&written, &mut bins);
            match call.read(WAIT, &mut each) {
                Ok(None) if call.bytes > BYTES_MOST => {
                    self.skip(call.began_us);
                    bins.extend(self.read_until(call.began_us));
                }
                Ok(None) if call.age() > CALL_MOST => {
                    self.failed(format!("journalctl has not answered for {} s", CALL_MOST.as_secs()));
                }
                Ok(None) => {
                    self.call = Some(call);
                    if bounds.are_over() || std::time::Instant::now() >= end {
                        break;
                    }
                }
                Ok(Some(ended)) => bins.extend(self.ended(&ended, call.began_us)),
                Err(why) => self.failed(format!("cannot read what journalctl writes: {why}")),
            }
        }
        bins.extend(self.tell_trouble(EVERY_US));
        bins
    }

    /// Ends, and returns the last bins. Reads nothing more: the host may have been halted.
    pub(super) fn end(mut self) -> Vec<LogBin> {
        self.call = None;
        let now_us = self.good_us;
        let mut bins: Vec<LogBin> =
            self.units.iter_mut().filter_map(|unit| unit.doubt(now_us, true)).collect();
        bins.extend(self.tell_trouble(0));
        bins.extend(self.units.iter_mut().map(|unit| unit.counter.seal()));
        bins
    }

    /// Begins the next call.
    fn begin(&mut self) {
        let now_us = boot_us();
        self.next_us = now_us + EVERY_US;
        if !self.journal.answers() {
            self.stalled_us.get_or_insert(self.good_us);
            self.failed("systemd-journald does not answer".to_owned());
            return;
        }
        let started = self.journal.program().and_then(|program| {
            Call::start(program, &self.args(), now_us)
                .map_err(|why| format!("cannot run {}: {why}", program.display()))
        });
        match started {
            Ok(call) => self.call = Some(call),
            Err(why) => self.failed(why),
        }
    }

    /// Returns the arguments of the next call.
    fn args(&self) -> Vec<String> {
        let mut args: Vec<String> =
            ["--quiet", "--no-pager", "--all", "--output=json"].map(str::to_owned).into();
        args.push(format!("--output-fields={FIELDS}"));
        args.push(match &self.position {
            Position::After(cursor) => format!("--after-cursor={cursor}"),
            // `--since` is by the wall clock, which may have been set meanwhile. Of the moment's time by the clock as it was then, and its
            // time by the clock as it is now, the earlier one is taken.
            Position::Since { boot_us: since_us, wall_us: by_old_clock_us } => {
                let by_new_clock_us = wall_us().saturating_sub(boot_us().saturating_sub(*since_us));
                format!("--since=@{}", (by_new_clock_us.min(*by_old_clock_us) / 1_000_000).saturating_sub(1))
            }
        });
        args.extend(matches(self.units.iter().map(Unit::name), &self.boot));
        args
    }

    /// Counts an entry that `journalctl` wrote.
    fn take(&mut self, written: &Written<'_>, bins: &mut Vec<LogBin>) {
        let read = match written {
            Written::Line(line) => Entry::parse(line).ok().filter(|entry| entry.is_of_boot(&self.boot)),
            Written::TooLong => {
                self.missed("the journal has an entry of more than a mebibyte, which was not read");
                return;
            }
        };
        let Some(entry) = read else {
            self.missed("journalctl wrote a line that is no entry of this boot");
            return;
        };
        if let Some((sequence, number)) = entry.sequence_number() {
            // A call that begins at a time shows entries again that were read before.
            let is_read = |newest: &(String, u64)| newest.0 == sequence && number <= newest.1;
            if self.newest.as_ref().is_some_and(is_read) {
                return;
            }
            self.newest = Some((sequence.to_owned(), number));
        }
        self.position = Position::After(entry.cursor.clone());
        let taken_us = entry.monotonic_us.saturating_add(asleep_us());
        if taken_us < self.began_us {
            return;
        }
        // While journald did not answer, messages waited for it: they may have been written at any time since then.
        let since_us = taken_us.saturating_sub(entry.lag_us());
        let since_us = self.stalled_us.map_or(since_us, |stalled_us| since_us.min(stalled_us));
        bins.extend(self.units.iter_mut().filter_map(|unit| unit.take(&entry, (since_us, taken_us))));
    }

    /// Notes for all units that messages may be missing.
    fn missed(&mut self, why: &str) {
        self.units.iter_mut().for_each(|unit| unit.counter.missed(why.to_owned()));
    }

    /// Skips the rest of a call that wrote too much: the next call begins with the entries after `from_us`.
    fn skip(&mut self, from_us: u64) {
        self.missed("more was written to the journal in a second than is read; the rest was skipped");
        self.units.iter_mut().for_each(|unit| unit.lost_count(from_us));
        let apart_us = self.began_wall_us.saturating_sub(self.began_us);
        self.position = Position::Since { boot_us: from_us, wall_us: from_us.saturating_add(apart_us) };
    }

    /// Takes the end of a call that began at `began_us`. Returns the bins that are complete.
    fn ended(&mut self, ended: &Ended, began_us: u64) -> Vec<LogBin> {
        if !ended.status.success() {
            self.failed(format!("journalctl failed: {}", failure(ended)));
            return Vec::new();
        }
        let lines: BTreeSet<String> = ended.stderr.lines().take(COMPLAINTS_MOST).map(str::to_owned).collect();
        match &mut self.complaints {
            // The complaints of the first call are about files from before reading began.
            None => self.complaints = Some(lines),
            Some(known) => {
                let new = lines.iter().find(|line| !known.contains(*line)).cloned();
                known.extend(lines.into_iter().take(COMPLAINTS_MOST.saturating_sub(known.len())));
                if let Some(new) = new {
                    self.missed(&format!("journalctl says: {}", firedrill_wire::logs::shown(new.as_bytes())));
                }
            }
        }
        self.read_until(began_us)
    }

    /// Notes that everything was read that had been written before `us`. Returns the bins that are complete.
    fn read_until(&mut self, us: u64) -> Vec<LogBin> {
        (self.good_us, self.stalled_us) = (us, None);
        self.trouble = Trouble::default();
        let complete = |unit: &mut Unit| {
            unit.counter.begin_work();
            [unit.doubt(us, false), unit.counter.read_until(us)]
        };
        self.units.iter_mut().flat_map(complete).flatten().collect()
    }

    /// Notes the reason why a call read nothing.
    fn failed(&mut self, why: String) {
        self.trouble.why = Some(why);
    }

    /// Returns a bin for each unit with the reason why nothing is read, if nothing was read for `for_us` microseconds. A later call may
    /// still read the messages of that time.
    fn tell_trouble(&mut self, for_us: u64) -> Vec<LogBin> {
        let (Some(why), now_us) = (&self.trouble.why, boot_us()) else { return Vec::new() };
        let from_us = self.trouble.told_us.max(self.good_us);
        if now_us.saturating_sub(from_us) < for_us {
            return Vec::new();
        }
        self.trouble.told_us = now_us;
        let tell = |unit: &Unit| unit.counter.beside((from_us, now_us), None, Some(why.clone()));
        self.units.iter().map(tell).collect()
    }
}

#[cfg(test)]
mod tests;
