//! The parts of a request that may be secrets, by their place in it.

use std::{borrow::Cow, fmt};

use super::{HIDDEN, looks_secret, names_secret, placeholder};
use crate::probe::Field;

/// A part of a request that is given in clear and may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The user or the password of the URL.
    User,
    /// The value of that key of the URL's query; an empty key if there is none.
    Query(String),
    /// A piece of the URL's path.
    Path,
    /// The value of that header.
    Header(String),
    /// The body.
    Body,
    /// The text that is sent over a connection, without a protocol that Firedrill knows.
    Sent,
    /// An argument of a program.
    Argument,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("the user in the url"),
            Self::Query(key) if key.is_empty() => f.write_str("the query of the url"),
            Self::Query(key) => write!(f, "`{key}` in the url"),
            Self::Path => f.write_str("a piece of the url's path"),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Body => f.write_str("the body"),
            Self::Sent => f.write_str("the text that is sent"),
            Self::Argument => f.write_str("an argument of the program"),
        }
    }
}

/// A text that is hidden.
#[derive(Clone, PartialEq, Eq)]
pub struct Clear {
    /// The value that it is in.
    pub field: Field,
    /// The part of the request that it is in.
    pub part: Part,
    /// The text itself. Never printed.
    pub text: String,
    /// Whether it is most likely a secret, by its name or its form.
    pub sure: bool,
}

/// Written by hand: the text may be a secret and is not printed.
impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, part, text: _, sure } = self;
        f.debug_struct("Clear")
            .field("field", field)
            .field("part", part)
            .field("sure", sure)
            .finish_non_exhaustive()
    }
}

/// Hides parts of a request one after another, and keeps the hidden texts.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds what is hidden")]
pub struct Hiding {
    /// The placeholders of the request's secrets, which are shown.
    named: Vec<String>,
    /// The hidden texts.
    found: Vec<Clear>,
}

impl Hiding {
    /// Begins with the names of the secrets that the request refers to.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n String>) -> Self {
        Self { named: names.into_iter().map(|name| placeholder(name)).collect(), found: Vec::new() }
    }

    /// Returns a URL with [`HIDDEN`] in place of all that may be a secret.
    pub fn url(&mut self, field: &Field, text: &str) -> String {
        hide_url(text, &mut |part, text, sure| self.hide(field, part, text, sure))
    }

    /// Returns the value of a header. It is hidden unless headers of that name never hold a secret.
    pub fn header(&mut self, field: &Field, name: &str, value: &str) -> String {
        match name.to_ascii_lowercase().as_str() {
            name if HARMLESS.contains(&name) => value.to_owned(),
            "origin" | "referer" => self.url(field, value),
            _ => {
                let sure = names_secret(name) || looks_secret(value);
                self.hide(field, Part::Header(name.to_owned()), value, sure)
            }
        }
    }

    /// Hides a body.
    pub fn body(&mut self, field: &Field, body: &str) -> String {
        self.hide(field, Part::Body, body, speaks_of_secrets(body))
    }

    /// Hides a text that is sent over a connection. It is most likely a secret if a word of it is the name of a secret or looks random.
    pub fn sent(&mut self, field: &Field, text: &str) -> String {
        let sure = text.split_whitespace().any(|word| names_secret(word) || looks_secret(word));
        self.hide(field, Part::Sent, text, sure)
    }

    /// Returns a text without the texts that were hidden before. It is for texts that an answer must contain, which may repeat parts of the
    /// request.
    #[must_use]
    pub fn echoed(&self, text: &str) -> String {
        let known = self.found.iter().map(|clear| &clear.text).filter(|text| text.len() >= 4);
        known.fold(text.to_owned(), |text, hidden| text.replace(hidden.as_str(), HIDDEN))
    }

    /// Returns all hidden texts.
    #[must_use]
    pub fn found(self) -> Vec<Clear> {
        self.found
    }

    /// Hides a part, unless it is empty or only refers to named secrets.
    fn hide(&mut self, field: &Field, part: Part, text: &str, sure: bool) -> String {
        if text.is_empty() || text == HIDDEN || self.is_named(text) {
            return text.to_owned();
        }
        self.found.push(Clear { field: field.clone(), part, text: text.to_owned(), sure });
        HIDDEN.to_owned()
    }

    /// Whether a text consists of placeholders of secrets, and of the names of schemes before them.
    fn is_named(&self, text: &str) -> bool {
        let mut rest = Cow::Borrowed(text);
        for named in &self.named {
            rest = rest.replace(named.as_str(), "").into();
        }
        let scheme = |word: &str| SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word));
        rest != text && rest.split_whitespace().all(scheme)
    }
}

/// Returns a URL without the parts that may be secrets, for a message about it.
#[must_use]
pub fn url(text: &str) -> String {
    hide_url(text, &mut |_, text, _| if text.is_empty() { String::new() } else { HIDDEN.to_owned() })
}

/// The part is most likely a secret: a value of `sure`.
const SURE: bool = true;

/// Hides user, values of the query, fragment, and pieces of the path that look like secrets.
fn hide_url(text: &str, hide: &mut dyn FnMut(Part, &str, bool) -> String) -> String {
    let (before, fragment) = text.split_once('#').map_or((text, None), |(url, rest)| (url, Some(rest)));
    let (before, query) = before.split_once('?').map_or((before, None), |(url, rest)| (url, Some(rest)));
    let (scheme, rest) = before.split_once("://").map_or(("", before), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut shown = String::new();
    if before.contains("://") {
        shown += &format!("{scheme}://");
    }
    match authority.rsplit_once('@') {
        Some((user, host)) => shown += &format!("{}@{host}", hide(Part::User, user, SURE)),
        None => shown += authority,
    }
    let pieces = path
        .split('/')
        .map(|piece| if looks_secret(piece) { hide(Part::Path, piece, SURE) } else { piece.to_owned() });
    shown += &pieces.collect::<Vec<_>>().join("/");
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, value)) => {
                let sure = names_secret(key) || looks_secret(value);
                format!("{key}={}", hide(Part::Query(key.to_owned()), value, sure))
            }
            None => hide(Part::Query(String::new()), pair, looks_secret(pair)),
        });
        shown += &format!("?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    if let Some(fragment) = fragment {
        shown += &format!("#{}", hide(Part::Query(String::new()), fragment, looks_secret(fragment)));
    }
    shown
}

/// Headers whose values are never secrets.
const HARMLESS: [&str; 15] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "expect",
    "host",
    "if-modified-since",
    "pragma",
    "range",
    "te",
    "user-agent",
];

/// Names of schemes, before a secret in a header.
const SCHEMES: [&str; 8] = ["Basic", "Bearer", "Digest", "Token", "token=", "GenieKey", "ApiKey", "Key"];

/// Whether a body has a key that is the name of a secret.
pub(super) fn speaks_of_secrets(body: &str) -> bool {
    let words =
        body.split(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).filter(|word| !word.is_empty());
    let mut keys = words.filter(|word| {
        let end = word.as_ptr() as usize - body.as_ptr() as usize + word.len();
        body[end..].trim_start_matches(['"', '\'', ' ']).starts_with([':', '='])
    });
    keys.any(names_secret)
}
