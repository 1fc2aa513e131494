//! One file of a log, and the position up to which it was read.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    time::SystemTime,
};

use firedrill_probe::clock::boot_us;
use firedrill_wire::hide::KeyBlock;

use super::{
    bounds::Bounds,
    count::{Counter, When},
    lines::Lines,
};

/// Number of bytes before the reading position that are compared, to detect a file that was rewritten.
const MARK: usize = 1024;
/// Minimum number of equal bytes at the beginning of two files of which one is a copy: more than a heading of a fixed form has.
const ALIKE: usize = 128;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Maximum time from the moment at which an append sets a file's time of change to the moment at which the file is longer.
const GROWS_US: u64 = 2_000_000;

/// The reason why the reading of a file stopped.
pub(super) enum Stopped {
    /// All of it was read.
    AtEnd,
    /// Its time of change is new and its length is not. It may grow at any moment.
    Unsure,
    /// Nothing more is to be read.
    Over,
}

/// The message for a file whose time of change is new and whose length is not.
const UNGROWN: &str = "the file was changed and did not grow; lines that were written may not have been read";

/// The time at which the content of a file last changed.
type Changed = (i64, i64);

fn changed_at(about: &Metadata) -> Changed {
    (about.mtime(), about.mtime_nsec())
}

/// Tells a file from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    device: u64,
    inode: u64,
    /// Inodes of removed files are used again.
    pub(super) born: Option<SystemTime>,
}

impl Id {
    pub(super) fn of(about: &Metadata) -> Self {
        Self { device: about.dev(), inode: about.ino(), born: about.created().ok() }
    }
}

/// Returns the lines of a file that are read after these bytes. The rest of a line that has begun there is not read.
fn lines_after(mark: &[u8]) -> Lines {
    if mark.last().is_some_and(|last| *last != b'\n') { Lines::in_the_middle() } else { Lines::default() }
}

/// The reading position of a file that is no longer open.
pub(super) struct Closed {
    pub(super) id: Id,
    at: u64,
    mark: Vec<u8>,
    read_us: u64,
}

/// A file, and the position up to which it was read.
pub(super) struct Place {
    pub(super) file: File,
    pub(super) id: Id,
    at: u64,
    /// The last bytes before `at`.
    mark: Vec<u8>,
    lines: Lines,
    /// A private key of several lines.
    key: KeyBlock,
    /// The time of its last change when all of it had been read.
    changed: Option<Changed>,
    /// The time since which that time differs and the file has not grown.
    pub(super) unsure_us: Option<u64>,
    /// Everything that was written to it before that time has been read.
    read_us: u64,
    /// The time after which the line was written that has begun and not ended.
    begun_us: Option<u64>,
    /// The time at which bytes were last read.
    pub(super) news_us: u64,
    /// Whether it has no name any more.
    pub(super) nameless: bool,
}

impl Place {
    /// A file that is read from its beginning, and was written after `since_us`.
    pub(super) fn at_start(file: File, about: &Metadata, since_us: u64) -> Self {
        Self {
            file,
            id: Id::of(about),
            at: 0,
            mark: Vec::new(),
            lines: Lines::default(),
            key: KeyBlock::default(),
            changed: None,
            unsure_us: None,
            read_us: since_us,
            begun_us: None,
            news_us: boot_us(),
            nameless: about.nlink() == 0,
        }
    }

    /// A file that is read from its end, which it had after `since_us`.
    pub(super) fn at_end(file: File, about: &Metadata, since_us: u64) -> io::Result<Self> {
        let mut new = Self::at_start(file, about, since_us);
        new.go_to(about.len())?;
        new.changed = Some(changed_at(about));
        Ok(new)
    }

    /// A file that was read before and closed. The rest of a line that was begun then is dropped: its beginning was counted.
    pub(super) fn again(file: File, about: &Metadata, closed: Closed) -> Self {
        let mut new = Self::at_start(file, about, closed.read_us);
        (new.lines, new.at, new.mark) = (lines_after(&closed.mark), closed.at, closed.mark);
        new
    }

    /// Closes it, after the line that has begun was counted by [`Place::end`].
    pub(super) fn close(self) -> Closed {
        Closed { id: self.id, at: self.at, mark: self.mark, read_us: self.read_us }
    }

    /// Continues at a position, and skips all bytes before it.
    fn go_to(&mut self, at: u64) -> io::Result<()> {
        let mut mark = vec![0; usize::try_from(at).unwrap_or(MARK).min(MARK)];
        let from = at - mark.len() as u64;
        self.file.read_exact_at(&mut mark, from)?;
        self.lines = lines_after(&mark);
        (self.at, self.mark, self.begun_us) = (at, mark, None);
        self.key = KeyBlock::default();
        Ok(())
    }

    /// Reads new bytes, within the bounds of the bin.
    pub(super) fn read(&mut self, counter: &mut Counter, bounds: &Bounds<'_>) -> io::Result<Stopped> {
        let now_us = boot_us();
        if self.look_for_changes(now_us, &self.file.metadata()?, counter)? {
            return Ok(Stopped::Unsure);
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            if bounds.are_over() {
                return Ok(Stopped::Over);
            }
            let most = usize::try_from(counter.left).unwrap_or(CHUNK).min(CHUNK);
            let count = match self.file.read_at(&mut buffer[..most], self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                break;
            }
            self.news_us = now_us;
            counter.left = counter.left.saturating_sub(count as u64);
            self.advance(&buffer[..count]);
            let (key, begun_us, since_us) = (&mut self.key, &mut self.begun_us, self.read_us);
            self.lines.take(&buffer[..count], &mut |line| {
                let in_key = key.takes(line.text);
                counter.line(&line, When::Since(begun_us.take().unwrap_or(since_us)), in_key);
            });
            if self.lines.have_begun() {
                self.begun_us.get_or_insert(self.read_us);
            }
        }
        if counter.left == 0 {
            self.skip(counter)?;
        }
        let about = self.file.metadata()?;
        // What was written since the last read is longer, and tells nothing of what stood there before.
        self.changed = (about.len() == self.at).then(|| changed_at(&about));
        self.nameless = about.nlink() == 0;
        self.read_us = now_us;
        Ok(Stopped::AtEnd)
    }

    /// Continues at the present end.
    fn skip(&mut self, counter: &mut Counter) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length <= self.at {
            return Ok(());
        }
        let skipped = length - self.at;
        counter.missed(format!("more was written in a second than is read; {skipped} bytes were skipped"));
        self.go_to(length)
    }

    /// Ends the reading. Counts the last line, which nobody will complete.
    pub(super) fn end(&mut self, counter: &mut Counter) {
        if self.unsure_us.take().is_some() {
            counter.missed(UNGROWN.to_owned());
        }
        self.end_line(counter);
    }

    fn end_line(&mut self, counter: &mut Counter) {
        let (key, since_us) = (&mut self.key, self.begun_us.take().unwrap_or(self.read_us));
        self.lines.end(&mut |line| {
            let in_key = key.takes(line.text);
            counter.line(&line, When::Since(since_us), in_key);
        });
    }

    /// Begins anew with a file that is not the one that was read so far: it is shorter, or other bytes stand there. Returns whether
    /// nothing can be said yet: an append changes the time of a file before its length, on a slow disk long before.
    fn look_for_changes(&mut self, now_us: u64, about: &Metadata, counter: &mut Counter) -> io::Result<bool> {
        let length = about.len();
        let changed = self.changed.is_some_and(|at| at != changed_at(about));
        if length == self.at && !changed {
            self.unsure_us = None;
            return Ok(false);
        }
        if length < self.at || !self.has_mark()? {
            counter.missed(
                "the file was truncated; what was written just before may not have been read".to_owned(),
            );
            self.end_line(counter);
            self.go_to(0)?;
        } else if length == self.at {
            if now_us.saturating_sub(*self.unsure_us.get_or_insert(now_us)) < GROWS_US {
                return Ok(true);
            }
            // To read the same lines again would count them twice if only the time was set.
            counter.missed(UNGROWN.to_owned());
        }
        self.unsure_us = None;
        Ok(false)
    }

    /// Whether the bytes that were read last still stand there.
    fn has_mark(&self) -> io::Result<bool> {
        let mut there = vec![0; self.mark.len()];
        match self.file.read_exact_at(&mut there, self.at - self.mark.len() as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            other => other.map(|()| there == self.mark),
        }
    }

    /// Whether another file begins like this one: an editor, `sed -i` or `rsync` wrote a copy that took the name.
    pub(super) fn is_copied_to(&self, file: &File, about: &Metadata) -> bool {
        let Ok(own) = self.file.metadata() else { return false };
        // What was changed or added may stand in the second half.
        let length = usize::try_from(own.len().min(about.len()) / 2).unwrap_or(MARK).min(MARK);
        let (mut one, mut other) = (vec![0; length], vec![0; length]);
        let read = |file: &File, to: &mut Vec<u8>| file.read_exact_at(to, 0).is_ok();
        length >= ALIKE && read(&self.file, &mut one) && read(file, &mut other) && one == other
    }

    fn advance(&mut self, data: &[u8]) {
        self.at += data.len() as u64;
        self.mark.extend_from_slice(&data[data.len().saturating_sub(MARK)..]);
        let over = self.mark.len().saturating_sub(MARK);
        self.mark.drain(..over);
    }
}
