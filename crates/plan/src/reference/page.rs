//! Builds a page, with a section for each table that a file may have. A section has the table's keys and an example.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Example,
    names::{called, cell},
    shape::{Schema, Shape, description, is_needed, keys, kind},
};

/// The heading of the section on kinds of faults.
pub(super) const KINDS: &str = "Faults";
/// The heading of the section on values with a notation of their own.
pub(super) const OWN: &str = "Values";

/// A table that a file may have.
pub(super) struct Section<'s> {
    pub(super) heading: String,
    /// The other places at which the same table may stand.
    also: Vec<String>,
    level: usize,
    pub(super) table: &'s Value,
}

/// A page while it is built.
pub(super) struct Page<'s> {
    pub(super) schema: Schema<'s>,
    pub(super) sections: Vec<Section<'s>>,
    pub(super) kinds: Vec<(&'s str, &'s Value, String)>,
    /// The schema with the keys that stand beside the key that names a kind, and the heading of their section.
    beside: Option<(String, &'s Value)>,
    own: Vec<(&'s str, &'s Value)>,
    examples: Vec<Example>,
}

impl<'s> Page<'s> {
    pub(super) fn new(schema: &'s Value, examples: Vec<Example>) -> Self {
        let (sections, kinds) = (Vec::new(), Vec::new());
        let mut page =
            Self { schema: Schema(schema), sections, kinds, beside: None, own: Vec::new(), examples };
        page.visit(schema, "");
        page
    }

    /// Returns the page. It begins with the given text.
    pub(super) fn text(&self, head: &str) -> String {
        let mut out = head.trim_end().to_owned();
        out.push_str("\n\n## Top of the file\n");
        self.keys(&mut out, self.schema.0, &|_| true);
        self.example(&mut out, "Top of the file");
        let (nested, tables): (Vec<_>, Vec<_>) =
            self.sections.iter().partition(|one| self.kind_of(&one.heading).is_some());
        tables.iter().for_each(|one| self.section(&mut out, one));
        if !self.kinds.is_empty() {
            self.faults(&mut out, &nested);
        }
        self.values(&mut out);
        out
    }

    fn visit(&mut self, table: &'s Value, path: &str) {
        for (key, value) in keys(table) {
            let place = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            self.enter(value, &place, false);
        }
    }

    fn enter(&mut self, value: &'s Value, place: &str, listed: bool) {
        match self.schema.shape(value) {
            Shape::Table(table) => {
                let heading = if listed { format!("[[{place}]]") } else { format!("[{place}]") };
                if let Some(known) = self.sections.iter_mut().find(|one| std::ptr::eq(one.table, table)) {
                    known.also.push(heading);
                    return;
                }
                let level = if place.contains('.') && !place.ends_with(".NAME") { 3 } else { 2 };
                self.sections.push(Section { heading, also: Vec::new(), level, table });
                self.visit(table, place);
            }
            Shape::Named(values) => self.enter(values, &format!("{place}.NAME"), false),
            Shape::List(items) => self.enter(items, place, true),
            Shape::OneOrMany(items) => self.enter(items, place, listed),
            Shape::Kinds(schema, variants) => self.variants(schema, variants, place, listed),
            Shape::Own(name, schema) => {
                if !self.own.iter().any(|(known, _)| *known == name) {
                    self.own.push((name, schema));
                }
            }
            Shape::Either(all) => all.iter().for_each(|one| self.enter(one, place, listed)),
            Shape::Words(_) | Shape::Plain(_) => {}
        }
    }

    /// Visits the kinds of a value. Kinds of faults get sections of their own, which are the same wherever a fault may
    /// stand. Other values with kinds (a secret) are described where they stand.
    fn variants(&mut self, schema: &'s Value, variants: &'s [Value], place: &str, listed: bool) {
        let tables = variants.iter().filter_map(|one| {
            let (name, value) = kind(one)?;
            match self.schema.shape(value) {
                Shape::Table(table) => Some((name, table, description(one))),
                _ => None,
            }
        });
        let tables: Vec<_> = tables.collect();
        if tables.len() < variants.len() {
            return;
        }
        if listed {
            self.beside = Some((format!("[[{place}]]"), schema));
        }
        if self.kinds.is_empty() {
            self.kinds = tables;
            for (name, table, _) in self.kinds.clone() {
                self.visit(table, name);
            }
        }
    }

    pub(super) fn kind_of(&self, heading: &str) -> Option<&'s str> {
        let path = heading.trim_matches(['[', ']']);
        self.kinds.iter().map(|(name, ..)| *name).find(|name| path.split('.').next() == Some(name))
    }

    fn section(&self, out: &mut String, one: &Section<'_>) {
        let _ = write!(out, "\n{} `{}`\n{}\n", "#".repeat(one.level), one.heading, description(one.table));
        if !one.also.is_empty() {
            let also: Vec<String> = one.also.iter().map(|place| format!("`{place}`")).collect();
            let _ = writeln!(out, "\nThe same table may stand as {}.", also.join(" and "));
        }
        self.keys(out, one.table, &|_| true);
        self.example(out, &one.heading);
        if let Some((heading, schema)) = self.beside.as_ref().filter(|_| one.heading == "[[attack]]") {
            let _ = write!(out, "\n### `{heading}`\n{}\n", description(schema));
            if let Some(variant) = schema["oneOf"].get(0) {
                self.keys(out, variant, &|key| !is_needed(variant, key));
            }
            self.example(out, heading);
        }
    }

    fn values(&self, out: &mut String) {
        if self.own.is_empty() {
            return;
        }
        let _ = write!(out, "\n## {OWN}\n| value | how it is written |\n|---|---|\n");
        for (name, schema) in &self.own {
            let _ = writeln!(out, "| {} | {} |", called(name), cell(&description(schema)));
        }
    }

    pub(super) fn example(&self, out: &mut String, heading: &str) {
        for one in self.examples.iter().filter(|one| one.heading == heading) {
            let _ = write!(out, "\n```toml\n{}\n```\n", one.text.trim());
        }
    }
}
