//! Duplicate definitions: an error shows both places, because it is not known which one is intended.

use crate::diagnostic::{Item, Problem, Sink};

/// Adds an item, unless one of that name exists already.
pub(crate) fn add<T>(items: &mut Vec<Item<T>>, item: Item<T>, what: &str, sink: &mut Sink) {
    match items.iter().find(|other| other.name == item.name) {
        Some(other) => refuse(other, &item, what, sink),
        None => items.push(item),
    }
}

/// Sets an item that may exist only once in all files.
pub(crate) fn set<T>(single: &mut Option<Item<T>>, item: Item<T>, what: &str, sink: &mut Sink) {
    match single {
        Some(other) => refuse(other, &item, what, sink),
        None => *single = Some(item),
    }
}

/// Reports that an item has the name of an earlier one. `what` is the kind of both.
fn refuse<T>(first: &Item<T>, second: &Item<T>, what: &str, sink: &mut Sink) {
    let name = if second.name == what { format!("[{what}]") } else { format!("{what} `{}`", second.name) };
    sink.push(
        Problem::error(format!("{name} is defined twice"))
            .at(second.place(), "again here")
            .also(first.place(), "first defined here")
            .help("rename one of them, or take one out"),
    );
}
