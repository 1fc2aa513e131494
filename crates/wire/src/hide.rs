//! Finds the parts of a request that may be secrets, and shows requests without them in plans, logs, reports and messages.
//!
//! The place of a text decides whether it is hidden, not its look: values of a query, a user in a URL, a body, and all headers
//! except some that are known to hold no secrets. The look only decides whether a warning is given.

mod argv;

use std::{borrow::Cow, collections::BTreeMap, fmt};

pub use argv::argv;

use crate::probe::{HttpProbe, ProbeKind};

/// The text that replaces a hidden one. It is valid anywhere in a URL.
pub const HIDDEN: &str = "***";

/// A part of a request that stands in clear and may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The user or the password of the URL.
    User,
    /// The value of that key of the URL's query; an empty key where there is none.
    Query(String),
    /// A piece of the URL's path.
    Path,
    /// The value of that header.
    Header(String),
    /// The body.
    Body,
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
        }
    }
}

/// A text that is hidden.
#[derive(Clone, PartialEq, Eq)]
pub struct Clear {
    /// The part of the request that it is in.
    pub part: Part,
    /// The text itself. Never printed.
    pub text: String,
    /// It is most likely a secret, by its name or its look.
    pub sure: bool,
}

impl HttpProbe {
    /// All that is hidden, as it stands in clear.
    #[must_use]
    pub fn in_clear(&self) -> Vec<Clear> {
        let mut clear = Vec::new();
        let _ = self.hiding(&mut |one| clear.push(one));
        clear
    }

    /// The same request with [`HIDDEN`] in place of all that may be a secret.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        self.hiding(&mut |_| {})
    }

    /// Returns method and URL for people, without possible secrets.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.without_secrets().url)
    }

    fn hiding(&self, found: &mut dyn FnMut(Clear)) -> Self {
        let mut all = Vec::new();
        let mut hide = |part: Part, text: &str, sure: bool| {
            if text.is_empty() || text == HIDDEN || self.is_named(text) {
                return text.to_owned();
            }
            let clear = Clear { part, text: text.to_owned(), sure };
            all.push(clear.text.clone());
            found(clear);
            HIDDEN.to_owned()
        };
        let url = hide_url(&self.url, &mut hide);
        let headers = self.headers.iter().map(|(name, value)| {
            let sure = names_secret(name) || looks_secret(value);
            let shown = match name.to_ascii_lowercase().as_str() {
                name if HARMLESS.contains(&name) => value.clone(),
                "origin" | "referer" => hide_url(value, &mut hide),
                _ => hide(Part::Header(name.clone()), value, sure),
            };
            (name.clone(), shown)
        });
        let headers = headers.collect();
        let body = self.body.as_ref().map(|body| hide(Part::Body, body, speaks_of_secrets(body)));
        // What an answer must contain may be what was sent.
        let known = all.iter().filter(|text| text.len() >= 4);
        let contains = self
            .contains
            .as_ref()
            .map(|text| known.fold(text.clone(), |text, one| text.replace(one, HIDDEN)));
        Self { url, headers, body, contains, ..self.clone() }
    }

    /// Whether a text has no clear part beside names of secrets and words that say how they are used.
    fn is_named(&self, text: &str) -> bool {
        let mut rest = Cow::Borrowed(text);
        for name in self.secrets.keys() {
            rest = rest.replace(&placeholder(name), "").into();
        }
        let scheme = |word: &str| SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word));
        rest != text && rest.split_whitespace().all(scheme)
    }
}

impl ProbeKind {
    /// The same without what may be a secret.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        match self {
            Self::Http(http) => Self::Http(http.without_secrets()),
            Self::Tcp(tcp) => Self::Tcp(tcp.clone()),
        }
    }
}

/// For [`Debug`]: a type that prints itself may not print what is hidden.
impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, method, status, contains, headers, body, bearer, ca_file, secrets } =
            &self.without_secrets();
        f.debug_struct("HttpProbe")
            .field("url", url)
            .field("method", method)
            .field("status", status)
            .field("contains", contains)
            .field("headers", headers)
            .field("body", body)
            .field("bearer", bearer)
            .field("ca_file", ca_file)
            .field("secrets", secrets)
            .finish()
    }
}

/// Returns the placeholder of a secret in a text: `{name}`.
#[must_use]
pub fn placeholder(name: &str) -> String {
    format!("{{{name}}}")
}

/// A URL without what may be a secret, for a message about it.
#[must_use]
pub fn url(text: &str) -> String {
    hide_url(text, &mut |_, text, _| if text.is_empty() { String::new() } else { HIDDEN.to_owned() })
}

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
        Some((user, host)) => shown += &format!("{}@{host}", hide(Part::User, user, true)),
        None => shown += authority,
    }
    let pieces = path
        .split('/')
        .map(|piece| if looks_secret(piece) { hide(Part::Path, piece, true) } else { piece.to_owned() });
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

/// Headers whose values tell nothing.
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

/// Words in a header that announce the kind of secret that follows.
const SCHEMES: [&str; 6] = ["Basic", "Bearer", "Digest", "Token", "ApiKey", "Key"];

/// Words that a secret is called by.
const WORDS: [&str; 22] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "code",
    "cookie",
    "credential",
    "credentials",
    "hmac",
    "jwt",
    "key",
    "pass",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secrets",
    "session",
    "sig",
    "signature",
    "sid",
    "token",
];

/// Whether something that is called so is most likely a secret: `X-Api-Key`, `access_token`, `clientSecret`.
#[must_use]
pub fn names_secret(name: &str) -> bool {
    let ends = ["token", "secret", "password", "passwd", "apikey"];
    words_of(name)
        .iter()
        .any(|word| WORDS.contains(&word.as_str()) || ends.iter().any(|end| word.ends_with(end)))
}

/// Returns the words of a name, in lower case: `client`, `secret` of `clientSecret`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (lower && c.is_uppercase()) {
            words.push(String::new());
        }
        lower = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

fn begins_like_a_token(text: &str) -> bool {
    const BEGINNINGS: [&str; 10] =
        ["sk_live_", "sk_test_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "eyJ"];
    BEGINNINGS.iter().any(|begin| text.starts_with(begin) && text.len() >= begin.len() + 8)
}

/// Whether a text looks drawn at random, or begins like a token of a well-known service.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    if begins_like_a_token(text) {
        return true;
    }
    let token = |c: char| c.is_ascii_alphanumeric() || "-_.+/=~".contains(c);
    if text.len() < 20 || !text.chars().all(token) || is_uuid(text) {
        return false;
    }
    let class = |c: char| (c.is_ascii_lowercase(), c.is_ascii_uppercase(), c.is_ascii_digit());
    let plain: Vec<_> = text.chars().filter(char::is_ascii_alphanumeric).map(class).collect();
    plain.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 6
}

/// Ids of resources are no secrets.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Whether a body has a key that a secret is called by.
fn speaks_of_secrets(body: &str) -> bool {
    let words =
        body.split(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).filter(|word| !word.is_empty());
    let mut keys = words.filter(|word| {
        let end = word.as_ptr() as usize - body.as_ptr() as usize + word.len();
        body[end..].trim_start_matches(['"', '\'', ' ']).starts_with([':', '='])
    });
    keys.any(names_secret)
}

/// Values by name without those that are secrets: by their name, or because a request has them in clear.
#[must_use]
pub fn params<'p>(
    all: &BTreeMap<String, String>,
    probes: impl IntoIterator<Item = &'p ProbeKind>,
) -> BTreeMap<String, String> {
    let clear: Vec<Clear> = probes
        .into_iter()
        .filter_map(|kind| match kind {
            ProbeKind::Http(http) => Some(http.in_clear()),
            ProbeKind::Tcp(_) => None,
        })
        .flatten()
        .collect();
    let secret = |name: &str, value: &str| {
        names_secret(name) || (value.len() >= 3 && clear.iter().any(|one| one.text.contains(value)))
    };
    let shown = |(name, value): (&String, &String)| {
        let value = if secret(name, value) { HIDDEN.to_owned() } else { value.clone() };
        (name.clone(), value)
    };
    all.iter().map(shown).collect()
}

#[cfg(test)]
mod tests;
