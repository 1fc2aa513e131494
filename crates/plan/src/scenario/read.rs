//! Reads a scenario and its includes, table by table.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use firedrill_files::text::{self, Text, hex};
use firedrill_wire::{Span, text::joined};
use ring::digest::{Context, SHA256};
use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    SCHEMA, Scenario, duplicate, flaws, hidden,
    param::{Param, Params},
    reading,
    root::KEYS,
};
use crate::diagnostic::{FileId, Item, Place, Problem, Sink, Values, suggest};

/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Environment variable with a folder below which files may be included, besides the scenario's own.
const ROOT_VARIABLE: &str = "FIREDRILL_ROOT";

/// Keys that are allowed only in the main file, not in included ones.
const MAIN_ONLY: [&str; 4] = ["name", "hypothesis", "ci", "attack"];

/// Reads a scenario with its includes; `given` are the parameters' values. All errors go to `sink`.
#[must_use]
pub fn read(path: &Path, given: &[(String, String)], sink: &mut Sink) -> Scenario {
    let mut files = Files { roots: roots(path), ..Files::default() };
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
    let params = read_params(&trees, given, sink);
    let mut reader = Reader { params: &params, sink, scenario: Scenario::default() };
    for (id, table) in &trees {
        reader.root(*id, Some(*id) == main, table);
    }
    let mut scenario = reader.scenario;
    scenario.params = params.texts();
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

/// The files, in the order of their tables: included files come before the file that includes them.
#[derive(Default)]
struct Files {
    /// Every included file must lie below one of these folders.
    roots: Vec<PathBuf>,
    order: Vec<FileId>,
    done: Vec<PathBuf>,
    stack: Vec<(PathBuf, String)>,
}

impl Files {
    fn load(&mut self, path: &Path, from: Option<Place>, sink: &mut Sink) {
        let name = path.display().to_string();
        let real = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return sink.push(unreadable(&name, &error.to_string(), from)),
        };
        if !self.stack.is_empty() && !self.roots.iter().any(|root| real.starts_with(root)) {
            let problem =
                Problem::error(format!("{name} is outside of the scenario's folder and was not read"));
            let help = format!("move it below that folder, or name a folder above both in {ROOT_VARIABLE}");
            return sink.push(match from {
                Some(place) => problem.at(place, "included here").help(help),
                None => problem.help(help),
            });
        }
        if self.stack.iter().any(|(file, _)| *file == real) {
            let ring: Vec<&str> =
                self.stack.iter().map(|(_, name)| name.as_str()).chain([name.as_str()]).collect();
            let problem = Problem::error(format!("files include each other: {}", ring.join(" → ")));
            return sink.push(match from {
                Some(place) => problem.at(place, "closes the ring"),
                None => problem,
            });
        }
        if self.done.contains(&real) {
            return;
        }
        let Text { text, mark } = match text::read(&real, MAX_BYTES) {
            Ok(text) => text,
            Err(error) => return sink.push(unreadable(&name, &error, from)),
        };
        let id = sink.add_source(name.as_str(), text.as_str());
        if mark {
            let problem = Problem::warning(text::MARK).at(Place { file: id, at: 0..0 }, "before this");
            sink.push(problem.help(text::MARK_HELP));
        }
        self.stack.push((real.clone(), name));
        let (table, errors) = DeTable::parse_recoverable(&text);
        hidden::note(id, &text, &table, errors.is_empty(), sink);
        for error in &errors {
            let at = error.span().unwrap_or(0..0);
            let message = format!("not TOML: {}", error.message());
            sink.push(Problem::error(message).at(Place { file: id, at }, "here"));
        }
        for (include, at) in includes(&table) {
            let path = path.parent().unwrap_or(Path::new("")).join(include);
            self.load(&path, Some(Place { file: id, at }), sink);
        }
        self.stack.pop();
        self.done.push(real);
        self.order.push(id);
    }
}

/// Returns the files that a tree includes. Errors in the list are reported when the tree is read.
fn includes(table: &Spanned<DeTable<'_>>) -> Vec<(String, Range<usize>)> {
    let Some(include) = table.get_ref().get("include") else { return Vec::new() };
    let one = std::slice::from_ref(include);
    let list = include.get_ref().as_array().map_or(one, |array| array.as_ref());
    list.iter().filter_map(|entry| Some((entry.get_ref().as_str()?.to_owned(), entry.span()))).collect()
}

/// Returns the folders below which files may be included: the scenario's own, and the one from the environment.
fn roots(scenario: &Path) -> Vec<PathBuf> {
    let own = std::fs::canonicalize(scenario).ok().and_then(|real| real.parent().map(Path::to_path_buf));
    let named = std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty());
    own.into_iter().chain(named.and_then(|root| std::fs::canonicalize(root).ok())).collect()
}

fn unreadable(name: &str, error: &str, from: Option<Place>) -> Problem {
    let problem = Problem::error(format!("{name} could not be read: {error}"));
    match from {
        Some(place) => {
            problem.at(place, "included here").help("paths are relative to the file that includes")
        }
        None => problem,
    }
}

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

fn read_params(trees: &[(FileId, DeTable<'_>)], given: &[(String, String)], sink: &mut Sink) -> Params {
    let nothing = Params::default();
    let mut all: Vec<Item<Param>> = Vec::new();
    let mut wrong = Vec::new();
    for (id, table) in trees {
        let Some(params) = table.get("params") else { continue };
        let mut reader = Reader { params: &nothing, sink, scenario: Scenario::default() };
        for (name, at, node) in reader.table(*id, "params", params) {
            match reading::item::<Param>(node, &name, at, *id, "param", reader.sink) {
                Some(item) => duplicate::add(&mut all, item, "parameter", reader.sink),
                None => wrong.push(name),
            }
        }
    }
    Params::settle(&all, &wrong, given, sink)
}

struct Reader<'v, 's> {
    params: &'v Params,
    sink: &'s mut Sink,
    scenario: Scenario,
}

impl<'v> Reader<'v, '_> {
    fn root(&mut self, id: FileId, main: bool, table: &DeTable<'v>) {
        for (key, node) in table {
            let (name, at) = (key.get_ref().as_ref(), key.span());
            if !main && MAIN_ONLY.contains(&name) {
                let message = format!("`{name}` has no place in a file that is included");
                let place = Place { file: id, at };
                self.sink.push(Problem::error(message).at(place, "only in the file that is run"));
                continue;
            }
            self.key(id, name, at, node);
        }
    }

    fn key(&mut self, id: FileId, name: &str, at: Range<usize>, node: &Spanned<DeValue<'v>>) {
        match name {
            "schema" | "params" => {}
            "include" => _ = self.item::<Values>(id, name, at, node, "include"),
            "name" => {
                if let Some(item) = self.item::<String>(id, name, at, node, "name") {
                    self.check_name(&item.value, Place { file: id, at: node.span() });
                    self.scenario.name = item.value;
                }
            }
            "hypothesis" => {
                let item = self.item::<String>(id, name, at, node, "hypothesis");
                self.scenario.hypothesis = item.map_or_else(String::new, |item| joined(&item.value));
            }
            "environment" => {
                if let Some(item) = self.item::<String>(id, name, at, node, name) {
                    match &self.scenario.environment {
                        Some(other) if other.value != item.value => {
                            let message = format!(
                                "the environment is `{}` in another file, and `{}` here",
                                other.value, item.value
                            );
                            self.sink.push(Problem::error(message).at(item.place(), "another one"));
                        }
                        _ => self.scenario.environment = Some(item),
                    }
                }
            }
            "lease" => {
                let item = self.item::<Span>(id, name, at, node, name);
                set(&mut self.scenario.lease, item, name, self.sink);
            }
            "meta" => {
                for (key, at, value) in self.table(id, name, node) {
                    if let Some(item) = self.item::<String>(id, &key, at, value, "meta") {
                        let place = item.place();
                        if self.scenario.meta.insert(key, joined(&item.value)).is_some() {
                            let message = format!("`{}` is in [meta] twice", item.name);
                            self.sink.push(Problem::error(message).at(place, "again here"));
                        }
                    }
                }
            }
            "targets" => self.tables(id, name, node, "target", |scenario| &mut scenario.targets),
            "probes" => self.tables(id, name, node, "probe", |scenario| &mut scenario.probes),
            "sources" => self.tables(id, name, node, "source", |scenario| &mut scenario.sources),
            "evidence" => self.evidence(id, name, node),
            "objectives" => {
                for (key, at, value) in self.table(id, name, node) {
                    self.objective(id, key, at, value);
                }
            }
            "guard" => {
                let item = self.item(id, name, at, node, name);
                set(&mut self.scenario.guard, item, name, self.sink);
            }
            "ci" => {
                let item = self.item(id, name, at, node, name);
                set(&mut self.scenario.ci, item, name, self.sink);
            }
            "attack_defaults" => {
                let item = self.item(id, name, at, node, name);
                set(&mut self.scenario.attack_defaults, item, name, self.sink);
            }
            "attack" => self.attacks(id, at, node),
            _ => {
                let problem = Problem::error(format!("unknown key `{name}`"));
                let help = suggest(name, KEYS, "keys here");
                self.sink.push(problem.at(Place { file: id, at }, "unknown key").help(help));
            }
        }
    }

    /// Reads an objective by the form that its keys show.
    fn objective(&mut self, id: FileId, key: String, at: Range<usize>, value: &Spanned<DeValue<'v>>) {
        let has = |name: &str| value.get_ref().as_table().is_some_and(|table| table.contains_key(name));
        if has("logs") {
            self.one(id, key, at, value, "objective", |scenario| &mut scenario.log_objectives);
        } else if has("metric") {
            self.one(id, key, at, value, "objective", |scenario| &mut scenario.metrics);
        } else if has("alert") {
            self.one(id, key, at, value, "objective", |scenario| &mut scenario.alerts);
        } else {
            self.one(id, key, at, value, "objective", |scenario| &mut scenario.objectives);
        }
    }

    fn evidence(&mut self, id: FileId, name: &str, node: &Spanned<DeValue<'v>>) {
        for (key, at, value) in self.table(id, name, node) {
            if key == "logs" {
                self.tables(id, "evidence.logs", value, "log", |scenario| &mut scenario.logs);
            } else {
                let problem = Problem::error(format!("unknown key `{key}` of `evidence`"));
                let help = suggest(&key, ["logs"], "keys here");
                self.sink.push(problem.at(Place { file: id, at }, "unknown key").help(help));
            }
        }
    }

    fn attacks(&mut self, id: FileId, at: Range<usize>, node: &Spanned<DeValue<'v>>) {
        let Some(list) = node.get_ref().as_array() else {
            let problem =
                Problem::error("attacks are a list: each begins with [[attack]], in double brackets");
            return self.sink.push(problem.at(Place { file: id, at }, "not a list"));
        };
        for element in list.iter() {
            let item = self.item::<super::attack::Attack>(id, "", element.span(), element, "attack");
            let named = item.map(|mut item| {
                item.name.clone_from(&item.value.name.value);
                item.at = item.value.name.at.clone();
                item
            });
            add(&mut self.scenario.attacks, named, "attack", self.sink);
        }
    }

    fn check_name(&mut self, name: &str, place: Place) {
        let well = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.starts_with('-') || !name.chars().all(well) || name.len() > 24 {
            self.sink.push(
                Problem::error(format!("`{name}` cannot be a scenario's name")).at(place, "not a name").help(
                    "lower-case letters, digits and `-`, 1 to 24 of them: it becomes part of the run's id",
                ),
            );
        }
    }

    /// Returns the entries of a table of tables, in the file's order.
    fn table<'n>(
        &mut self,
        id: FileId,
        name: &str,
        node: &'n Spanned<DeValue<'v>>,
    ) -> Vec<(String, Range<usize>, &'n Spanned<DeValue<'v>>)> {
        if let DeValue::Table(table) = node.get_ref() {
            let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), key.span(), value));
            let mut entries: Vec<_> = entries.collect();
            entries.sort_by_key(|(_, at, _)| at.start);
            entries
        } else {
            let problem = Problem::error(format!("`{name}` is a table: [{name}.NAME], or [{name}]"));
            self.sink.push(problem.at(Place { file: id, at: node.span() }, "not a table"));
            Vec::new()
        }
    }

    /// Reads one table, and remembers its name if it could not be read.
    fn one<T: DeserializeOwned>(
        &mut self,
        id: FileId,
        key: String,
        at: Range<usize>,
        value: &Spanned<DeValue<'v>>,
        what: &str,
        all: fn(&mut Scenario) -> &mut Vec<Item<T>>,
    ) {
        let item = self.item(id, &key, at, value, what);
        if item.is_none() {
            self.scenario.lost.insert(key);
        }
        add(all(&mut self.scenario), item, what, self.sink);
    }

    /// Reads a table of tables, and remembers the names of those that could not be read.
    fn tables<T: DeserializeOwned>(
        &mut self,
        id: FileId,
        name: &str,
        node: &Spanned<DeValue<'v>>,
        what: &str,
        all: fn(&mut Scenario) -> &mut Vec<Item<T>>,
    ) {
        for (key, at, value) in self.table(id, name, node) {
            self.one(id, key, at, value, what, all);
        }
    }

    /// Decodes an item with its parameters filled in.
    fn item<T: DeserializeOwned>(
        &mut self,
        file: FileId,
        name: &str,
        at: Range<usize>,
        node: &Spanned<DeValue<'v>>,
        what: &str,
    ) -> Option<Item<T>> {
        // The wrapper lets a parameter replace the whole value.
        let mut holder = Spanned::new(node.span(), DeValue::Array(toml::de::DeArray::new()));
        if let DeValue::Array(array) = holder.get_mut() {
            array.push(node.clone());
        }
        let lost = self.params.fill(&mut holder, file, self.sink);
        let filled = match holder.into_inner() {
            DeValue::Array(array) => array.first().cloned()?,
            _ => return None,
        };
        let mut item = reading::item(&filled, name, at, file, what, self.sink)?;
        item.broken |= lost;
        Some(item)
    }
}

fn add<T>(all: &mut Vec<Item<T>>, item: Option<Item<T>>, what: &str, sink: &mut Sink) {
    if let Some(item) = item {
        duplicate::add(all, item, what, sink);
    }
}

fn set<T>(single: &mut Option<Item<T>>, item: Option<Item<T>>, what: &str, sink: &mut Sink) {
    if let Some(item) = item {
        duplicate::set(single, item, what, sink);
    }
}
