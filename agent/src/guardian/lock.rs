//! One agent at a time: a lock on a file in the state directory, shared by an agent's three processes.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use crate::host::Paths;

/// The lock. Children forked with it hold it too; it is free when the last of them is gone.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for as long as it is open")] OwnedFd);

impl Lock {
    /// Takes it, waiting for an agent that still puts things back.
    ///
    /// # Errors
    /// Another agent runs and does not end within that time (`WouldBlock`), or the file cannot be made.
    pub fn take(paths: &Paths, patience: Duration) -> io::Result<Self> {
        let dir = &paths.state;
        std::fs::create_dir_all(dir).map_err(|error| cannot("create the directory", dir, &error))?;
        let path = paths.state.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        // On a disk that cannot be written, a lock that is there can still be held.
        let file: File = file
            .or_else(|error| File::open(&path).map_err(|_| error))
            .map_err(|error| cannot("open", &path, &error))?;
        let until = Instant::now() + patience;
        let mut said = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file.into())),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::info!("waiting for another agent to let go of {}", path.display());
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(io::Error::new(
                        io::ErrorKind::WouldBlock,
                        format!(
                            "another agent holds {} and does not end; look who with `fuser`",
                            path.display()
                        ),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}
