//! Reads a scenario and its includes, table by table.

mod files;
mod reader;

use std::{collections::BTreeMap, path::Path};

use firedrill_files::text::hex;
use ring::digest::{Context, SHA256};
use toml::de::DeTable;

use self::{files::Files, reader::Reader};
use super::{
    SCHEMA, Scenario, duplicate, flaws,
    param::{Declared, Param, Params},
    reading,
};
use crate::diagnostic::{FileId, Item, Place, Problem, Sink};

/// Reads a scenario with its includes; `given` are the parameters' values. All errors go to `sink`.
#[must_use]
pub fn read(path: &Path, given: &[(String, String)], sink: &mut Sink) -> Scenario {
    let mut files = Files::of(path);
    files.load(path, None, sink);
    // The texts are kept outside of the sink, because trees borrow from them while problems are added.
    let texts: Vec<_> = sink.sources.iter().map(|source| std::sync::Arc::clone(&source.text)).collect();
    let mut trees = Vec::new();
    for &id in &files.order {
        let (table, errors) = DeTable::parse_recoverable(&texts[id.0]);
        // Syntax errors were reported by `load`; a tree that was parsed only in part would cause misleading ones.
        if errors.is_empty() && version_is_known(id, table.get_ref(), sink) {
            trees.push((id, table.into_inner()));
        }
    }
    if trees.is_empty() {
        return Scenario::default();
    }
    for (id, table) in &trees {
        flaws::refuse(table, *id, sink);
    }
    let main = files.order.last().copied();
    let (params, declared) = read_params(&trees, given, sink);
    let mut reader = Reader { params: &params, sink, scenario: Scenario::default() };
    for (id, table) in &trees {
        reader.root(*id, Some(*id) == main, table);
    }
    let mut scenario = reader.scenario;
    scenario.params = params.texts();
    scenario.declared = declared;
    scenario.files = digest(files.order.iter().map(|id| &*texts[id.0]));
    if let Some((id, table)) = trees.iter().find(|(id, _)| Some(*id) == main) {
        needed(*id, table, sink);
    }
    scenario
}

/// Returns a digest of texts, in their order. Paths are no part of it.
fn digest<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut hash = Context::new(&SHA256);
    for text in texts {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hex(hash.finish().as_ref().get(..16).unwrap_or_default())
}

/// Reports keys that the main file lacks.
fn needed(file: FileId, table: &DeTable<'_>, sink: &mut Sink) {
    let examples = [
        ("name", "`name` is missing", "name = \"ci-checkout\""),
        ("hypothesis", "`hypothesis` is missing", "hypothesis = \"One instance may die: no user notices.\""),
        ("attack", "there is no attack", "[[attack]]"),
    ];
    for (_, message, example) in examples.iter().filter(|(key, ..)| !table.contains_key(*key)) {
        let place = Place { file, at: 0..0 };
        sink.push(Problem::error(*message).at(place, "in this file").help(format!("for example {example}")));
    }
}

/// Whether a file is in the known version of the language; reports if not. A file without a version is reported, and read all the same.
fn version_is_known(id: FileId, table: &DeTable<'_>, sink: &mut Sink) -> bool {
    let Some(schema) = table.get("schema") else {
        let help = format!("begin the file with `schema = {SCHEMA}`");
        let place = Place { file: id, at: 0..0 };
        sink.push(
            Problem::error("the file does not name the language's version")
                .at(place, "in this file")
                .help(help),
        );
        return true;
    };
    let place = Place { file: id, at: schema.span() };
    if schema.get_ref().as_integer().is_some_and(|number| number.to_string() == SCHEMA.to_string()) {
        return true;
    }
    let message = format!("this version reads `schema = {SCHEMA}`, and the file is in another");
    sink.push(
        Problem::error(message)
            .at(place, "not known here")
            .help("a newer file wants a newer firedrill; nothing else of this file was looked at"),
    );
    false
}

/// Returns the values of all parameters, and the parameters as the files declare them.
fn read_params(
    trees: &[(FileId, DeTable<'_>)],
    given: &[(String, String)],
    sink: &mut Sink,
) -> (Params, BTreeMap<String, Declared>) {
    // Declarations have no parameters in them.
    let none = Params::default();
    let mut items: Vec<Item<Param>> = Vec::new();
    let mut wrong = Vec::new();
    for (id, table) in trees {
        let Some(params) = table.get("params") else { continue };
        let mut reader = Reader { params: &none, sink, scenario: Scenario::default() };
        for (name, at, node) in reader.table(*id, "params", params) {
            match reading::item::<Param>(node, &name, at, *id, "param", reader.sink) {
                Some(item) => duplicate::add(&mut items, item, "parameter", reader.sink),
                None => wrong.push(name),
            }
        }
    }
    let declared = items.iter().map(|item| (item.name.clone(), Declared::of(&item.value))).collect();
    (Params::settle(&items, &wrong, given, sink), declared)
}
