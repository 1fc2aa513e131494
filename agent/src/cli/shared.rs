//! Exit codes, times and words that several verbs share.

use std::{borrow::Cow, process::ExitCode, time::Duration};

use firedrill_wire::text::{TEXT_MOST, clean};

/// The exit code of bad usage.
pub(super) const EXIT_USAGE: u8 = 2;
/// The answer where records are damaged: no open injection does not mean that nothing is in force.
pub(super) const NONE_KNOWN: &str = "nothing is known to be in force, but more may be than the records tell";
/// Maximum time in which a live agent answers.
pub(super) const ALIVE: Duration = Duration::from_secs(3);
/// Maximum time for a dying agent to put things back before another process does it too.
pub(super) const DYING: Duration = Duration::from_secs(60);
/// Maximum time for an agent to end that listens and does not answer.
pub(super) const HUNG: Duration = Duration::from_secs(2);

/// A text of somebody else in one line, as it may be shown on a terminal.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    clean(text, TEXT_MOST)
}

/// Says why nothing can be done. Returns the exit code of bad usage.
pub(super) fn fail(what: &str) -> ExitCode {
    eprintln!("firedrill-agent: {what}");
    ExitCode::from(EXIT_USAGE)
}
