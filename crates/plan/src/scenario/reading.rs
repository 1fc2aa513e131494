//! Reads one table at a time, for files without parameters.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{decode::decode, tree};
use crate::diagnostic::{FileId, Item, Sink};

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
