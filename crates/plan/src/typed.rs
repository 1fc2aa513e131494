//! Reads a TOML file of one type as a whole, and reports all errors in it. Files with includes and parameters are read by
//! `scenario`.

use std::{path::Path, sync::Arc};

use firedrill_files::text::{self, Text};
use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::{FileId, Item, Place, Problem, Sink},
    scenario::{flaws, hidden, reading},
};

/// Maximum size of a file, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct TypedFile<T> {
    /// Its text, in which secrets are covered.
    pub text: Arc<str>,
    /// Its index among the files of the sink.
    pub id: FileId,
    /// Its content; `None` if that cannot be used at all.
    pub item: Option<Item<T>>,
}

/// Reads a file; `what` names its kind in messages (`game day`). A `schema` in it must be 1. Returns `None` if there is no text.
#[must_use]
pub fn read<T: DeserializeOwned>(path: &Path, what: &str, sink: &mut Sink) -> Option<TypedFile<T>> {
    let name = path.display().to_string();
    let Text { text, mark } = match text::read(path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) => {
            sink.push(Problem::error(format!("the {what} {name} could not be read: {error}")));
            return None;
        }
    };
    let text: Arc<str> = text.into();
    let id = sink.add_source(name.as_str(), Arc::clone(&text));
    if mark {
        let problem = Problem::warning(text::MARK).at(Place { file: id, at: 0..0 }, "before this");
        sink.push(problem.help(text::MARK_HELP));
    }
    let (table, whole) = reading::table(&text, id, sink);
    hidden::note(id, &text, &table, whole, sink);
    let known = whole && version_is_known(id, table.get_ref(), what, sink);
    let item = known.then(|| {
        flaws::refuse(table.get_ref(), id, sink);
        // Errors of the whole file, such as a missing key, are shown at its beginning.
        let root = Spanned::new(0..0, DeValue::Table(table.get_ref().clone()));
        reading::item(&root, what, 0..0, id, what, sink)
    });
    let item = item.flatten();
    Some(TypedFile { text: sink.covered(id), id, item })
}

/// Whether a file is in the known version of its format; reports if not.
fn version_is_known(file: FileId, table: &DeTable<'_>, what: &str, sink: &mut Sink) -> bool {
    let Some(schema) = table.get("schema") else { return true };
    if schema.get_ref().as_integer().is_some_and(|number| number.to_string() == "1") {
        return true;
    }
    let message = format!("this version reads a {what} of `schema = 1`, and the file is in another");
    sink.push(
        Problem::error(message)
            .at(Place { file, at: schema.span() }, "not known here")
            .help("a newer file wants a newer firedrill; nothing else of this file was looked at"),
    );
    false
}

/// Returns the keys at the top of a file; none if it cannot be read, or has more than `most` bytes.
#[must_use]
pub fn keys(path: &Path, most: u64) -> Vec<String> {
    let Ok(text) = text::read(path, most) else { return Vec::new() };
    let (table, _) = DeTable::parse_recoverable(&text.text);
    table.get_ref().keys().map(|key| key.get_ref().to_string()).collect()
}
