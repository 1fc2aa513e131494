//! One file of a log, and how far it was read.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use super::{count::Counter, lines::Lines};

/// Number of bytes before the place of reading by which a file that was written anew is noticed.
const MARK: usize = 64;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// A file, and how far it was read.
pub(super) struct Place {
    file: File,
    /// Its device and its inode. No other file gets them while this one is open.
    pub(super) id: (u64, u64),
    at: u64,
    /// The last bytes before `at`.
    mark: Vec<u8>,
    lines: Lines,
    /// When something was last read.
    pub(super) news_us: u64,
}

impl Place {
    /// A file that is read from its beginning.
    pub(super) fn at_start(file: File, about: &Metadata, now_us: u64) -> Self {
        let id = (about.dev(), about.ino());
        Self { file, id, at: 0, mark: Vec::new(), lines: Lines::default(), news_us: now_us }
    }

    /// A file that is read from its end.
    pub(super) fn at_end(file: File, about: &Metadata, now_us: u64) -> io::Result<Self> {
        let mut new = Self::at_start(file, about, now_us);
        new.go_to(about.len())?;
        Ok(new)
    }

    /// Goes on at a place without reading what is before it.
    fn go_to(&mut self, at: u64) -> io::Result<()> {
        let mut mark = vec![0; usize::try_from(at).unwrap_or(MARK).min(MARK)];
        let from = at - mark.len() as u64;
        self.file.read_exact_at(&mut mark, from)?;
        // A line that was begun before is not read.
        let begun = mark.last().is_some_and(|last| *last != b'\n');
        self.lines = if begun { Lines::in_the_middle() } else { Lines::default() };
        (self.at, self.mark) = (at, mark);
        Ok(())
    }

    /// Reads what is new, within the bounds of the bin.
    pub(super) fn read(&mut self, counter: &mut Counter, now_us: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if self.was_rewritten(length)? {
            counter.missed(
                "the file was truncated; what was written just before may not have been read".to_owned(),
            );
            self.end(counter);
            (self.at, self.mark) = (0, Vec::new());
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            let most = usize::try_from(counter.left).unwrap_or(CHUNK).min(CHUNK);
            let count = match self.file.read_at(&mut buffer[..most], self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                break;
            }
            self.news_us = now_us;
            counter.left -= count as u64;
            self.advance(&buffer[..count]);
            self.lines.take(&buffer[..count], &mut |line| counter.line(&line));
        }
        if counter.left == 0 {
            self.skip(counter)?;
        }
        Ok(())
    }

    /// Goes on at the present end.
    fn skip(&mut self, counter: &mut Counter) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length <= self.at {
            return Ok(());
        }
        let skipped = length - self.at;
        counter.missed(format!("more was written in a second than is read; {skipped} bytes were skipped"));
        self.go_to(length)
    }

    /// The file will not go on: its last line ends.
    pub(super) fn end(&mut self, counter: &mut Counter) {
        self.lines.end(&mut |line| counter.line(&line));
    }

    /// Whether the file is not the one that was read so far: it is shorter, or other bytes stand there.
    fn was_rewritten(&self, length: u64) -> io::Result<bool> {
        if length <= self.at {
            return Ok(length < self.at);
        }
        let mut there = vec![0; self.mark.len()];
        match self.file.read_exact_at(&mut there, self.at - self.mark.len() as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            other => other.map(|()| there != self.mark),
        }
    }

    fn advance(&mut self, data: &[u8]) {
        self.at += data.len() as u64;
        self.mark.extend_from_slice(&data[data.len().saturating_sub(MARK)..]);
        let over = self.mark.len().saturating_sub(MARK);
        self.mark.drain(..over);
    }
}
