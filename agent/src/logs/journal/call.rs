//! One call of `journalctl`: it writes the entries that are new, and ends. Never interprets an entry.
//!
//! A call that ends well has read everything that was in the journal when the call began. If the agent dies, its calls end by
//! themselves, or when they write into a pipe that has no reader any more.

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

/// Maximum length of an entry as JSON, in bytes. A longer entry is not read.
const ENTRY_MOST: usize = 1024 * 1024;
/// Maximum number of bytes of a call's standard error that are kept.
const STDERR_MOST: usize = 64 * 1024;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// A call under way. Dropping it kills the program.
pub(super) struct Call {
    child: Child,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    /// The time at which it began (CLOCK_BOOTTIME, microseconds).
    pub(super) began_us: u64,
    began: Instant,
    /// Number of bytes that it has written to its standard output.
    pub(super) bytes: u64,
    /// The line that has begun and not ended.
    line: Vec<u8>,
    /// Whether the rest of that line is dropped, because it is too long.
    dropping: bool,
    /// The bytes that it has written to its standard error.
    stderr: Vec<u8>,
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
    pub(super) stderr: String,
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Call {
    /// Starts the program with these arguments. `began_us` is the present time (CLOCK_BOOTTIME, microseconds).
    pub(super) fn start(program: &Path, args: &[String], began_us: u64) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (line, stderr, began) = (Vec::new(), Vec::new(), Instant::now());
        let new = Self { child, out, err, began_us, began, bytes: 0, line, dropping: false, stderr };
        new.out.as_ref().map_or(Ok(()), |out| set_nonblocking(out.as_fd()))?;
        new.err.as_ref().map_or(Ok(()), |err| set_nonblocking(err.as_fd()))?;
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
            // The program has closed both pipes. It is about to end.
            let Some(status) = self.child.try_wait()? else {
                std::thread::sleep(at_most.min(Duration::from_millis(1)));
                return Ok(None);
            };
            let stderr = String::from_utf8_lossy(&self.stderr).trim().to_owned();
            return Ok(Some(Ended { status, stderr }));
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
        let Some(read) = self.err.as_mut().map(|err| read_once(err, &mut buffer)) else { return Ok(()) };
        match read? {
            Some(0) => self.err = None,
            Some(count) => {
                let room = STDERR_MOST - self.stderr.len();
                self.stderr.extend_from_slice(&buffer[..count.min(room)]);
            }
            None => {}
        }
        Ok(())
    }

    fn take_entries(&mut self, each: &mut dyn FnMut(Written<'_>)) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let Some(read) = self.out.as_mut().map(|out| read_once(out, &mut buffer)) else { return Ok(()) };
        match read? {
            Some(0) => {
                self.out = None;
                // A line without a line break is cut. The caller sees that it is no entry.
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

    /// Splits bytes into lines, and hands on each line that ends in them.
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

/// Reads once, and returns the number of bytes; 0 at the end, `None` if there is nothing yet.
fn read_once(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match from.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
