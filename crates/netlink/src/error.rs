//! Errors of requests, with the kernel's own text if it has one.

use std::io;

use crate::{attr::attributes, flag::flag};

/// The attribute with the kernel's own text in an error.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A request over netlink failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not {what}: {reason}")]
pub struct NetlinkError {
    /// The attempt and its object; completes "could not".
    pub what: String,
    /// The reason.
    pub reason: Reason,
}

/// The reason why a request over netlink failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The kernel refused, or the socket failed.
    #[error("{}{}", io::Error::from_raw_os_error(*.errno), kernel_says(.text.as_deref()))]
    Refused {
        /// The errno.
        errno: i32,
        /// The kernel's own text.
        text: Option<String>,
    },
    /// The objects changed during each try to list them.
    #[error("it changed whenever it was read")]
    Disturbed,
    /// The object belongs to another owner, or somebody else has removed it; the text says which.
    #[error("{0}")]
    Owned(String),
    /// The answer could not be parsed; the text names what is wrong with it.
    #[error("the kernel's answer makes no sense: {0}")]
    Nonsense(String),
    /// The request is too long; the text names the part that is.
    #[error("the request is too long ({0})")]
    TooLong(String),
}

/// Returns the kernel's own text as the end of a sentence; empty if there is none.
fn kernel_says(text: Option<&str>) -> String {
    text.map(|text| format!(" (the kernel says: {text})")).unwrap_or_default()
}

impl NetlinkError {
    /// Makes the error of a system call; `what` completes "could not". An error without an errno counts as `EIO`.
    #[must_use]
    pub fn io(what: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Self { what: what.to_owned(), reason: Reason::Refused { errno, text: None } }
    }

    /// Returns the errno, if there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self.reason {
            Reason::Refused { errno, .. } => Some(errno),
            _ => None,
        }
    }

    /// Parses NLMSG_ERROR or NLMSG_DONE. `flags` and `kind` are those of the message; a code of 0 is success.
    pub(crate) fn check(what: &str, flags: u16, body: &[u8], kind: libc::c_int) -> Result<(), Self> {
        let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
        if code == 0 {
            return Ok(());
        }
        // The offset of the attributes. An error repeats the request after its code of 4 bytes; with NLM_F_CAPPED only
        // the request's header of 16 bytes.
        let offset = if kind == libc::NLMSG_DONE {
            4
        } else if flags & flag(libc::NLM_F_CAPPED) != 0 {
            20
        } else {
            let length =
                body.get(4..8).and_then(|length| length.try_into().ok()).map_or(16, u32::from_ne_bytes);
            4 + usize::try_from(length).unwrap_or(16).next_multiple_of(4)
        };
        let text = (flags & flag(libc::NLM_F_ACK_TLVS) != 0)
            .then(|| body.get(offset..).unwrap_or_default())
            .and_then(|tlvs| attributes(tlvs).find(|(attr, _)| *attr == NLMSGERR_ATTR_MSG))
            .map(|(_, text)| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        let reason = Reason::Refused { errno: code.saturating_neg(), text };
        Err(Self { what: what.to_owned(), reason })
    }
}
