//! Follows one log, also when it is rotated: by renaming the file, or by copying it and cutting it to nothing. Never waits for new lines:
//! each look reads the lines that are there.

use std::{collections::VecDeque, fs};

use firedrill_probe::clock::boot_us;
use firedrill_wire::logs::{LogBin, LogSpec};

use super::{
    between,
    birth::{Age, Times},
    bounds::Bounds,
    count::Counter,
    open::{Listed, NotOpen, Opened, open},
    place::{Closed, Id, Place, Stopped},
    writers::may_be_open_elsewhere,
};

/// Maximum number of rotated files that are kept open, since a program may write on in them.
const OLD_MOST: usize = 8;
/// Maximum number of closed files whose reading position is kept.
const CLOSED_MOST: usize = 64;
/// Time without new bytes after which a removed file is closed, if no program has it open.
const QUIET_US: u64 = 60_000_000;

/// One log that is followed.
pub(super) struct Follower {
    counter: Counter,
    /// The policy's list when reading began.
    entries: Vec<String>,
    times: Times,
    /// The directory of the policy's entry, once it is there.
    listed: Option<Listed>,
    /// The newest file that had the log's name; `None` before there is one.
    now: Option<Place>,
    /// The time of the last look at the name (CLOCK_BOOTTIME, microseconds).
    looked_us: u64,
    /// Rotated files that are still open, the oldest first.
    old: VecDeque<Place>,
    /// Rotated files that were closed, the oldest first.
    closed: VecDeque<Closed>,
    /// The time of the last search for programs that have removed files open (CLOCK_BOOTTIME, microseconds).
    swept_us: u64,
}

impl Follower {
    /// Begins at the present end of the file, or waits for a file that does not exist yet. `logs` is the number of logs of its run.
    ///
    /// # Errors
    /// The pattern is invalid, or the file may not be read.
    pub(super) fn start(
        spec: LogSpec,
        entries: Vec<String>,
        boot_id: String,
        logs: usize,
    ) -> Result<Self, String> {
        let times = Times::now();
        let path = &spec.file;
        let (now, listed) = match open(&entries, path, None) {
            Ok(Opened { file, about, listed }) => {
                let place = Place::at_end(file, &about, times.began_us());
                (Some(place.map_err(|why| format!("cannot read {path}: {why}"))?), Some(listed))
            }
            Err(NotOpen::Absent(_)) => (None, None),
            Err(NotOpen::Refused(why)) => return Err(why),
        };
        // The first bin begins once the file is open: lines that were written before may not be counted.
        let counter = Counter::new(spec, boot_id, logs)?;
        let looked_us = times.began_us();
        let (old, closed) = (VecDeque::new(), VecDeque::new());
        Ok(Self { counter, entries, times, listed, now, looked_us, old, closed, swept_us: looked_us })
    }

    /// Reads new lines. Returns a bin if it is complete.
    pub(super) fn look(&mut self, bounds: &Bounds<'_>) -> Option<LogBin> {
        self.counter.begin_work();
        let now_us = boot_us();
        // A file that was rotated since the last look is read first. It is read again after the rotation was seen, because it may have grown.
        let mut whole = self.read(bounds);
        if self.rotate() {
            whole &= self.read(bounds);
        }
        // Looking for writers takes time that is not the pattern's.
        self.counter.end_work();
        self.close_old(now_us);
        self.counter.begin_work();
        if whole { self.counter.read_until(now_us) } else { None }
    }

    /// Ends, and returns the last bin. Reads nothing more: the host may have been halted.
    pub(super) fn end(mut self) -> LogBin {
        for mut place in self.old.drain(..).chain(self.now.take()) {
            place.end(&mut self.counter);
        }
        self.counter.seal()
    }

    /// Reads new lines of all open files. Returns whether everything was read.
    fn read(&mut self, bounds: &Bounds<'_>) -> bool {
        let mut whole = true;
        for place in self.old.iter_mut().chain(&mut self.now) {
            match place.read(&mut self.counter, bounds) {
                Ok(Stopped::AtEnd) => {}
                // The other files are still read.
                Ok(Stopped::Unsure) => whole = false,
                Ok(Stopped::Over) => return false,
                Err(why) => self.counter.missed(format!("cannot read {}: {why}", self.counter.spec.file)),
            }
        }
        whole
    }

    /// Opens the file that has the log's name now, if it is another file than before. Returns whether a rotation was seen.
    fn rotate(&mut self) -> bool {
        let looked_us = std::mem::replace(&mut self.looked_us, boot_us());
        let path = &self.counter.spec.file;
        let there = fs::metadata(path).ok().map(|about| Id::of(&about));
        if let (Some(now), Some(there)) = (&self.now, &there)
            && now.id == *there
        {
            return false;
        }
        match open(&self.entries, path, self.listed.as_ref()) {
            Ok(opened) => self.take(opened, looked_us),
            // A program may still write to a file that was renamed or removed.
            Err(NotOpen::Absent(_)) if self.now.is_some() => false,
            Err(NotOpen::Absent(why) | NotOpen::Refused(why)) => {
                self.counter.absent(why);
                false
            }
        }
    }

    /// Continues with the file that has the name now. `looked_us` is the time of the look before this one. Returns whether the file differs
    /// from the one before.
    fn take(&mut self, Opened { file, about, listed }: Opened, looked_us: u64) -> bool {
        let id = Id::of(&about);
        self.listed.get_or_insert(listed);
        // The old file may have got its name back between the look and the opening.
        if self.now.as_ref().is_some_and(|now| now.id == id) {
            return false;
        }
        let next = if let Some(old) = take_out(&mut self.old, |old| old.id == id) {
            Ok(old)
        } else if let Some(closed) = take_out(&mut self.closed, |closed| closed.id == id) {
            Ok(Place::again(file, &about, closed))
        } else if self.now.as_ref().is_some_and(|now| now.is_copied_to(&file, &about)) {
            self.counter.missed(
                "the file was replaced by a copy that begins like it; lines that are new in the copy may not have been counted".to_owned(),
            );
            Place::at_end(file, &about, looked_us)
        } else {
            let began_us = self.times.began_us();
            match self.times.age(id.born, &about) {
                Age::Since(us) => Ok(Place::at_start(file, &about, us.min(looked_us))),
                Age::Unknown => Ok(Place::at_start(file, &about, began_us)),
                Age::Old => {
                    self.counter.missed(
                        "a file that is older than the run got its name; what stood in it is not counted"
                            .to_owned(),
                    );
                    Place::at_end(file, &about, looked_us)
                }
            }
        };
        let next = match next {
            Ok(next) => next,
            Err(why) => {
                self.counter.absent(format!("cannot read {}: {why}", self.counter.spec.file));
                return false;
            }
        };
        let before = self.now.replace(next);
        if before.is_some() {
            let known = |id: &Id| {
                let open = self.old.iter().chain(&before).chain(&self.now).map(|place| &place.id);
                open.chain(self.closed.iter().map(|closed| &closed.id)).any(|known| known == id)
            };
            if let Some(name) = between::unseen(&self.counter.spec.file, looked_us, &self.times, known) {
                self.counter.missed(format!("it was rotated twice between two looks; {name} was not read"));
            }
        }
        self.old.extend(before);
        true
    }

    /// Closes removed files that no program writes to, and the oldest files if there are more than [`OLD_MOST`].
    fn close_old(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.swept_us) > QUIET_US {
            self.swept_us = now_us;
            let counter = &mut self.counter;
            self.old.retain_mut(|place| {
                let quiet = place.nameless && now_us.saturating_sub(place.news_us) > QUIET_US;
                let stays = !quiet || may_be_open_elsewhere(&place.file);
                if !stays {
                    place.end(counter);
                }
                stays
            });
        }
        while self.old.len() > OLD_MOST
            && let Some(mut oldest) = self.old.pop_front()
        {
            self.counter.missed_for_good(format!(
                "it was rotated more than {OLD_MOST} times; programs may still write to older files, which are not read any more"
            ));
            oldest.end(&mut self.counter);
            self.closed.push_back(oldest.close());
        }
        while self.closed.len() > CLOSED_MOST {
            self.closed.pop_front();
        }
    }
}

/// Removes the first element for which `is_meant` is true, and returns it.
fn take_out<T>(list: &mut VecDeque<T>, is_meant: impl Fn(&T) -> bool) -> Option<T> {
    list.remove(list.iter().position(is_meant)?)
}

#[cfg(test)]
mod tests;
