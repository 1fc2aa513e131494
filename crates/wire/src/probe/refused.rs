//! Reasons to refuse a probe, value by value. Says which value and why; never where it stands in a file.

/// A value of a probe: its place in the probe's table of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// Whether the keys lead through the kind's own table (`http`, `tcp`).
    of_request: bool,
    keys: Vec<String>,
    /// Whether the last key itself is meant, rather than its value.
    is_key: bool,
}

impl Field {
    /// Returns a value that probes of all kinds have, such as `rate`.
    #[must_use]
    pub fn probe(key: &str) -> Self {
        Self { of_request: false, keys: vec![key.to_owned()], is_key: false }
    }

    /// Returns a value of the kind's own table, by the keys that lead to it.
    #[must_use]
    pub fn request(keys: &[&str]) -> Self {
        Self { of_request: true, keys: keys.iter().map(|key| (*key).to_owned()).collect(), is_key: false }
    }

    /// Returns a field that means the last key itself, not its value.
    #[must_use]
    pub fn its_key(self) -> Self {
        Self { is_key: true, ..self }
    }

    /// Returns the value within a table of the kind's own one.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        if self.of_request {
            self.keys.insert(0, table.to_owned());
        }
        self
    }

    /// Returns the keys that lead to the value in the table of a probe of that kind.
    #[must_use]
    pub fn path<'f>(&'f self, kind: &'f str) -> Vec<&'f str> {
        let first = self.of_request.then_some(kind);
        first.into_iter().chain(self.keys.iter().map(String::as_str)).collect()
    }

    /// Whether the last key itself is meant, rather than its value.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        self.is_key
    }
}

/// An invalid value of a probe, and why it is invalid. Never holds a secret's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {help}")]
pub struct Refusal {
    /// The invalid value.
    pub field: Field,
    /// The problem, as a sentence.
    pub what: String,
    /// The error in two or three words, for the line under an excerpt.
    pub label: &'static str,
    /// An example of a valid value, or the rule for one.
    pub help: String,
}

impl Refusal {
    /// Refuses a value.
    #[must_use]
    pub fn new(field: Field, what: impl Into<String>, label: &'static str, help: impl Into<String>) -> Self {
        Self { field, what: what.into(), label, help: help.into() }
    }
}

/// Returns the checked value; a refusal is added to `wrong` instead.
pub fn note<T>(checked: Result<T, Refusal>, wrong: &mut Vec<Refusal>) -> Option<T> {
    checked.map_err(|refusal| wrong.push(refusal)).ok()
}
