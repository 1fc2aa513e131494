//! The error of a command, for people.

use std::{error::Error, fmt};

use annotate_snippets::renderer::{DEFAULT_EMPHASIS_STYLE, DEFAULT_ERROR_STYLE, DEFAULT_HELP_STYLE};

use crate::terminal::harmless;

/// The result of a command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error with a message, the causes below it, and the next step. Any error is converted by `?`, with its sources
/// as causes.
///
/// It does not implement [`Error`], because that would conflict with the conversion from every error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    help: Option<String>,
}

impl Failure {
    /// Creates an error without causes.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), help: None }
    }

    /// Adds the next step.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Puts a message in front; the message so far becomes the first cause.
    #[must_use]
    pub fn wrap(mut self, message: impl Into<String>) -> Self {
        self.causes.insert(0, std::mem::replace(&mut self.message, message.into()));
        self
    }

    /// Returns the causes, without those whose text is part of the message or of an earlier cause.
    fn causes(&self) -> impl Iterator<Item = &str> {
        self.causes.iter().enumerate().filter_map(|(place, cause)| {
            let mut above = std::iter::once(&self.message).chain(&self.causes[..place]);
            (!above.any(|text| text.contains(cause.as_str()))).then_some(cause.as_str())
        })
    }

    /// Formats the error for a terminal, in the style of problems in files; without a line break at the end.
    pub(super) fn styled(&self) -> String {
        let (error, help, bold) = (DEFAULT_ERROR_STYLE, DEFAULT_HELP_STYLE, DEFAULT_EMPHASIS_STYLE);
        let mut text = format!("{error}error{error:#}{bold}: {}{bold:#}", hanging(&self.message, 7));
        for cause in self.causes() {
            text += &format!("\n  {bold}caused by{bold:#}: {}", hanging(cause, 13));
        }
        if let Some(advice) = &self.help {
            text += &format!("\n{help}help{help:#}: {}", hanging(advice, 6));
        }
        text
    }
}

/// Makes a text harmless for a terminal, and indents all its lines but the first by `indent` columns.
fn hanging(text: &str, indent: usize) -> String {
    harmless(text.trim_end()).replace('\n', &format!("\n{:indent$}", ""))
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let sources = std::iter::successors(error.source(), |cause| (*cause).source());
        Self { message: error.to_string(), causes: sources.map(ToString::to_string).collect(), help: None }
    }
}

/// Formats the message and its causes on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// Adds the failed operation to an error.
pub(super) trait Wrap<T> {
    /// Puts a message above the error; see [`Failure::wrap`].
    fn wrap(self, message: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Failure>> Wrap<T> for Result<T, E> {
    fn wrap(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().wrap(message))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read fleet.toml")]
    struct Unread(#[source] io::Error);

    /// Formats a failure without colours.
    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&failure.styled()).to_string()
    }

    #[test]
    fn an_error_is_shown_with_its_sources_and_the_next_step() {
        let tried: Result<(), _> = Err(Unread(io::Error::other("the disk is gone")));
        let failure = tried.wrap("no fleet").unwrap_err().help("mount it");
        assert_eq!(
            plain(&failure),
            "error: no fleet\n  caused by: cannot read fleet.toml\n  caused by: the disk is gone\nhelp: mount it"
        );
        assert_eq!(failure.to_string(), "no fleet: cannot read fleet.toml: the disk is gone");
    }

    #[test]
    fn a_cause_that_an_earlier_text_contains_is_not_repeated() {
        let failure = Failure::from(Unread(io::Error::other("gone"))).wrap("cannot start: it is gone");
        assert_eq!(
            plain(&failure),
            "error: cannot start: it is gone\n  caused by: cannot read fleet.toml",
            "by the message, two lines above"
        );
        let failure = Failure::from(Unread(io::Error::other("fleet.toml"))).wrap("no fleet");
        assert_eq!(
            plain(&failure),
            "error: no fleet\n  caused by: cannot read fleet.toml",
            "by a cause above"
        );
    }

    #[test]
    fn lines_are_indented_and_control_characters_are_made_harmless() {
        let failure = Failure::new("it said:\n\x1b[2Jone\n\u{9b}2Jtwo\n")
            .wrap("no")
            .help("look\nat it")
            .wrap("top\nline");
        assert_eq!(
            plain(&failure),
            "error: top\n       line\n  caused by: no\n  caused by: it said:\n             ␛[2Jone\n             \
             \u{fffd}2Jtwo\nhelp: look\n      at it"
        );
    }

    #[test]
    fn colours_are_those_of_diagnostics() {
        let styled = Failure::new("no").help("yes").styled();
        assert_eq!(
            styled,
            "\u{1b}[1m\u{1b}[91merror\u{1b}[0m\u{1b}[1m: no\u{1b}[0m\n\u{1b}[1m\u{1b}[96mhelp\u{1b}[0m: yes"
        );
    }
}
