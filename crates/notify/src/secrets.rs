//! The secrets of a channel. They are read for each message, so that a changed secret counts at once. Also hides them in texts for people.

use firedrill_probe::{Anything, secret_text};
use firedrill_wire::{hide::HIDDEN, probe::Secret};

/// Minimum length of a part of a secret that is hidden by itself, in bytes. Shorter parts would match in too many texts.
const PART_LEAST: usize = 6;
/// The key of the secret that is hidden only as a whole. It is often an address, and its domain may occur in other texts.
const WHOLE: &str = "user";

/// Secrets that were read.
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct Opened(Vec<(&'static str, String)>);

impl Opened {
    /// Reads the secrets of a channel, each with its key in the file.
    ///
    /// # Errors
    /// A secret cannot be read. The error is a clause for people, without the secret.
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

    /// Returns the text, in which [`HIDDEN`] replaces the secrets and long parts of them.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let parts_of = |secret: &str| {
            let parts = secret.split(['/', '?', '&', '=', ':', '@']).filter(|part| part.len() >= PART_LEAST);
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        let hidden_texts = |(name, secret): &(&str, String)| {
            let parts = if *name == WHOLE { Vec::new() } else { parts_of(secret) };
            [vec![secret.clone()], parts].concat()
        };
        let mut hidden: Vec<String> = self.0.iter().flat_map(hidden_texts).collect();
        // The longest come first: if a part of a long text were replaced first, the rest of the long text would stay.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        hidden
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

#[cfg(test)]
impl Opened {
    pub(crate) fn of(secrets: &[(&'static str, &str)]) -> Self {
        Self(secrets.iter().map(|(name, text)| (*name, (*text).to_owned())).collect())
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
