//! Reads events from the journal's file while it is being written, starting after a number.
//!
//! Holds no lock and uses little memory. A journal that was rewritten meanwhile is read again from its start.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    sync::Arc,
};

use firedrill_wire::journal::AgentEvent;

use super::record::{Record, decode};

/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// A position in the journal.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The open file with its inode number; `None` before the first read.
    file: Option<(u64, Arc<File>)>,
    /// The offset in the file of the next line, in bytes.
    offset: u64,
    /// The number of the newest event that was returned.
    after: u64,
}

impl Tail {
    /// Starts after the event with the number `after`.
    #[must_use]
    pub const fn new(path: PathBuf, after: u64) -> Self {
        Self { path, file: None, offset: 0, after }
    }

    /// Starts at `offset` of the open file. No event before it has a number above `after`.
    pub(super) fn from(path: PathBuf, after: u64, file: Arc<File>, offset: u64) -> Self {
        // If its inode number cannot be read, the file is opened by its path and read from its start.
        let file = file.metadata().ok().map(|about| (about.ino(), file));
        let offset = if file.is_some() { offset } else { 0 };
        Self { path, file, offset, after }
    }

    /// Returns the newest number that was returned.
    #[must_use]
    pub const fn after(&self) -> u64 {
        self.after
    }

    /// Returns the next events up to a number that is known to be safe on disk; empty if all were read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, up_to: u64) -> io::Result<Vec<AgentEvent>> {
        let inode = std::fs::metadata(&self.path)?.ino();
        if self.file.as_ref().is_none_or(|(known, _)| *known != inode) {
            let file = File::open(&self.path)?;
            self.file = Some((file.metadata()?.ino(), Arc::new(file)));
            self.offset = 0;
        }
        let Some((_, file)) = &self.file else { return Ok(Vec::new()) };
        let mut size = CHUNK;
        loop {
            let mut bytes = vec![0; size];
            let got = file.read_at(&mut bytes, self.offset)?;
            bytes.truncate(got);
            let Some(whole) = bytes.iter().rposition(|&byte| byte == b'\n') else {
                if got < size {
                    return Ok(Vec::new());
                }
                // The line is longer than what was read.
                size *= 2;
                continue;
            };
            let mut events = Vec::new();
            for line in bytes[..=whole].split_inclusive(|&byte| byte == b'\n') {
                if let Ok(Record::Event(event)) = decode(&line[..line.len() - 1]) {
                    if event.seq > up_to {
                        return Ok(events);
                    }
                    if event.seq > self.after {
                        self.after = event.seq;
                        events.push(event);
                    }
                }
                self.offset += line.len() as u64;
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }
}
