//! Secrets in the places that name them: `{name}` in the URL behind its host, in the value of a header, in the body.

use std::{collections::BTreeMap, fmt::Write as _};

use firedrill_wire::{
    hide::placeholder,
    probe::{Field, HttpProbe, Refusal},
};
use http::{HeaderMap, Uri};

use crate::{reads::Reads, secret};

/// Secrets by name, read.
pub(super) struct Filled(BTreeMap<String, String>);

/// Returns the words for a secret in a message.
pub(super) fn called(name: &str) -> String {
    format!("the secret `{name}`")
}

impl Filled {
    pub(super) fn new(probe: &HttpProbe, reads: &dyn Reads) -> Result<Self, Refusal> {
        let read = probe.secrets.iter().map(|(name, secret)| {
            Ok((
                placeholder(name),
                secret::text(&Field::request(&["secrets", name]), &called(name), secret, reads)?,
            ))
        });
        read.collect::<Result<_, Refusal>>().map(Self)
    }

    /// Returns a text with the secrets that it names, as they are.
    pub(super) fn text(&self, text: &str) -> String {
        self.fill(text, str::to_owned)
    }

    /// Fills the secrets that headers name into them.
    pub(super) fn headers(&self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        for (name, value) in headers.iter_mut() {
            let Ok(text) = value.to_str() else { continue };
            let filled = self.text(text);
            if filled != text {
                let field = Field::request(&["headers", name.as_str()]);
                *value = secret::header(field, &format!("the secret in the header `{name}`"), &filled)?;
            }
        }
        Ok(())
    }

    /// Returns path and query with the secrets that they name. Each secret is one piece: nothing of it is taken for a part of the URL.
    pub(super) fn path(&self, path: Uri) -> Result<Uri, Refusal> {
        let text = path.to_string();
        let filled = self.fill(&text, encoded);
        if filled == text {
            return Ok(path);
        }
        filled.parse().map_err(|_| {
            let what = "the url cannot be asked with its secrets filled in";
            Refusal::new(
                Field::request(&["url"]),
                what,
                "no secret",
                "a secret of at most some thousand bytes",
            )
        })
    }

    /// Returns a text with the secrets that it names, each as `write` writes it. Names within a secret are not looked for.
    fn fill(&self, text: &str, write: fn(&str) -> String) -> String {
        let (mut filled, mut rest) = (String::new(), text);
        'next: while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            filled += before;
            for (named, secret) in &self.0 {
                if let Some(after) = from.strip_prefix(named.as_str()) {
                    filled += &write(secret);
                    rest = after;
                    continue 'next;
                }
            }
            filled.push('{');
            rest = &from[1..];
        }
        filled + rest
    }
}

/// Returns a text with all signs percent-encoded but letters, digits and the four signs that never need it.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(secrets: &[(&str, &str)]) -> Filled {
        Filled(secrets.iter().map(|(name, text)| (placeholder(name), (*text).to_owned())).collect())
    }

    #[test]
    fn names_become_secrets_once_and_nothing_else_changes() {
        let filled = filled(&[("a", "{b} & ü"), ("b", "x")]);
        assert_eq!(filled.text(r#"{"k": "{a}", "l": {b}}"#), r#"{"k": "{b} & ü", "l": x}"#);
        let path = filled.path("/v?key={a}&n=%7Bb%7D".parse().unwrap()).unwrap();
        assert_eq!(path.to_string(), "/v?key=%7Bb%7D%20%26%20%C3%BC&n=%7Bb%7D");
        let plain: Uri = "/v?key=1".parse().unwrap();
        assert_eq!(filled.path(plain.clone()).unwrap(), plain);
    }

    #[test]
    fn headers_with_secrets_print_nothing_of_them() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "k-{b}".parse().unwrap());
        filled(&[("b", "s3cret")]).headers(&mut headers).unwrap();
        assert_eq!(headers["x-api-key"].as_bytes(), b"k-s3cret");
        assert!(!format!("{headers:?}").contains("s3cret"), "{headers:?}");
        let refusal = filled(&[("b", "s3cret\u{7}")])
            .headers(&mut HeaderMap::from_iter([(http::header::COOKIE, "{b}".parse().unwrap())]));
        let text = refusal.expect_err("a bell").to_string();
        assert!(text.contains("cookie") && !text.contains("s3cret"), "{text}");
    }
}
