//! Follows one log, over rotation by renaming and by copying and truncating.

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
    now: Option<Place>,
    /// The time at which the name was last looked at.
    looked_us: u64,
    old: VecDeque<Place>,
    closed: VecDeque<Closed>,
    /// The time of the last search for programs that have removed files open.
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
        // The first bin begins once the file is open: what was written before may not have been counted.
        let counter = Counter::new(spec, boot_id, logs)?;
        let looked_us = times.began_us();
        let (old, closed) = (VecDeque::new(), VecDeque::new());
        Ok(Self { counter, entries, times, listed, now, looked_us, old, closed, swept_us: looked_us })
    }

    /// Reads new lines. Returns a bin if it is complete.
    pub(super) fn look(&mut self, bounds: &Bounds<'_>) -> Option<LogBin> {
        self.counter.begin_work();
        let now_us = boot_us();
        // A file that was rotated since the last look is read first. It is read again later, because it may still grow.
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

    /// Ends; returns the last bin. Reads nothing: a halt may be the reason.
    pub(super) fn end(mut self) -> LogBin {
        for mut place in self.old.drain(..).chain(self.now.take()) {
            place.end(&mut self.counter);
        }
        self.counter.seal()
    }

    /// Returns whether everything was read.
    fn read(&mut self, bounds: &Bounds<'_>) -> bool {
        let mut whole = true;
        for place in self.old.iter_mut().chain(&mut self.now) {
            match place.read(&mut self.counter, bounds) {
                Ok(Stopped::AtEnd) => {}
                // The others are read all the same.
                Ok(Stopped::Unsure) => whole = false,
                Ok(Stopped::Over) => return false,
                Err(why) => self.counter.missed(format!("cannot read {}: {why}", self.counter.spec.file)),
            }
        }
        whole
    }

    /// Opens the file that the path names now, if that is another one. Returns whether it is.
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
            // A program may write on in a file that has lost its name.
            Err(NotOpen::Absent(_)) if self.now.is_some() => false,
            Err(NotOpen::Absent(why) | NotOpen::Refused(why)) => {
                self.counter.absent(why);
                false
            }
        }
    }

    /// Continues with the file that has the name. Returns whether it differs from the file before.
    fn take(&mut self, Opened { file, about, listed }: Opened, looked_us: u64) -> bool {
        let id = Id::of(&about);
        self.listed.get_or_insert(listed);
        // The name may be back since it was looked at.
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
                open.chain(self.closed.iter().map(|closed| &closed.id)).any(|one| one == id)
            };
            if let Some(name) = between::unseen(&self.counter.spec.file, looked_us, &self.times, known) {
                self.counter.missed(format!("it was rotated twice between two looks; {name} was not read"));
            }
        }
        self.old.extend(before);
        true
    }

    /// Closes removed files that nobody writes to, and the oldest of too many.
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
