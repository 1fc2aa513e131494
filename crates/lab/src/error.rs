//! The errors of a lab, with texts for the person who started it. Only describes failures; handles none.

use std::io;

use firedrill_netlink::{NetlinkError, Reason};

/// An error of a lab or of a request to it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The description of the fleet is invalid.
    #[error("cannot build this lab: {0}")]
    Spec(String),
    /// The kernel or its settings refuse something that a lab needs.
    #[error("this machine does not let a lab start: {what}\n{advice}")]
    NotAllowed {
        /// The step that failed, with the kernel's answer.
        what: String,
        /// A command or setting that solves the problem.
        advice: String,
    },
    /// A lab of that name is up.
    #[error("a lab named {0} is up already; end it with `firedrill lab down {0}`, or choose another name")]
    NameTaken(String),
    /// No lab of that name is up.
    #[error("no lab named {0} is up; `firedrill lab status` lists those that are")]
    NotFound(String),
    /// The lab's root refused a request.
    #[error("lab: {0}")]
    Refused(String),
    /// The process has several threads, and the kernel lets only a single-threaded one change its namespaces.
    #[error("cannot enter the lab from a process with {0} threads; enter before any runtime starts")]
    Threads(usize),
    /// A system call failed.
    #[error("failed to {doing}")]
    Os {
        /// The attempted action; it completes "failed to …".
        doing: String,
        /// The error.
        #[source]
        source: io::Error,
    },
}

impl LabError {
    /// Makes the error of a failed system call. `doing` completes "failed to …".
    pub(crate) fn os(doing: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { doing: doing.into(), source: source.into() }
    }
}

impl From<NetlinkError> for LabError {
    fn from(error: NetlinkError) -> Self {
        match error.reason {
            Reason::Refused { errno, text } => {
                let says = text.map(|text| format!(" (the kernel says: {text})")).unwrap_or_default();
                Self::os(format!("{}{says}", error.what), io::Error::from_raw_os_error(errno))
            }
            other => Self::os(error.what, io::Error::other(other.to_string())),
        }
    }
}

/// Adds the attempted action to the error of a system call.
pub(crate) trait Doing<T> {
    /// `doing` completes "failed to …".
    fn doing(self, doing: impl Into<String>) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl Into<String>) -> Result<T, LabError> {
        self.map_err(|e| LabError::os(doing, e))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_netlink_error_keeps_the_kernels_error_number_and_text() {
        let reason = Reason::Refused { errno: libc::EOPNOTSUPP, text: Some("Unknown device type".into()) };
        let error = LabError::from(NetlinkError { what: "make bridge region0".into(), reason });
        assert_eq!(error.to_string(), "failed to make bridge region0 (the kernel says: Unknown device type)");
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::EOPNOTSUPP));
    }
}
