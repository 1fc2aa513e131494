//! Finds the secrets of a request in an answer that repeats them, in all usual encodings, so that no message shows them.

mod clear;
mod written;

use std::{collections::BTreeSet, fmt};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use firedrill_wire::{
    hide::HIDDEN,
    probe::{Field, HttpProbe},
};

use self::{clear::in_clear, written::length};
use super::filled;
use crate::{reads::Reads, secret};

/// Fewer characters of base64 may stand anywhere by chance.
const LEAST: usize = 6;

/// The texts that are hidden in an answer before it is shown.
#[derive(Clone, Default)]
pub(super) struct Echoes(Vec<String>);

impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Echoes")
    }
}

impl Echoes {
    /// Reads the secrets of a request. One that cannot be read was not sent.
    pub(super) fn of(request: &HttpProbe, reads: &dyn Reads) -> Self {
        let bearer = request.bearer.iter().map(|secret| ("bearer".to_owned(), secret));
        let named = request.secrets.iter().map(|(name, secret)| (filled::called(name), secret));
        let read = bearer
            .chain(named)
            .filter_map(|(name, one)| secret::text(&Field::request(&["secrets"]), &name, one, reads).ok());
        let mut all = BTreeSet::new();
        for text in read.chain(in_clear(request)) {
            if let Some(decoded) = decoded(&text) {
                // A login is a name and a password.
                let password = decoded.split_once(':').map(|(_, password)| password.to_owned());
                for text in password.into_iter().chain([decoded]) {
                    in_base64(&text, &mut all);
                    all.insert(text);
                }
            }
            in_base64(&text, &mut all);
            all.insert(text);
        }
        Self(all.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// Returns a text without them, in whatever form it has them.
    pub(super) fn hide(&self, text: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.first() {
            if let Some(length) = self.0.iter().filter_map(|secret| length(rest, secret)).max() {
                shown.extend_from_slice(HIDDEN.as_bytes());
                rest = &rest[length..];
            } else {
                shown.push(*first);
                rest = &rest[1..];
            }
        }
        shown
    }
}

/// Returns the text that base64 stands for, if it is one.
fn decoded(text: &str) -> Option<String> {
    let bare = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?;
    let decoded = String::from_utf8(bytes).ok()?;
    (decoded.len() >= LEAST && decoded.chars().all(|c| !c.is_control())).then_some(decoded)
}

/// Adds a secret in base64, wherever it begins there.
fn in_base64(text: &str, all: &mut BTreeSet<String>) {
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        // The first and the last character may be made of neighbours, too.
        let (from, until) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let own = encoded.get(from..until).unwrap_or_default();
            if own.len() >= LEAST {
                all.insert(own.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests;
