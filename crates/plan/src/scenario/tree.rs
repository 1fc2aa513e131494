//! Paths through a parsed TOML tree whose nodes know their bytes.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeArray, DeValue},
};

use crate::diagnostic::Word;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The node at a position: its path, and whether it is the key rather than the value.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: Vec<Step>,
    pub(crate) key: bool,
}

/// Returns the node with exactly these bytes, a key before a value; otherwise the smallest value around them.
pub(crate) fn locate(root: &Spanned<DeValue<'_>>, at: &Range<usize>) -> Found {
    // The rank of the best node, its size in bytes, and the node. The higher rank counts, then the smaller size.
    let mut best: (u8, usize, Found) = (0, usize::MAX, Found { path: Vec::new(), key: false });
    walk(root, &mut Vec::new(), &mut |path, key, span| {
        let rank = match (span == at, key, span.start <= at.start && at.end <= span.end) {
            (true, true, _) => 3,
            (true, false, _) => 2,
            (false, false, true) => 1,
            _ => return,
        };
        let size = span.len();
        // Among equal nodes the last one is taken, because it is the inner one.
        if rank > best.0 || (rank == best.0 && size <= best.1) {
            best = (rank, size, Found { path: path.to_vec(), key });
        }
    });
    best.2
}

/// A callback for each key and value: its path, whether it is the key, and its bytes.
type See<'a> = dyn FnMut(&[Step], bool, &Range<usize>) + 'a;

/// Calls `see` for each key and value below, outer ones first.
fn walk(node: &Spanned<DeValue<'_>>, path: &mut Vec<Step>, see: &mut See<'_>) {
    see(path, false, &node.span());
    match node.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                path.push(Step::Key(key.get_ref().to_string()));
                see(path, true, &key.span());
                walk(value, path, see);
                path.pop();
            }
        }
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                path.push(Step::Index(index));
                walk(element, path, see);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Returns the bytes of the last key of that path.
pub(crate) fn key_span(root: &Spanned<DeValue<'_>>, path: &[Step]) -> Option<Range<usize>> {
    let mut span = None;
    walk(root, &mut Vec::new(), &mut |here, key, at| {
        if key && here == path {
            span = Some(at.clone());
        }
    });
    span
}

/// Removes the node at that path, and tables that are empty without it. Returns `false` if there is no such node, or
/// if it is the root.
pub(crate) fn prune(root: &mut Spanned<DeValue<'_>>, path: &[Step]) -> bool {
    if !take_out(root, path) {
        return false;
    }
    let mut path = path;
    while let [table @ .., _] = path
        && !table.is_empty()
        && is_empty_table(root, table)
    {
        take_out(root, table);
        path = table;
    }
    true
}

/// Whether the node at that path is a table without keys.
fn is_empty_table(node: &Spanned<DeValue<'_>>, path: &[Step]) -> bool {
    match (path, node.get_ref()) {
        ([], DeValue::Table(table)) => table.is_empty(),
        ([Step::Key(key), rest @ ..], DeValue::Table(table)) => {
            table.get(key.as_str()).is_some_and(|value| is_empty_table(value, rest))
        }
        ([Step::Index(index), rest @ ..], DeValue::Array(array)) => {
            array.get(*index).is_some_and(|value| is_empty_table(value, rest))
        }
        _ => false,
    }
}

/// Removes the node at that path. Returns `false` if there is no such node.
fn take_out(node: &mut Spanned<DeValue<'_>>, path: &[Step]) -> bool {
    let at = node.span();
    match (path, node.get_mut()) {
        ([Step::Key(key)], DeValue::Table(table)) => table.remove(key.as_str()).is_some(),
        ([Step::Key(key), rest @ ..], DeValue::Table(table)) => {
            table.get_mut(key.as_str()).is_some_and(|value| take_out(value, rest))
        }
        ([Step::Index(index)], DeValue::Array(array)) => {
            if *index >= array.len() {
                return false;
            }
            let mut kept = DeArray::new();
            let others = array.iter().enumerate().filter(|(i, _)| i != index);
            others.for_each(|(_, element)| kept.push(element.clone()));
            *node = Spanned::new(at, DeValue::Array(kept));
            true
        }
        ([Step::Index(index), rest @ ..], DeValue::Array(array)) => {
            array.get_mut(*index).is_some_and(|value| take_out(value, rest))
        }
        _ => false,
    }
}

/// Returns all keys and values below, with the path and position of each.
pub(crate) fn words(root: &Spanned<DeValue<'_>>) -> Vec<Word> {
    /// Adds a value and all keys and values below it; `path` is the path of the value.
    fn gather(node: &Spanned<DeValue<'_>>, path: &mut Vec<String>, words: &mut Vec<Word>) {
        let text = node.get_ref().as_str().map(str::to_owned);
        words.push(Word { path: path.clone(), text, at: node.span(), key: false });
        match node.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    let text = key.get_ref().to_string();
                    path.push(text.clone());
                    words.push(Word { path: path.clone(), text: Some(text), at: key.span(), key: true });
                    gather(value, path, words);
                    path.pop();
                }
            }
            DeValue::Array(array) => {
                for (index, element) in array.iter().enumerate() {
                    path.push(index.to_string());
                    gather(element, path, words);
                    path.pop();
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    gather(root, &mut Vec::new(), &mut all);
    all
}
