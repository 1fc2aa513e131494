//! Conditions for a good answer, compiled once. Reads nothing.

use firedrill_wire::probe::{HttpProbe, JsonBound, Statuses};
use http::StatusCode;
use regex::bytes::Regex;

/// Conditions for a good answer.
pub(super) struct Wanted {
    status: Option<Statuses>,
    contains: Option<Vec<u8>>,
    matches: Option<Regex>,
    json: Option<Box<JsonBound>>,
}

impl Wanted {
    /// Takes the pattern that was compiled when the probe was checked.
    pub(super) fn new(probe: &HttpProbe, matches: Option<Regex>) -> Self {
        Self {
            status: probe.status.clone(),
            contains: probe.contains.clone().map(String::into_bytes),
            matches,
            json: probe.json.clone(),
        }
    }

    /// Whether a status is good.
    pub(super) fn status(&self, status: StatusCode) -> bool {
        self.status.as_ref().map_or(status.is_success(), |wanted| wanted.has(status.as_u16()))
    }

    /// Whether bodies are looked at.
    pub(super) const fn reads(&self) -> bool {
        self.contains.is_some() || self.matches.is_some() || self.json.is_some()
    }

    /// Whether a body is good, by its beginning. `whole` says that nothing follows.
    pub(super) fn body(&self, body: &[u8], whole: bool) -> bool {
        let has = |text: &Vec<u8>| text.is_empty() || body.windows(text.len()).any(|part| part == text);
        self.contains.as_ref().is_none_or(has)
            && self.matches.as_ref().is_none_or(|pattern| pattern.is_match(body))
            && self.json.as_ref().is_none_or(|bound| whole && bound.holds(body))
    }
}
