//! Decodes a tree into a typed value, and finds every error in it.
//!
//! Serde stops at the first error. So the part that an error points at is removed from the tree, and the rest is
//! decoded again, until there are no more errors or nothing can be removed.

use serde::de::DeserializeOwned;
use toml::{Spanned, de::DeValue};

use super::tree::{self, Found, Step};
use crate::diagnostic::{FileId, Place, Problem, Sink, nearest, suggest};

/// Name of the missing key in an entry of `faults` without a kind.
pub(crate) const A_KIND: &str = "a kind of fault";

/// The kinds of places of a secret.
const SECRET: [&str; 2] = ["secret_file", "secret_env"];

/// The result of decoding a tree.
pub(crate) struct Decoded<T> {
    /// The value, as far as it could be read.
    pub(crate) value: Option<T>,
    /// Whether there were errors, which have been reported.
    pub(crate) broken: bool,
}

/// Decodes `root` as a `T` and reports all errors in it; `what` names it in messages (`probe`).
pub(crate) fn decode<T: DeserializeOwned>(
    root: &Spanned<DeValue<'_>>,
    file: FileId,
    what: &str,
    sink: &mut Sink,
) -> Decoded<T> {
    let mut tree = root.clone();
    let mut broken = false;
    // Keys that were removed from the table with that path: they are not missing, only wrong.
    let mut excused: Vec<(Vec<Step>, String)> = Vec::new();
    loop {
        let error = match T::deserialize(toml::de::ValueDeserializer::from(tree.clone())) {
            Ok(value) => return Decoded { value: Some(value), broken },
            Err(error) => error,
        };
        broken = true;
        let found = error.span().map_or(Found { path: vec![], key: false }, |at| tree::locate(&tree, &at));
        let at = error.span().unwrap_or_else(|| root.span());
        let cause = SerdeError::from(error.message());
        report(&cause, &found, Place { file, at }, &tree, what, &excused, sink);
        excused.extend(excuses(&cause, &found));
        if !tree::prune(&mut tree, &found.path) {
            return Decoded { value: None, broken };
        }
    }
}

/// Returns the keys that will be missing only because of an error found before.
fn excuses(cause: &SerdeError, found: &Found) -> Vec<(Vec<Step>, String)> {
    let Some((last, table)) = found.path.split_last() else { return Vec::new() };
    let mut keys = Vec::new();
    match cause {
        SerdeError::UnknownKey { name, known } => {
            keys.extend(nearest(name, known.iter().map(String::as_str)).map(str::to_owned));
        }
        SerdeError::UnknownKind { .. } => keys.push(A_KIND.to_owned()),
        _ => {}
    }
    if let Step::Key(key) = last {
        keys.push(key.clone());
    }
    keys.into_iter().map(|key| (table.to_vec(), key)).collect()
}

/// Reports an error, unless it is a missing key that is excused.
fn report(
    cause: &SerdeError,
    found: &Found,
    place: Place,
    tree: &Spanned<DeValue<'_>>,
    what: &str,
    excused: &[(Vec<Step>, String)],
    sink: &mut Sink,
) {
    sink.push(match cause {
        SerdeError::UnknownKey { name, known } => {
            let table = &found.path[..found.path.len().saturating_sub(1)];
            let help = suggest(name, known.iter().map(String::as_str), "keys here");
            Problem::error(format!("unknown key `{name}` in {}", within(what, table)))
                .at(place, "unknown key")
                .help(help)
        }
        // A text in place of a secret's table may be the secret itself, so the message does not repeat it.
        SerdeError::UnknownKind { known, .. } if known == &SECRET && !found.key => {
            Problem::error("this file must not contain a secret, only the place of the secret")
                .at(place, "not a place")
                .help("{ secret_file = \"/etc/firedrill/secrets/token\" } or { secret_env = \"TOKEN\" }")
        }
        SerdeError::UnknownKind { name, known } => {
            // A kind in a list of faults is reported at its parameters, but the error is its key.
            let at = match found.path.last() {
                Some(Step::Key(key)) if !found.key && key == name => tree::key_span(tree, &found.path),
                _ => None,
            };
            let place = Place { at: at.unwrap_or(place.at), ..place };
            let known = known.iter().map(String::as_str);
            let near =
                nearest(name, known.clone()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let all = known.collect::<Vec<_>>().join(", ");
            Problem::error(format!("`{name}` is not known here"))
                .at(place, "not one of those known")
                .help(format!("{near}known: {all}"))
        }
        SerdeError::Missing { key } => {
            if excused.iter().any(|(table, name)| *table == found.path && name == key) {
                return;
            }
            Problem::error(format!("`{key}` is missing in {}", within(what, &found.path)))
                .at(place, "in this table")
        }
        SerdeError::Other(message) => Problem::error(message.clone()).at(place, "here"),
    });
}

/// Names the table with that path for people: `probe`, `http of probe`.
fn within(what: &str, table: &[Step]) -> String {
    let key = table.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    key.map_or_else(|| what.to_owned(), |key| format!("`{key}` of {what}"))
}

/// An error of serde, by its message.
enum SerdeError {
    UnknownKey { name: String, known: Vec<String> },
    UnknownKind { name: String, known: Vec<String> },
    Missing { key: String },
    Other(String),
}

impl From<&str> for SerdeError {
    fn from(message: &str) -> Self {
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        let mut first = || quoted.next().unwrap_or_default();
        if message.starts_with("unknown field ") {
            Self::UnknownKey { name: first(), known: quoted.collect() }
        } else if message.starts_with("unknown variant ") {
            Self::UnknownKind { name: first(), known: quoted.collect() }
        } else if message.starts_with("missing field ") {
            Self::Missing { key: first() }
        } else if message.starts_with("wanted exactly 1 element, more") {
            Self::Other("two kinds at one place: only one can be here".to_owned())
        } else if message.starts_with("wanted exactly 1 element") {
            Self::Other("a kind is missing here".to_owned())
        } else {
            Self::Other(plain(message))
        }
    }
}

/// Returns a message with words in place of the names of Rust types.
fn plain(message: &str) -> String {
    let Some((before, after)) = message.split_once("expected ") else { return message.to_owned() };
    let wanted = match after.split_whitespace().next() {
        Some("struct" | "map") => "a table `{ … }`",
        Some("enum") => "a table `{ kind = { … } }`, or one of its words",
        Some("u8" | "u16" | "u32" | "u64" | "usize") => "a whole number that is not negative",
        Some("i8" | "i16" | "i32" | "i64") => "a whole number",
        Some("f32" | "f64") => "a number",
        Some("sequence") => "a list `[ … ]`",
        _ => after,
    };
    format!("{before}expected {wanted}")
}
