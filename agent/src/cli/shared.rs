//! Exit codes, times and words that several verbs share.

use std::{borrow::Cow, process::ExitCode, time::Duration};

use firedrill_wire::text::{TEXT_MOST, clean};

/// The exit code of bad usage.
pub(super) const EXIT_USAGE: u8 = 2;
/// The message if the records are damaged and show no injection in force. A fault may be in force all the same.
pub(super) const NONE_KNOWN: &str = "nothing is known to be in force, but the records are damaged: a fault whose record is lost may be in force";
/// Time to wait for an agent's answer. A healthy agent answers within this time.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Time that an agent that is ending has to put things back. After that, this process does it, too.
pub(super) const DYING_TIME: Duration = Duration::from_secs(60);
/// Time to wait for the end of an agent that listens and does not answer. After that, this process puts things back.
pub(super) const HUNG_TIME: Duration = Duration::from_secs(2);

/// Cleans a text that somebody else wrote, so that it can be shown in one line on a terminal.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    clean(text, TEXT_MOST)
}

/// Prints why the command cannot do its work. Returns [`EXIT_USAGE`].
pub(super) fn fail(what: &str) -> ExitCode {
    errln!("firedrill-agent: {what}");
    ExitCode::from(EXIT_USAGE)
}
