//! Follows a log while it is written: reads what was appended, whole lines only. Never writes, follows no link, and waits for no other
//! program.

use std::{
    io::{self, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use firedrill_judge::log::Record;

use crate::runs::{Course, LINE_MOST, open_file, read_line};

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    /// Byte offset of the first line that was not read yet.
    offset: u64,
    /// Maximum length of a line, in bytes: [`LINE_MOST`], or another number in tests.
    line_most: u64,
    /// The state of the run after all lines before `offset`.
    pub(super) course: Course,
}

impl Tail {
    /// Returns a log of which nothing was read yet.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, line_most: LINE_MOST, course: Course::default() }
    }

    /// Reads the lines that were appended since the last call. Returns true if at least one whole line was read.
    ///
    /// # Errors
    /// The log cannot be read, is no regular file, or has a line of more than `line_most` bytes.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        let mut file = open_file(&self.path)?;
        let length = file.metadata()?.len();
        if length < self.offset {
            // The file is shorter than before, so another file took its place. A replacement that is not shorter is not noticed.
            self.offset = 0;
            self.course = Course::default();
        }
        if length == self.offset {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut input = BufReader::with_capacity(1 << 16, file);
        let start = self.offset;
        let mut line = Vec::new();
        loop {
            read_line(&mut input, self.line_most, &mut line)?;
            if !line.ends_with(b"\n") {
                // The end of the file, or half a line. The half line is read again with the next call.
                return Ok(self.offset > start);
            }
            self.offset += line.len() as u64;
            // Damaged lines and records of later versions are skipped; the report names them.
            if let Ok(record) = Record::of_line(&line) {
                self.course.apply(&record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write as _,
    };

    use firedrill_judge::testing::Drill;

    use super::*;

    #[test]
    fn lines_are_read_once_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut file = File::create(&path).unwrap();
        let lines: Vec<String> =
            Drill::good().records().iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        let mut tail = Tail::of(&path);
        assert!(!tail.read().unwrap());
        for (number, line) in lines.iter().enumerate() {
            let (first, last) = line.split_at(line.len() / 2);
            write!(file, "{first}").unwrap();
            assert!(!tail.read().unwrap(), "half a line");
            writeln!(file, "{last}").unwrap();
            assert!(tail.read().unwrap());
            assert_eq!(tail.course.seq, number as u64 + 1);
        }
        assert!(tail.course.outcome.is_some() && !tail.read().unwrap());
        fs::write(&path, format!("{}\n", lines[0])).unwrap();
        assert!(tail.read().unwrap());
        assert_eq!((tail.course.seq, tail.course.outcome.is_some()), (1, false), "another log");
    }

    #[test]
    fn a_pipe_in_place_of_a_log_is_an_error_and_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(Tail::of(&path).read().is_err()));
        assert!(
            receiver.recv_timeout(std::time::Duration::from_secs(30)).expect("`read` waits for a writer")
        );
    }

    #[test]
    fn a_line_longer_than_the_limit_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        fs::write(&path, "x".repeat(1_000)).unwrap();
        let mut tail = Tail { line_most: 1_000, ..Tail::of(&path) };
        assert!(!tail.read().unwrap(), "the line may still be unfinished");
        tail.line_most = 999;
        assert!(tail.read().unwrap_err().to_string().contains("a line of more than"));
    }
}
