//! Reasons to refuse a probe, value by value. Says which value and why; never where it stands in a file.

use firedrill_wire::Span;

/// A value of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Requests a second.
    Rate,
    /// The time-out.
    Timeout,
    /// Whether connections are used again.
    Connection,
    /// The URL of an HTTP probe.
    Url,
    /// Its method.
    Method,
    /// The status that is good.
    Status,
    /// The text that the body must contain.
    Contains,
    /// The name of the header that is called so.
    HeaderName(String),
    /// The value of the header that is called so.
    HeaderValue(String),
    /// All headers together.
    Headers,
    /// The body.
    Body,
    /// The source of the bearer token.
    Bearer,
    /// The file of authorities.
    CaFile,
    /// The secret of that name.
    Secret(String),
    /// The address of a TCP probe.
    Address,
}

impl Field {
    /// The way to the value in a probe's table of a scenario, a key at each step.
    #[must_use]
    pub fn path(&self) -> Vec<&str> {
        match self {
            Self::Rate => vec!["rate"],
            Self::Timeout => vec!["timeout"],
            Self::Connection => vec!["connection"],
            Self::Url => vec!["http", "url"],
            Self::Method => vec!["http", "method"],
            Self::Status => vec!["http", "status"],
            Self::Contains => vec!["http", "contains"],
            Self::HeaderName(name) | Self::HeaderValue(name) => vec!["http", "headers", name],
            Self::Headers => vec!["http", "headers"],
            Self::Body => vec!["http", "body"],
            Self::Bearer => vec!["http", "bearer"],
            Self::CaFile => vec!["http", "ca_file"],
            Self::Secret(name) => vec!["http", "secrets", name],
            Self::Address => vec!["tcp", "address"],
        }
    }

    /// Whether it is the last key of the way itself, rather than what stands behind it.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        matches!(self, Self::HeaderName(_))
    }
}

/// A value that cannot be. Never holds a secret's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {help}")]
pub struct Refusal {
    /// Which value.
    pub field: Field,
    /// The problem, as a sentence.
    pub what: String,
    /// The same in two or three words, for a caret.
    pub label: &'static str,
    /// An example of a valid value, or the rule for one.
    pub help: String,
}

impl Refusal {
    /// The value is not possible.
    pub(crate) fn new(
        field: Field,
        what: impl Into<String>,
        label: &'static str,
        help: impl Into<String>,
    ) -> Self {
        Self { field, what: what.into(), label, help: help.into() }
    }
}

/// Keeps what is right, and puts what is wrong to the others.
pub(crate) fn note<T>(checked: Result<T, Refusal>, wrong: &mut Vec<Refusal>) -> Option<T> {
    checked.map_err(|refusal| wrong.push(refusal)).ok()
}

/// The shortest time-out that a probe may have.
const LEAST_TIMEOUT: Span = Span::millis(1);

/// The longest one.
const MOST_TIMEOUT: Span = Span::secs(60);

/// Reasons to refuse a rate (requests a second) or a time-out, whatever is asked.
#[must_use]
pub fn pace(rate: f64, timeout: Span) -> Vec<Refusal> {
    use crate::schedule::{MOST_RATE, requests_within};
    let mut wrong = Vec::new();
    if !(rate > 0.0 && rate <= MOST_RATE) || requests_within(rate, std::time::Duration::ZERO).is_none() {
        // A number with hundreds of digits is no help.
        let exponent = rate != 0.0 && !(1e-6..1e15).contains(&rate.abs());
        let shown = if exponent { format!("{rate:e}") } else { rate.to_string() };
        let what = format!("a rate of {shown} a second cannot be");
        let help = format!("more than 0, at most {MOST_RATE}");
        wrong.push(Refusal::new(Field::Rate, what, "requests a second", help));
    }
    if timeout < LEAST_TIMEOUT || timeout > MOST_TIMEOUT {
        let what = format!("a time-out of {timeout} cannot be");
        let help = format!("from {LEAST_TIMEOUT} to {MOST_TIMEOUT}");
        wrong.push(Refusal::new(Field::Timeout, what, "a time-out", help));
    }
    wrong
}
