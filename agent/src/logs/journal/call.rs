//! One call of `journalctl`: it writes the entries that are new, and ends.
//!
//! A call that ends well has read all that the journal had when it began, which no following reader can say. Nobody has to end
//! calls of an agent that died: they end by themselves, or when they write into a pipe that nobody reads.

use std::{
    io::{self, ErrorKind, Read},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// Maximum length of an entry, in the form of JSON. A longer one is not read.
const ENTRY_MOST: usize = 1024 * 1024;
/// Maximum number of bytes of its standard error that are kept.
const SAID_MOST: usize = 64 * 1024;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// A call under way. It is killed where this is dropped.
pub(super) struct Call {
    child: Child,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    /// The time at which it began (CLOCK_BOOTTIME, microseconds).
    pub(super) began_us: u64,
    began: Instant,
    /// Number of bytes of entries that it has written.
    pub(super) bytes: u64,
    line: Vec<u8>,
    dropping: bool,
    said: Vec<u8>,
}

/// A piece of the output of a call.
pub(super) enum Written<'w> {
    /// A line.
    Line(&'w [u8]),
    /// The beginning of a line that is too long.
    TooLong,
}

/// The end of a call.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The text that it wrote to its standard error.
    pub(super) said: String,
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn without_waiting(fd: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Call {
    pub(super) fn start(program: &Path, words: &[String], began_us: u64) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(words)
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (line, said, began) = (Vec::new(), Vec::new(), Instant::now());
        let new = Self { child, out, err, began_us, began, bytes: 0, line, dropping: false, said };
        new.out.as_ref().map_or(Ok(()), |out| without_waiting(out.as_fd()))?;
        new.err.as_ref().map_or(Ok(()), |err| without_waiting(err.as_fd()))?;
        Ok(new)
    }

    /// Returns the time since it began.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for output for at most that time, and hands it on. Returns the end of the call, once it has ended.
    pub(super) fn read(
        &mut self,
        at_most: Duration,
        each: &mut dyn FnMut(Written<'_>),
    ) -> io::Result<Option<Ended>> {
        let open: Vec<BorrowedFd<'_>> =
            [self.out.as_ref().map(AsFd::as_fd), self.err.as_ref().map(AsFd::as_fd)]
                .into_iter()
                .flatten()
                .collect();
        if open.is_empty() {
            let Some(status) = self.child.try_wait()? else {
                std::thread::sleep(at_most.min(Duration::from_millis(1)));
                return Ok(None);
            };
            let said = String::from_utf8_lossy(&self.said).trim().to_owned();
            return Ok(Some(Ended { status, said }));
        }
        let mut wanted: Vec<PollFd<'_>> = open.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
        match poll(&mut wanted, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(why) => return Err(why.into()),
        }
        self.take_errors()?;
        self.take_entries(each)?;
        Ok(None)
    }

    fn take_errors(&mut self) -> io::Result<()> {
        let mut buffer = [0; 1024];
        let Some(read) = self.err.as_mut().map(|err| once(err, &mut buffer)) else { return Ok(()) };
        match read? {
            Some(0) => self.err = None,
            Some(count) => {
                let room = SAID_MOST - self.said.len();
                self.said.extend_from_slice(&buffer[..count.min(room)]);
            }
            None => {}
        }
        Ok(())
    }

    fn take_entries(&mut self, each: &mut dyn FnMut(Written<'_>)) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let Some(read) = self.out.as_mut().map(|out| once(out, &mut buffer)) else { return Ok(()) };
        match read? {
            Some(0) => {
                self.out = None;
                // A line that has no end is no entry.
                if !self.line.is_empty() {
                    each(Written::Line(&std::mem::take(&mut self.line)));
                }
            }
            Some(count) => {
                self.bytes += count as u64;
                self.split(&buffer[..count], each);
            }
            None => {}
        }
        Ok(())
    }

    fn split(&mut self, data: &[u8], each: &mut dyn FnMut(Written<'_>)) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if !self.dropping && self.line.len() + text.len() > ENTRY_MOST {
                self.line.clear();
                self.dropping = true;
                each(Written::TooLong);
            }
            if !self.dropping {
                self.line.extend_from_slice(text);
            }
            if ends {
                if !std::mem::take(&mut self.dropping) && !self.line.is_empty() {
                    each(Written::Line(&self.line));
                }
                self.line.clear();
            }
        }
    }
}

/// Reads once; `None` if there is nothing yet.
fn once(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match from.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
