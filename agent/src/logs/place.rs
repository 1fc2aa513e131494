//! One file of a log, and the position up to which it was read. Never opens a file.

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
/// If two files begin with this many equal bytes, one counts as a copy of the other. Fixed headings of logs are shorter.
const ALIKE: usize = 128;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Maximum time between the moment at which an append sets a file's time of change and the moment at which the file is longer, in
/// microseconds.
const GROWS_US: u64 = 2_000_000;

/// The reason why the reading of a file stopped.
pub(super) enum Stopped {
    /// The whole file was read.
    AtEnd,
    /// Its time of change is new, but its length is the same. It may grow at any moment.
    Unsure,
    /// The reader was stopped, or its time is over.
    Over,
}

/// The message for a file whose time of change is new and whose length stayed the same.
const UNGROWN: &str = "the file was changed and did not grow; lines that were written may not have been read";

/// The time at which the content of a file last changed: seconds and nanoseconds since 1970.
type Changed = (i64, i64);

fn changed_at(about: &Metadata) -> Changed {
    (about.mtime(), about.mtime_nsec())
}

/// Identifies a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    device: u64,
    inode: u64,
    /// The time of birth, because inode numbers of removed files are used again; `None` if the file system does not keep it.
    pub(super) born: Option<SystemTime>,
}

impl Id {
    pub(super) fn of(about: &Metadata) -> Self {
        Self { device: about.dev(), inode: about.ino(), born: about.created().ok() }
    }
}

/// Begins to split a file into lines after these bytes. If they end within a line, the rest of that line is dropped.
fn lines_after(mark: &[u8]) -> Lines {
    if mark.last().is_some_and(|last| *last != b'\n') { Lines::in_the_middle() } else { Lines::default() }
}

/// The reading position of a file that is no longer open. Its fields are those of [`Place`].
pub(super) struct Closed {
    pub(super) id: Id,
    at: u64,
    mark: Vec<u8>,
    read_us: u64,
}

/// An open file, and the position up to which it was read. Times are by CLOCK_BOOTTIME in microseconds.
pub(super) struct Place {
    pub(super) file: File,
    pub(super) id: Id,
    /// The reading position: number of bytes from the beginning.
    at: u64,
    /// The last bytes before `at`.
    mark: Vec<u8>,
    lines: Lines,
    /// The private key of several lines that is being read, if any.
    key: KeyBlock,
    /// The file's time of change when it was last read to its end; `None` if it has grown since.
    changed: Option<Changed>,
    /// The time since which the file's time of change differs from `changed` although it has not grown; `None` if that is not so.
    pub(super) unsure_us: Option<u64>,
    /// Everything that was written to it before this time has been read.
    read_us: u64,
    /// The line that has begun and not ended was begun after this time; `None` if there is no such line.
    begun_us: Option<u64>,
    /// The time at which bytes were last read.
    pub(super) news_us: u64,
    /// Whether the file has no name any more: it was removed.
    pub(super) nameless: bool,
}

impl Place {
    /// Makes the position of a file that is read from its beginning; its content was written after `since_us`.
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

    /// Makes the position of a file that is read from its present end; everything after it is written after `since_us`.
    pub(super) fn at_end(file: File, about: &Metadata, since_us: u64) -> io::Result<Self> {
        let mut new = Self::at_start(file, about, since_us);
        new.go_to(about.len())?;
        new.changed = Some(changed_at(about));
        Ok(new)
    }

    /// Makes the position of a file that was read before and closed. The rest of a line that had begun then is dropped: its beginning was
    /// counted as a line.
    pub(super) fn again(file: File, about: &Metadata, closed: Closed) -> Self {
        let mut new = Self::at_start(file, about, closed.read_us);
        (new.lines, new.at, new.mark) = (lines_after(&closed.mark), closed.at, closed.mark);
        new
    }

    /// Closes the file. [`Place::end`] has counted the line that had begun.
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
        // A file that has grown since the last read has a new time of change, which says nothing about the bytes that were read.
        self.changed = (about.len() == self.at).then(|| changed_at(&about));
        self.nameless = about.nlink() == 0;
        self.read_us = now_us;
        Ok(Stopped::AtEnd)
    }

    /// Skips all bytes up to the present end.
    fn skip(&mut self, counter: &mut Counter) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length <= self.at {
            return Ok(());
        }
        let skipped = length - self.at;
        counter.missed(format!("more was written in a second than is read; {skipped} bytes were skipped"));
        self.go_to(length)
    }

    /// Ends the reading. Counts the last line, even if it has no line break yet.
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

    /// Starts again at the beginning of a file that was rewritten: it is shorter, or it has other bytes before the reading position.
    /// Returns true if it is too early to decide: an append changes the time of a file before its length, on a slow disk long before.
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
            // The file is not read again from its beginning: if only its time was set, its lines would be counted twice.
            counter.missed(UNGROWN.to_owned());
        }
        self.unsure_us = None;
        Ok(false)
    }

    /// Whether the file still has the bytes before the reading position that were read.
    fn has_mark(&self) -> io::Result<bool> {
        let mut found = vec![0; self.mark.len()];
        match self.file.read_exact_at(&mut found, self.at - self.mark.len() as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            other => other.map(|()| found == self.mark),
        }
    }

    /// Whether another file begins like this one: an editor, `sed -i` or `rsync` wrote a copy that took the name.
    pub(super) fn is_copied_to(&self, file: &File, about: &Metadata) -> bool {
        let Ok(own) = self.file.metadata() else { return false };
        // Only the first half is compared: the second half may have changed or added lines.
        let length = usize::try_from(own.len().min(about.len()) / 2).unwrap_or(MARK).min(MARK);
        let (mut here, mut there) = (vec![0; length], vec![0; length]);
        let read = |file: &File, to: &mut Vec<u8>| file.read_exact_at(to, 0).is_ok();
        length >= ALIKE && read(&self.file, &mut here) && read(file, &mut there) && here == there
    }

    /// Moves the reading position after bytes that were read.
    fn advance(&mut self, data: &[u8]) {
        self.at += data.len() as u64;
        self.mark.extend_from_slice(&data[data.len().saturating_sub(MARK)..]);
        let over = self.mark.len().saturating_sub(MARK);
        self.mark.drain(..over);
    }
}
