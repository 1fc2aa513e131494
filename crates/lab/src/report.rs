//! The report by which a part of the lab tells its parent that it has started or failed, and the file descriptors that a part inherits.
//! Never starts a part.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
};

use serde::{Deserialize, Serialize};

use crate::LabError;

/// The report of a part of the lab. Without an error, the part has started.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The reason why the part did not start.
    pub(crate) error: Option<String>,
    /// The error number, if a system call failed.
    pub(crate) errno: Option<i32>,
    /// The number of the descriptor, in the host's first process, that listens for `reboot(2)`.
    pub(crate) reboot_listener: Option<RawFd>,
}

impl Report {
    /// Makes the report of an error, with all its causes.
    pub(crate) fn of(error: &LabError) -> Self {
        let mut text = error.to_string();
        let mut errno = None;
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            errno = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error).or(errno);
            source = cause.source();
        }
        Self { error: Some(text), errno, reboot_listener: None }
    }

    /// Sends the report and closes the pipe.
    pub(crate) fn send(&self, to: OwnedFd) {
        if let Ok(json) = serde_json::to_vec(self) {
            // A failure is ignored: it means that the parent, which reads the pipe, has ended.
            let _ = File::from(to).write_all(&json);
        }
    }

    /// Parses the bytes that were read from the pipe. If there are none, the part ended before it could report, and that is the error.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Self { error: Some("it ended without a word".into()), ..Self::default() })
    }
}

/// Takes ownership of the descriptors that a part inherited. `words` are their numbers. `None` if one is not an open descriptor.
pub(crate) fn inherited(words: &[String]) -> Option<Vec<OwnedFd>> {
    words
        .iter()
        .map(|word| {
            let fd: RawFd = word.parse().ok()?;
            rustix::io::fcntl_getfd(
                // SAFETY: only checks whether the number is an open descriptor.
                unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) },
            )
            .ok()?;
            // SAFETY: the parent opened the descriptor for this process, and no other code uses the number.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
            Some(fd)
        })
        .collect()
}
