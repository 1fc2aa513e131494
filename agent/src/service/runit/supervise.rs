//! The files in `supervise/` of a service directory: `status`, which holds its state, and `control`, which takes commands.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use firedrill_wire::fault::ServiceManager;

use crate::{
    host::process::Stat,
    service::manager::{Phase, ServiceError, State, Unit},
};

/// The program of a service directory that runs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    Nothing,
    /// `run`.
    Service,
    /// `finish`.
    Finish,
}

/// The content of `supervise/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) run: Running,
    /// The process of that program.
    pub(super) pid: Option<i32>,
    pub(super) want_up: bool,
    pub(super) paused: bool,
    term_sent: bool,
    /// See [`State::mark`].
    pub(super) mark: String,
}

impl Status {
    /// Length of the file, in bytes.
    const LENGTH: usize = 20;

    /// Reads the status of a service.
    pub(super) fn of(unit: &Unit) -> Result<Self, ServiceError> {
        let path = Path::new(&unit.id).join("supervise/status");
        let file = fs::File::open(&path).map_err(|error| unreachable(unit, "open", "status", &error))?;
        let mut bytes = Vec::new();
        // One byte more than expected, to detect a file of another format.
        let limit = u64::try_from(Self::LENGTH + 1).unwrap_or(u64::MAX);
        let read = (&file).take(limit).read_to_end(&mut bytes).and_then(|_| file.metadata());
        let about = read.map_err(|error| unreachable(unit, "read", "status", &error))?;
        // runsv replaces the file at every command, so the file's inode and time show every command.
        let stamp = format!("{}:{}.{:09}", about.ino(), about.mtime(), about.mtime_nsec());
        Self::parse(&bytes, &stamp).ok_or_else(|| ServiceError::Failed {
            what: format!("read how {} is", unit.id),
            why: format!("{} is not a status of runsv", path.display()),
        })
    }

    /// Parses the file; `None` if it has another format. The format: the time of the last change (bytes 0 to 11), the process id (12 to
    /// 15), whether it is paused (16), the wanted state (17), whether TERM was sent (18), and the program that runs (19).
    fn parse(bytes: &[u8], stamp: &str) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        let run = match bytes[19] {
            0 => Running::Nothing,
            1 => Running::Service,
            2 => Running::Finish,
            _ => return None,
        };
        let want_up = match bytes[17] {
            b'u' => true,
            // The value is 0 before the first command for a service with a `down` file.
            b'd' | 0 => false,
            _ => return None,
        };
        let pid = i32::from_le_bytes(bytes[12..16].try_into().ok()?);
        let since: String = bytes[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        let want = if want_up { 'u' } else { 'd' };
        Some(Self {
            run,
            pid: (pid > 0).then_some(pid),
            want_up,
            paused: bytes[16] != 0,
            term_sent: bytes[18] != 0,
            mark: format!("{since}:{want}:{stamp}"),
        })
    }

    /// Returns the state of the service.
    pub(super) fn state(&self) -> State {
        let phase = match self.run {
            Running::Service if self.term_sent => Phase::Stopping,
            Running::Service => Phase::Up,
            Running::Finish => Phase::Stopping,
            // Wanted up and not running: runsv waits a second before the next start.
            Running::Nothing if self.want_up => Phase::Starting,
            Running::Nothing => Phase::Down,
        };
        let main = self.pid.filter(|_| self.run == Running::Service);
        let lives = main.and_then(|pid| Stat::read(pid).ok().flatten()).filter(|stat| !stat.is_dead());
        State {
            phase,
            wanted_up: self.want_up,
            main,
            settled: !self.term_sent && (main.is_none() || lives.is_some()),
            run: lives.map(|stat| stat.name.to_string()),
            mark: self.mark.clone(),
        }
    }
}

/// Sends commands, each of one letter.
pub(super) fn send(unit: &Unit, commands: &[u8]) -> Result<(), ServiceError> {
    let mut control = open_control(unit)?;
    control.write_all(commands).map_err(|error| unreachable(unit, "write to", "control", &error))
}

/// Opens `control`, which works only while a runsv reads from it.
pub(super) fn open_control(unit: &Unit) -> Result<fs::File, ServiceError> {
    control(unit).map_err(|error| unreachable(unit, "open", "control", &error))
}

fn control(unit: &Unit) -> io::Result<fs::File> {
    let path = Path::new(&unit.id).join("supervise/control");
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)
}

/// Whether a runsv supervises it; also true if that cannot be found out.
pub(super) fn is_supervised(unit: &Unit) -> bool {
    control(unit).map_or_else(|error| !has_no_reader(&error), |_| true)
}

/// Whether an error of opening the pipe says that no process reads from it, or that it does not exist.
fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO) || error.kind() == io::ErrorKind::NotFound
}

/// Makes the error for a file in `supervise/` that could not be used.
fn unreachable(unit: &Unit, verb: &str, file: &str, error: &io::Error) -> ServiceError {
    let dir = Path::new(&unit.id);
    if error.kind() == io::ErrorKind::NotFound && !dir.exists() {
        let looked = dir.parent().unwrap_or(dir).display().to_string();
        return ServiceError::Unknown { service: unit.name().to_owned(), looked };
    }
    let why = if has_no_reader(error) {
        format!("no runsv runs for {}", unit.id)
    } else {
        format!("cannot {verb} {}/supervise/{file}: {error}", unit.id)
    };
    ServiceError::Unreachable { manager: ServiceManager::Runit, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(pid: i32, paused: u8, want: u8, term: u8, run: u8) -> Vec<u8> {
        let mut bytes = vec![0x40, 0, 0, 0, 0x65, 0, 0, 1, 0, 0, 0, 9];
        bytes.extend(pid.to_le_bytes());
        bytes.extend([paused, want, term, run]);
        bytes
    }

    #[test]
    fn a_status_tells_the_phase() {
        let state = |bytes: &[u8]| Status::parse(bytes, "f").expect("parses").state();
        let up = state(&bytes(77, 0, b'u', 0, 1));
        assert_eq!((up.phase, up.main, up.wanted_up), (Phase::Up, Some(77), true));
        let down = state(&bytes(0, 0, b'd', 0, 0));
        assert_eq!((down.phase, down.main, down.wanted_up), (Phase::Down, None, false));
        assert_eq!(state(&bytes(0, 0, b'u', 0, 0)).phase, Phase::Starting, "the restart throttle");
        assert_eq!(state(&bytes(78, 0, b'd', 0, 2)).phase, Phase::Stopping, "finish runs");
        assert_eq!(state(&bytes(78, 0, b'd', 0, 2)).main, None, "finish is not the service");
        assert_eq!(state(&bytes(77, 0, b'd', 1, 1)).phase, Phase::Stopping, "TERM was sent");
    }

    proptest! {
        #[test]
        fn garbage_is_no_status_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(status) = Status::parse(&bytes, "f") {
                prop_assert_eq!(bytes.len(), Status::LENGTH);
                let _ = status.state();
            }
        }
    }
}
