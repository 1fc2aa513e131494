//! Asks the host about its journal: the path of `journalctl`, whether journald answers, and the logging settings of a unit. Never changes
//! anything.

use std::{
    io::{Read as _, Write as _},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use firedrill_wire::{
    api::{Finding, Grade},
    logs::shown,
};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, socket},
};

use super::{
    call::{Call, Ended, Written},
    entry::Entry,
    limit::Limits,
};
use crate::service::{Logging, logging};

/// Paths at which `journalctl` is looked for. The agent's `PATH` is not used.
const PROGRAMS: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];
/// The socket at which journald answers questions. Versions before 242 have none.
const SOCKET: &str = "/run/systemd/journal/io.systemd.journal";
/// Maximum time for the first call, before anything is read.
const FIRST: Duration = Duration::from_secs(2);
/// Maximum time for an answer of journald.
const ANSWER: Duration = Duration::from_millis(300);

/// The journal of a host.
#[derive(Clone, Debug)]
pub(in crate::logs) struct Journal {
    programs: Vec<PathBuf>,
    socket: PathBuf,
    logging: fn(&str) -> Result<Logging, String>,
}

impl Default for Journal {
    fn default() -> Self {
        let logging = |unit: &str| logging(unit).map_err(|why| why.to_string());
        Self { programs: PROGRAMS.map(PathBuf::from).into(), socket: SOCKET.into(), logging }
    }
}

impl Journal {
    /// Makes a journal whose `journalctl` is a program of a test.
    #[cfg(test)]
    pub(in crate::logs) fn played(
        program: PathBuf,
        socket: PathBuf,
        logging: fn(&str) -> Result<Logging, String>,
    ) -> Self {
        Self { programs: vec![program], socket, logging }
    }

    /// Returns the path of `journalctl`.
    ///
    /// # Errors
    /// It is not there.
    pub(super) fn program(&self) -> Result<&Path, String> {
        self.programs.iter().map(PathBuf::as_path).find(|program| program.is_file()).ok_or_else(|| {
            let names: Vec<String> =
                self.programs.iter().map(|program| program.display().to_string()).collect();
            format!(
                "there is no {}: this host has no journal, so let the program write to a file, and list that",
                names.join(" or ")
            )
        })
    }

    /// Checks that the journal has entries of this boot, and can be read.
    ///
    /// # Errors
    /// The reason why not, with what to do.
    pub(super) fn check(&self, boot: &str) -> Result<(), String> {
        let program = self.program()?;
        if !self.answers() {
            return Err(
                "systemd-journald does not answer: see `systemctl status systemd-journald`".to_owned()
            );
        }
        let args = ["--quiet", "--no-pager", "--output=json", "--output-fields=_BOOT_ID", "--lines=1"]
            .map(str::to_owned);
        let args = [&args[..], &[format!("_BOOT_ID={boot}")]].concat();
        let failed = |why: String| format!("{} cannot read the journal: {why}", program.display());
        let mut call = Call::start(program, &args, 0).map_err(|why| failed(why.to_string()))?;
        let (mut seen, until) = (false, Instant::now() + FIRST);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failed(format!(
                    "it has not answered for {} s; look at the host's disk and load",
                    FIRST.as_secs()
                )));
            }
            let mut each = |written: Written<'_>| {
                seen |= matches!(written, Written::Line(line) if Entry::parse(line).is_ok_and(|entry| entry.is_of_boot(boot)));
            };
            match call.read(left, &mut each).map_err(|why| failed(why.to_string()))? {
                None => {}
                Some(ended) if !ended.status.success() => return Err(failed(failure(&ended))),
                Some(_) if seen => return Ok(()),
                Some(ended) => {
                    let complaint = complaint(&ended).map_or_else(String::new, |line| format!(" ({line})"));
                    return Err(failed(format!(
                        "it has no entry of this boot{complaint}; start systemd-journald, and let it store messages (Storage= in journald.conf)"
                    )));
                }
            }
        }
    }

    /// Returns the rate limit of a unit; `None` if it has none.
    ///
    /// # Errors
    /// The journal has no messages under that name of the unit; the text says what to do.
    pub(super) fn unit(&self, name: &str) -> Result<Option<Limits>, String> {
        let about = (self.logging)(name)?;
        if !about.known {
            return Err(format!(
                "systemd has no unit {name}: correct the name, as `systemctl list-units` shows it"
            ));
        }
        if about.id != name {
            return Err(format!(
                "{name} is another name of {}, under which the journal has its messages: name that, also in policy.logs",
                about.id
            ));
        }
        if !about.namespace.is_empty() {
            return Err(format!(
                "{name} writes to a journal of its own (LogNamespace={}), which is not read: let it write to a file, and list that",
                about.namespace
            ));
        }
        Ok(Limits::of(about.rate_limit))
    }

    /// Whether journald answers a question that changes nothing. A journald that hangs takes no messages, and the journal then looks as if
    /// the units wrote nothing. A version without a socket for questions counts as one that answers.
    pub(super) fn answers(&self) -> bool {
        match connect(&self.socket) {
            Ok(stream) => is_answered(stream).unwrap_or(false),
            Err(error) => error == Errno::ENOENT,
        }
    }

    /// Returns the finding for `doctor` on entries of the policy that list units.
    pub(in crate::logs) fn finding(&self, boot: &str) -> Finding {
        let (grade, detail, hint) = match self.check(boot) {
            Ok(()) => (Grade::Good, "the journal can be read".to_owned(), ""),
            Err(why) => {
                (Grade::Missing, why, "until then a run that reads a unit's messages is refused on this host")
            }
        };
        Finding { what: "journal".to_owned(), grade, detail, hint: hint.to_owned() }
    }
}

/// Returns a sentence about a call that failed.
pub(super) fn failure(ended: &Ended) -> String {
    let complaint = complaint(ended).unwrap_or_else(|| "it says nothing".to_owned());
    format!("it ended with {}: {complaint}", ended.status)
}

/// Returns the first line that a call wrote to its standard error, cleaned and without secrets; `None` if there is none.
fn complaint(ended: &Ended) -> Option<String> {
    ended.stderr.lines().next().map(|line| shown(line.as_bytes()))
}

/// Connects without waiting. The connection fails if journald's queue of connections is full, as when it hangs.
fn connect(path: &Path) -> nix::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

fn is_answered(mut stream: UnixStream) -> std::io::Result<bool> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(b"{\"method\":\"org.varlink.service.GetInfo\"}\0")?;
    // Every answer counts, also that journald does not know the question.
    Ok(stream.read(&mut [0; 64])? > 0)
}
