//! Cleans the texts of a line, so that they can be shown. Never changes a number or the structure of a record.

use firedrill_wire::{
    probe::ProbeKind,
    text::{self, Breaks},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses a line of a log. Its texts are cleaned: only those of [`ProbeKind::as_it_is`] in the plan's probes keep line breaks,
/// because a name with a line break could forge another line on a terminal.
pub(super) fn from_line<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    // In JSON only these escapes can put a line break or a tab into a text. Most lines have none.
    let escape = |pair: &[u8]| pair[0] == b'\\' && b"nrtu".contains(&pair[1]);
    if !line.windows(2).any(escape) {
        return text::from_json(line, Breaks::Kept);
    }
    let mut value = serde_json::from_slice(line)?;
    one_line(&mut value, Within::Record);
    text::from_json(&serde_json::to_vec(&value)?, Breaks::Kept)
}

/// A value's place in a record.
#[derive(Clone, Copy)]
enum Within<'k> {
    Record,
    Plan,
    Probes,
    /// The kind of a probe: a table whose one key is the kind's name.
    Kind,
    /// The request of a probe of this kind.
    Request(&'k str),
    Other,
}

impl Within<'_> {
    /// Returns the place of the value of that key.
    fn key(self, key: &str) -> Within<'_> {
        match (self, key) {
            (Self::Record, "plan") => Within::Plan,
            (Self::Plan, "probes") => Within::Probes,
            (Self::Probes, "kind") => Within::Kind,
            (Self::Kind, kind) => Within::Request(kind),
            _ => Within::Other,
        }
    }

    /// Whether the value of that key keeps its line breaks.
    fn keeps(self, key: &str) -> bool {
        matches!(self, Self::Request(kind) if ProbeKind::as_it_is(kind).contains(&key))
    }
}

/// Replaces line breaks and tabs in all texts and keys of a value. The counts of keys that become equal are added.
fn one_line(value: &mut Value, within: Within<'_>) {
    let breaks = ['\n', '\r', '\t'];
    match value {
        Value::String(text) if text.contains(breaks) => *text = text.replace(breaks, " "),
        Value::Array(items) => items.iter_mut().for_each(|item| one_line(item, within)),
        Value::Object(table) => {
            table
                .iter_mut()
                .filter(|(key, _)| !within.keeps(key))
                .for_each(|(key, inner)| one_line(inner, within.key(key)));
            if table.keys().any(|key| key.contains(breaks)) {
                for (key, inner) in std::mem::take(table) {
                    let key = key.replace(breaks, " ");
                    let inner = match table.get(&key) {
                        Some(other) => sum(other, &inner).unwrap_or(inner),
                        None => inner,
                    };
                    table.insert(key, inner);
                }
            }
        }
        _ => {}
    }
}

/// Adds two counts; `None` if one of them is no count.
fn sum(one: &Value, other: &Value) -> Option<Value> {
    Some(one.as_u64()?.saturating_add(other.as_u64()?).into())
}
