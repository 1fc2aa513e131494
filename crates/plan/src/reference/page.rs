//! Builds a page, with a section for each table that a file may have. A section has the table's keys, and the examples for it.

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
    /// The headings of other places that may have the same table.
    also: Vec<String>,
    /// Level of the heading in Markdown.
    level: usize,
    pub(super) table: &'s Value,
}

/// A page while it is built.
pub(super) struct Page<'s> {
    pub(super) schema: Schema<'s>,
    pub(super) sections: Vec<Section<'s>>,
    /// The kinds of faults: name, table of parameters, description.
    pub(super) kinds: Vec<(&'s str, &'s Value, String)>,
    /// For faults in a list: the heading of their section, and the schema, whose variants also have the keys that all kinds share (`at`, `hold`).
    shared_keys: Option<(String, &'s Value)>,
    /// Types with a notation of their own: name, schema.
    own: Vec<(&'s str, &'s Value)>,
    examples: Vec<Example>,
}

impl<'s> Page<'s> {
    pub(super) fn new(schema: &'s Value, examples: Vec<Example>) -> Self {
        let (sections, kinds) = (Vec::new(), Vec::new());
        let mut page =
            Self { schema: Schema(schema), sections, kinds, shared_keys: None, own: Vec::new(), examples };
        page.visit(schema, "");
        page
    }

    /// Returns the page. It begins with the given text.
    pub(super) fn text(&self, head: &str) -> String {
        let mut out = head.trim_end().to_owned();
        out.push_str("\n\n## Top of the file\n");
        self.keys(&mut out, self.schema.0, &|_| true);
        self.example(&mut out, "Top of the file");
        let (of_kinds, tables): (Vec<_>, Vec<_>) =
            self.sections.iter().partition(|one| self.kind_of(&one.heading).is_some());
        tables.iter().for_each(|one| self.section(&mut out, one));
        if !self.kinds.is_empty() {
            self.faults(&mut out, &of_kinds);
        }
        self.values(&mut out);
        out
    }

    /// Adds the sections of all keys of a table. `path` is that of the table; empty for the file.
    fn visit(&mut self, table: &'s Value, path: &str) {
        for (key, value) in keys(table) {
            let place = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            self.enter(value, &place, false);
        }
    }

    /// Adds the sections of a value. With `in_list` it is an item of a list, so that its heading is `[[…]]`.
    fn enter(&mut self, value: &'s Value, place: &str, in_list: bool) {
        match self.schema.shape(value) {
            Shape::Table(table) => {
                let heading = if in_list { format!("[[{place}]]") } else { format!("[{place}]") };
                // Each `$ref` to a table leads to the same value in the schema.
                let mut also = Vec::new();
                if let Some(at) = self.sections.iter().position(|one| std::ptr::eq(one.table, table)) {
                    let depth = |heading: &str| heading.matches('.').count();
                    if depth(&self.sections[at].heading) <= depth(&heading) {
                        self.sections[at].also.push(heading);
                        return;
                    }
                    // A table has its section at the place that is least deep.
                    let known = self.sections.remove(at);
                    also = known.also;
                    also.push(known.heading);
                }
                // Tables inside of others are one level deeper, but not `[x.NAME]`: most have no section `[x]`.
                let level = if place.contains('.') && !place.ends_with(".NAME") { 3 } else { 2 };
                self.sections.push(Section { heading, also, level, table });
                self.visit(table, place);
            }
            Shape::Named(values) => self.enter(values, &format!("{place}.NAME"), false),
            Shape::List(items) => self.enter(items, place, true),
            Shape::OneOrMany(items) => self.enter(items, place, in_list),
            Shape::Kinds(schema, variants) => self.variants(schema, variants, place, in_list),
            Shape::Own(name, schema) => {
                if !self.own.iter().any(|(known, _)| *known == name) {
                    self.own.push((name, schema));
                }
            }
            Shape::Either(all) => all.iter().for_each(|one| self.enter(one, place, in_list)),
            Shape::Words(_) | Shape::Plain(_) => {}
        }
    }

    /// Adds the kinds of a value. Kinds of faults get their own sections, which are the same at each place that may have a fault.
    /// Other values with kinds, such as a secret, are described beside their key.
    fn variants(&mut self, schema: &'s Value, variants: &'s [Value], place: &str, in_list: bool) {
        let tables = variants.iter().filter_map(|one| {
            let (name, value) = kind(one)?;
            match self.schema.shape(value) {
                Shape::Table(table) => Some((name, table, description(one))),
                _ => None,
            }
        });
        let tables: Vec<_> = tables.collect();
        // Faults are the values whose kinds are all tables; the kinds of a secret are not.
        if tables.len() < variants.len() {
            return;
        }
        if in_list {
            self.shared_keys = Some((format!("[[{place}]]"), schema));
        }
        // The kinds are the same at each place, so the first one is enough.
        if self.kinds.is_empty() {
            self.kinds = tables;
            for (name, table, _) in self.kinds.clone() {
                self.visit(table, name);
            }
        }
    }

    /// Returns the kind of fault to whose parameters the section with this heading belongs; `None` for other sections.
    pub(super) fn kind_of(&self, heading: &str) -> Option<&'s str> {
        let path = heading.trim_matches(['[', ']']);
        self.kinds.iter().map(|(name, ..)| *name).find(|name| path.split('.').next() == Some(name))
    }

    /// Writes a section.
    fn section(&self, out: &mut String, one: &Section<'_>) {
        let _ = write!(out, "\n{} `{}`\n{}\n", "#".repeat(one.level), one.heading, description(one.table));
        if !one.also.is_empty() {
            let also: Vec<String> = one.also.iter().map(|place| format!("`{place}`")).collect();
            let _ = writeln!(out, "\nThe same table may stand as {}.", also.join(" and "));
        }
        self.keys(out, one.table, &|_| true);
        self.example(out, &one.heading);
        // The list of faults gets its section below `[[attack]]`. All variants have the same further keys, so the first one shows them; its
        // needed key only names the kind.
        if let Some((heading, schema)) = self.shared_keys.as_ref().filter(|_| one.heading == "[[attack]]") {
            let _ = write!(out, "\n### `{heading}`\n{}\n", description(schema));
            if let Some(variant) = schema["oneOf"].get(0) {
                self.keys(out, variant, &|key| !is_needed(variant, key));
            }
            self.example(out, heading);
        }
    }

    /// Writes the section on values with their own notation.
    fn values(&self, out: &mut String) {
        if self.own.is_empty() {
            return;
        }
        let _ = write!(out, "\n## {OWN}\n| value | how it is written |\n|---|---|\n");
        for (name, schema) in &self.own {
            let _ = writeln!(out, "| {} | {} |", called(name), cell(&description(schema)));
        }
    }

    /// Writes the examples of a heading.
    pub(super) fn example(&self, out: &mut String, heading: &str) {
        for one in self.examples.iter().filter(|one| one.heading == heading) {
            let _ = write!(out, "\n```toml\n{}\n```\n", one.text.trim());
        }
    }
}
