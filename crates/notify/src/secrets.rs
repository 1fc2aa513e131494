//! Secrets of a channel, read for one message, so that a new one counts at once. Hides them from all texts for people.

use firedrill_probe::{Anything, secret_text};
use firedrill_wire::{hide::HIDDEN, probe::Secret};

/// The shortest part of a secret that is hidden by itself. Shorter ones would match everywhere.
const SHORT: usize = 6;
/// The secret that is hidden as a whole only. It is often an address, whose domain stands in other texts.
const WHOLE: &str = "user";

/// Secrets that were read.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct Opened(Vec<(&'static str, String)>);

impl Opened {
    /// Reads the secrets of a channel, each with its key in the file.
    ///
    /// # Errors
    /// One cannot be read; a clause for people, without the secret.
    pub fn read(secrets: Vec<(&'static str, &Secret)>) -> Result<Self, String> {
        let read = secrets.into_iter().map(|(name, secret)| {
            let text =
                secret_text(&format!("`{name}`"), secret, &Anything).map_err(|refusal| refusal.what)?;
            Ok((name, text))
        });
        read.collect::<Result<_, String>>().map(Self)
    }

    /// Returns a secret by its key in the file.
    ///
    /// # Errors
    /// The kind has no such secret.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        let found = self.0.iter().find(|(key, _)| *key == name);
        found.map(|(_, text)| text.as_str()).ok_or_else(|| format!("the channel has no `{name}`"))
    }

    /// Returns a text without the secrets, nor parts of addresses that are long enough to be one.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let parts = |secret: &str| {
            let parts = secret.split(['/', '?', '&', '=', ':', '@']).filter(|part| part.len() >= SHORT);
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        let of = |(name, secret): &(&str, String)| {
            let parts = if *name == WHOLE { Vec::new() } else { parts(secret) };
            [vec![secret.clone()], parts].concat()
        };
        let mut all: Vec<String> = self.0.iter().flat_map(of).collect();
        // A part of another secret is hidden after it.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

#[cfg(test)]
impl Opened {
    pub(crate) fn of(all: &[(&'static str, &str)]) -> Self {
        Self(all.iter().map(|(name, text)| (*name, (*text).to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_parts_of_them_are_hidden() {
        let opened = Opened::of(&[
            ("url", "https://hooks.example/services/T00000/B000000/s3cretpath"),
            ("key", "k3y"),
        ]);
        let hidden = opened.hide("no_service T00000\\/B000000\\/s3cretpath with k3y");
        assert!(
            !hidden.contains("s3cretpath") && !hidden.contains("B000000") && !hidden.contains("k3y"),
            "{hidden}"
        );
        assert!(opened.hide("invalid_payload") == "invalid_payload");
        let login = Opened::of(&[("user", "fd@mail.example"), ("password", "s3cret=s3cret")]);
        assert_eq!(
            login.hide("fd@mail.example with s3cret=s3cret is refused by mail.example; bob@mail.example"),
            format!("{HIDDEN} with {HIDDEN} is refused by mail.example; bob@mail.example")
        );
        assert!(opened.text("key") == Ok("k3y") && opened.text("other").is_err());
    }
}
