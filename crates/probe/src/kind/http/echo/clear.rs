//! The texts of a request that stand in it in clear, and are most likely secrets.

use firedrill_wire::{
    hide::{Clear, Part, looks_secret, names_secret},
    probe::{HttpProbe, Kind as _},
};
use serde_json::Value;

/// Shorter bodies may stand anywhere by chance, in bytes.
const LEAST: usize = 4;
/// For [`in_json`]: the value stands below no name of a secret.
const UNNAMED: bool = false;

/// Returns the texts of a request that are hidden where the request is shown. Of a body, only the texts are returned that are named like
/// secrets or look like secrets, because it holds the query, too.
pub(super) fn in_clear(request: &HttpProbe) -> Vec<String> {
    let about = request.about();
    let mut all = Vec::new();
    for Clear { part, text, .. } in about.clear {
        match part {
            Part::Body | Part::Sent | Part::Argument => in_body(&text, &mut all),
            Part::User => {
                encoded(&text, &mut all);
                if let Some((_, password)) = text.split_once(':') {
                    encoded(password, &mut all);
                }
            }
            // The secrets that are filled in are hidden by themselves.
            _ if text.contains('{') => {}
            Part::Header(_) => {
                all.extend(text.rsplit_once(' ').map(|(_, last)| last.to_owned()));
                all.push(text);
            }
            // A value that the shown URL has elsewhere is no secret.
            Part::Query(_) if about.asks.contains(&text) => {}
            Part::Query(_) | Part::Path => encoded(&text, &mut all),
        }
    }
    all.retain(|text| !text.is_empty());
    all
}

/// Adds a text of a URL or a form, and what it stands for.
fn encoded(text: &str, all: &mut Vec<String>) {
    all.push(text.to_owned());
    all.extend([decoded(text), decoded(&text.replace('+', " "))].into_iter().flatten());
}

/// Returns what a percent-encoded text stands for, if that is a text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        let digits = rest.get(1..3).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[3..];
            }
            None => {
                bytes.push(*first);
                rest = &rest[1..];
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn in_body(body: &str, all: &mut Vec<String>) {
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(body) {
        return in_json(&value, UNNAMED, all);
    }
    if body.contains('=') {
        for (key, value) in body.trim().split('&').filter_map(|part| part.split_once('=')) {
            if !value.contains('{') && (names_secret(key) || looks_secret(value)) {
                encoded(value, all);
            }
        }
    } else if !body.contains(['{', '<']) && body.trim().len() >= LEAST {
        all.push(body.trim().to_owned());
    }
}

/// Adds the texts that are named like secrets or look like secrets. `named` says that the value stands below such a name.
fn in_json(value: &Value, named: bool, all: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| in_json(value, named || names_secret(key), all));
        }
        Value::Array(entries) => entries.iter().for_each(|value| in_json(value, named, all)),
        Value::String(text) if !text.contains('{') && (named || looks_secret(text)) => all.push(text.clone()),
        Value::Number(number) if named => all.push(number.to_string()),
        _ => {}
    }
}
