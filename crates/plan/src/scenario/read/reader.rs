//! Reads the tables of a scenario, key by key.

use std::ops::Range;

use firedrill_wire::{Span, text::joined};
use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::super::{
    Scenario, attack, duplicate,
    param::Params,
    reading,
    root::KEYS,
    step::{self, Step},
};
use crate::diagnostic::{FileId, Item, Place, Problem, Sink, Values, suggest};

/// Keys that are allowed only in the main file, not in included ones.
const MAIN_ONLY: [&str; 4] = ["name", "hypothesis", "ci", "attack"];

/// Reads tables with the values of parameters filled in.
pub(super) struct Reader<'v, 's> {
    pub(super) params: &'v Params,
    pub(super) sink: &'s mut Sink,
    pub(super) scenario: Scenario,
}

impl<'v> Reader<'v, '_> {
    /// Reads the tables of a file. `main` is the one that is run.
    pub(super) fn root(&mut self, id: FileId, main: bool, table: &DeTable<'v>) {
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

    /// Reads the value of a key at the top of a file.
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

    /// Reads the table `evidence`.
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

    /// Reads the list of attacks and steps.
    fn attacks(&mut self, id: FileId, at: Range<usize>, node: &Spanned<DeValue<'v>>) {
        let Some(list) = node.get_ref().as_array() else {
            let problem =
                Problem::error("attacks are a list: each begins with [[attack]], in double brackets");
            return self.sink.push(problem.at(Place { file: id, at }, "not a list"));
        };
        for element in list.iter() {
            let has = |key: &&str| element.get_ref().as_table().is_some_and(|table| table.contains_key(*key));
            if step::KINDS.iter().any(has) {
                self.step(id, element);
                continue;
            }
            let item = self.item::<attack::Attack>(id, "", element.span(), element, "attack");
            let named = item.map(|mut item| {
                item.name.clone_from(&item.value.name.value);
                item.at = item.value.name.at.clone();
                item
            });
            add(&mut self.scenario.attacks, named, "attack", self.sink);
        }
    }

    /// Reads an entry of the list of attacks that is a step.
    fn step(&mut self, id: FileId, element: &Spanned<DeValue<'v>>) {
        let item = self.item::<Step>(id, "", element.span(), element, "step");
        let named = item.map(|mut item| {
            item.name.clone_from(&item.value.name.value);
            item.at = item.value.name.at.clone();
            item.value.before = self.scenario.attacks.len();
            item
        });
        add(&mut self.scenario.steps, named, "step", self.sink);
    }

    /// Refuses a name that cannot be part of a run's id.
    fn check_name(&mut self, name: &str, place: Place) {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.starts_with('-') || !name.chars().all(is_allowed) || name.len() > 24 {
            self.sink.push(
                Problem::error(format!("`{name}` cannot be a scenario's name")).at(place, "not a name").help(
                    "lower-case letters, digits and `-`, 1 to 24 of them: it becomes part of the run's id",
                ),
            );
        }
    }

    /// Returns the entries of a table of tables, in the file's order.
    pub(super) fn table<'n>(
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

    /// Reads one table into the list that `list` returns, and remembers its name if it could not be read.
    fn one<T: DeserializeOwned>(
        &mut self,
        id: FileId,
        key: String,
        at: Range<usize>,
        value: &Spanned<DeValue<'v>>,
        what: &str,
        list: fn(&mut Scenario) -> &mut Vec<Item<T>>,
    ) {
        let item = self.item(id, &key, at, value, what);
        if item.is_none() {
            self.scenario.lost.insert(key);
        }
        add(list(&mut self.scenario), item, what, self.sink);
    }

    /// Reads a table of tables, and remembers the names of those that could not be read.
    fn tables<T: DeserializeOwned>(
        &mut self,
        id: FileId,
        name: &str,
        node: &Spanned<DeValue<'v>>,
        what: &str,
        list: fn(&mut Scenario) -> &mut Vec<Item<T>>,
    ) {
        for (key, at, value) in self.table(id, name, node) {
            self.one(id, key, at, value, what, list);
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

/// Adds an item, if it could be read.
fn add<T>(items: &mut Vec<Item<T>>, item: Option<Item<T>>, what: &str, sink: &mut Sink) {
    if let Some(item) = item {
        duplicate::add(items, item, what, sink);
    }
}

/// Sets an item, if it could be read.
fn set<T>(single: &mut Option<Item<T>>, item: Option<Item<T>>, what: &str, sink: &mut Sink) {
    if let Some(item) = item {
        duplicate::set(single, item, what, sink);
    }
}
