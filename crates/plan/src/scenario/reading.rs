//! Reads one table at a time, for files without parameters.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{decode::decode, tree};
use crate::diagnostic::{FileId, Item, Place, Problem, Sink};

/// Parses a file as TOML and reports all errors of its syntax. Also returns whether there are none: of a tree that was parsed only in
/// part, further errors would be misleading.
pub(crate) fn table<'t>(text: &'t str, file: FileId, sink: &mut Sink) -> (Spanned<DeTable<'t>>, bool) {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        sink.push(Problem::error(format!("not TOML: {}", error.message())).at(Place { file, at }, "here"));
    }
    (table, errors.is_empty())
}

/// Reads a value as an item of that name; `what` names it in messages.
pub(crate) fn item<T: DeserializeOwned>(
    node: &Spanned<DeValue<'_>>,
    name: &str,
    at: Range<usize>,
    file: FileId,
    what: &str,
    sink: &mut Sink,
) -> Option<Item<T>> {
    let decoded = decode::<T>(node, file, what, sink);
    let words = tree::words(node);
    let name = name.to_owned();
    decoded.value.map(|value| Item { name, file, at, value, broken: decoded.broken, words })
}

/// Reads the value of a key, if it exists.
pub(crate) fn key<T: DeserializeOwned>(
    table: &DeTable<'_>,
    key: &str,
    file: FileId,
    sink: &mut Sink,
) -> Option<T> {
    let node = table.get(key)?;
    decode::<T>(node, file, &format!("[{key}]"), sink).value
}
