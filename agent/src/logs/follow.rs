//! Follows one log, over rotation by renaming and by copying and truncating.

use std::{collections::VecDeque, fs, os::unix::fs::MetadataExt as _};

use firedrill_probe::clock::boot_us;
use firedrill_wire::logs::{LogBin, LogSpec};

use super::{
    count::Counter,
    open::{NotOpen, open},
    place::Place,
};

/// Maximum number of rotated files in which a program may still write.
const OLD_MOST: usize = 4;
/// Time after which a rotated file without news is closed.
const OLD_US: u64 = 60_000_000;

/// One log that is followed.
pub(super) struct Follower {
    counter: Counter,
    /// The policy's list when reading began.
    entries: Vec<String>,
    now: Option<Place>,
    old: VecDeque<Place>,
}

impl Follower {
    /// Begins at the present end of the file, or waits for a file that is not there yet.
    ///
    /// # Errors
    /// The pattern is invalid, or the file may not be read.
    pub(super) fn start(spec: LogSpec, entries: Vec<String>, boot_id: String) -> Result<Self, String> {
        let counter = Counter::new(spec, boot_id)?;
        let path = &counter.spec.file;
        let now = match open(&entries, path) {
            Ok((file, about)) => Some(
                Place::at_end(file, &about, boot_us()).map_err(|why| format!("cannot read {path}: {why}"))?,
            ),
            Err(NotOpen::Absent(_)) => None,
            Err(NotOpen::Refused(why)) => return Err(why),
        };
        Ok(Self { counter, entries, now, old: VecDeque::new() })
    }

    /// Reads what is new. Returns the bin that is complete.
    pub(super) fn look(&mut self) -> Option<LogBin> {
        let now_us = boot_us();
        // What is in a file that was rotated since the last look is read first, and again later: it may still grow.
        self.read(now_us);
        if self.rotate(now_us) {
            self.read(now_us);
        }
        self.close_old(now_us);
        self.counter.read_until(now_us)
    }

    /// Ends; returns the last bin.
    pub(super) fn end(mut self) -> Vec<LogBin> {
        let full = self.look();
        for mut place in self.old.drain(..).chain(self.now.take()) {
            place.end(&mut self.counter);
        }
        full.into_iter().chain([self.counter.seal()]).collect()
    }

    fn read(&mut self, now_us: u64) {
        for place in self.old.iter_mut().chain(&mut self.now) {
            if let Err(why) = place.read(&mut self.counter, now_us) {
                self.counter.missed(format!("cannot read {}: {why}", self.counter.spec.file));
            }
        }
    }

    /// Opens the file that the path names now, if that is another one. Returns whether it is.
    fn rotate(&mut self, now_us: u64) -> bool {
        let path = &self.counter.spec.file;
        let there = fs::metadata(path).map(|about| (about.dev(), about.ino()));
        if let (Some(now), Ok(there)) = (&self.now, &there)
            && now.id == *there
        {
            return false;
        }
        match open(&self.entries, path) {
            Ok((file, about)) => {
                let id = (about.dev(), about.ino());
                // A file that was renamed may get its name back.
                let known = self.old.iter().position(|old| old.id == id).and_then(|at| self.old.remove(at));
                let next = known.unwrap_or_else(|| Place::at_start(file, &about, now_us));
                self.old.extend(self.now.replace(next));
                true
            }
            // A program may write on in a file that has lost its name.
            Err(NotOpen::Absent(_)) if self.now.is_some() => false,
            Err(NotOpen::Absent(why) | NotOpen::Refused(why)) => {
                self.counter.absent(why);
                false
            }
        }
    }

    fn close_old(&mut self, now_us: u64) {
        while let Some(oldest) = self.old.front_mut() {
            let quiet = now_us.saturating_sub(oldest.news_us) > OLD_US;
            if !quiet && self.old.len() <= OLD_MOST {
                return;
            }
            if !quiet {
                self.counter.missed(format!("it was rotated more than {OLD_MOST} times in a minute"));
            }
            if let Some(mut oldest) = self.old.pop_front() {
                oldest.end(&mut self.counter);
            }
        }
    }
}

#[cfg(test)]
mod tests;
