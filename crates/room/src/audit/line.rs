//! A line of the audit log.

use serde::{Deserialize, Serialize};

/// The version of the format that this program writes.
pub(super) const VERSION: u32 = 1;
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
    /// The person who acted, or who made the token of the program that acted; empty if that is not known, or the server itself acted.
    pub(crate) by: String,
    /// The way by which the person or the program came, such as `session 7`, `token NAME` or `command line`. For what the server does by itself:
    /// `server` or `audit log`.
    pub(crate) via: String,
    /// The action in a word.
    pub(crate) what: String,
    /// The object of the action, such as a run, a person or a session; may be empty.
    pub(crate) on: String,
    /// The result, or the reason why the action was refused.
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
