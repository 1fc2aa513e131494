//! Finds the parts of a request that may be secrets, and shows requests without them in plans, logs, reports and messages.
//!
//! The place of a text decides whether it is hidden, not its contents: values of a query, a user in a URL, a body, and all headers except
//! some that are known to hold no secrets. The contents only decide whether there is a warning.

mod argv;
mod key;
mod line;
mod params;
mod request;
mod value;

pub use argv::argv;
pub use key::KeyBlock;
pub use line::line;
pub use params::params;
pub use request::{Clear, Hiding, Part, url};

/// The text that replaces a hidden one. It is valid anywhere in a URL.
pub const HIDDEN: &str = "***";

/// Returns the placeholder of a secret in a text: `{name}`.
#[must_use]
pub fn placeholder(name: &str) -> String {
    format!("{{{name}}}")
}

/// Words that are typical of the names of secrets.
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

/// Whether the value of this name is most likely a secret: `X-Api-Key`, `access_token`, `clientSecret`.
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

/// Whether a text begins like a token of a well-known service.
fn begins_like_a_token(text: &str) -> bool {
    const BEGINNINGS: [&str; 10] =
        ["sk_live_", "sk_test_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "eyJ"];
    BEGINNINGS.iter().any(|begin| text.starts_with(begin) && text.len() >= begin.len() + 8)
}

/// Whether a text looks random, or begins like a token of a well-known service.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    // A random text is long, and changes often between small letters, capitals and digits.
    const LENGTH_LEAST: usize = 20;
    const CHANGES_LEAST: usize = 6;
    if begins_like_a_token(text) {
        return true;
    }
    let fits_token = |c: char| c.is_ascii_alphanumeric() || "-_.+/=~".contains(c);
    if text.len() < LENGTH_LEAST || !text.chars().all(fits_token) || is_uuid(text) {
        return false;
    }
    let class = |c: char| (c.is_ascii_lowercase(), c.is_ascii_uppercase(), c.is_ascii_digit());
    let plain: Vec<_> = text.chars().filter(char::is_ascii_alphanumeric).map(class).collect();
    plain.windows(2).filter(|pair| pair[0] != pair[1]).count() >= CHANGES_LEAST
}

/// Whether a text is a UUID. Those are ids of resources and not secrets.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
