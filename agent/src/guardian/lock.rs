//! One agent at a time: a lock on a file in the state directory, shared by an agent's three processes.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
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
    /// Another agent runs and does not end within that time, or the file cannot be made.
    pub fn take(paths: &Paths, patience: Duration) -> io::Result<Self> {
        std::fs::create_dir_all(&paths.state)?;
        std::fs::create_dir_all(&paths.run)?;
        let path = paths.state.join("lock");
        let file: File =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
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
