//! A line of the audit log.

use serde::{Deserialize, Serialize};

/// The first line has this text in place of a digest, because no line is before it.
pub(super) const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line: who did what, and how that went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The format's version.
    pub(crate) v: u32,
    /// The line's number: 1 for the first, and one more for each next line.
    pub(crate) n: u64,
    /// The time, RFC 3339 UTC.
    pub(crate) at: String,
    /// The person; empty if nobody was logged in.
    pub(crate) by: String,
    /// The way by which the person came: `session 7`, `token NAME`, or `command line` with the system's user.
    pub(crate) via: String,
    /// The action.
    pub(crate) what: String,
    /// The object of the action: a run, a person or a session.
    pub(crate) on: String,
    /// The result.
    pub(crate) outcome: String,
    /// The SHA-256 of the line before, without its line break, in hexadecimal digits.
    pub(crate) prev: String,
}

/// The content of a line, before it has its place in the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deed {
    /// As in [`Line`].
    pub(crate) by: String,
    /// As in [`Line`].
    pub(crate) via: String,
    /// As in [`Line`].
    pub(crate) what: &'static str,
    /// As in [`Line`].
    pub(crate) on: String,
    /// As in [`Line`].
    pub(crate) outcome: String,
}
