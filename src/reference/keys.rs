//! The keys of a table, each on a line with the form of its value, its default and its meaning.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    anchors::link,
    names::{called, cell},
    page::{KINDS, OWN, Page},
    shape::{Schema, Shape, description, is_needed, keys, kind},
};

impl Page<'_> {
    /// Writes a table of keys, and below it the meanings of the words that their values may be.
    pub(super) fn keys(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
        let mut rows = String::new();
        self.rows(&mut rows, table, wanted);
        if rows.is_empty() {
            if keys(table).next().is_none() {
                out.push_str("\nNo keys.\n");
            }
            return;
        }
        head(out);
        out.push_str(&rows);
        let mut words = String::new();
        self.words(&mut words, table, wanted);
        if !words.is_empty() {
            let _ = write!(out, "\n{words}");
        }
    }

    pub(super) fn rows(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
        for (key, value) in keys(table).filter(|(key, _)| wanted(key)) {
            let default = if is_needed(table, key) { "needed".to_owned() } else { default(value) };
            let what = cell(&description(value));
            let _ = writeln!(out, "| `{key}` | {} | {default} | {what} |", self.form(value));
        }
    }

    pub(super) fn words(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
        for (key, value) in keys(table).filter(|(key, _)| wanted(key)) {
            let value = match self.schema.shape(value) {
                Shape::List(items) => items,
                _ => value,
            };
            let Shape::Words(all) = self.schema.shape(value) else { continue };
            let meant = all.iter().map(|word| {
                let text = word["const"].as_str().unwrap_or_default();
                format!("  - `{text}`: {}\n", description(word))
            });
            let _ = write!(out, "- `{key}`\n{}", meant.collect::<String>());
        }
    }

    /// Returns the form of a value in words.
    fn form(&self, value: &Value) -> String {
        match Schema(self.schema.0).shape(value) {
            Shape::Table(_) => self.section_link(value).unwrap_or_else(|| "table".to_owned()),
            Shape::Named(values) => self
                .section_link(values)
                .unwrap_or_else(|| format!("table of names, each with: {}", self.form(values))),
            Shape::List(items) => {
                self.section_link(items).unwrap_or_else(|| format!("list of: {}", self.form(items)))
            }
            Shape::OneOrMany(items) => format!("{}, or a list", self.form(items)),
            Shape::Words(all) => {
                let words = all.iter().filter_map(|one| one["const"].as_str());
                words.map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
            }
            Shape::Kinds(_, variants) if self.is_fault(variants) => link("fault", KINDS),
            Shape::Kinds(_, variants) => {
                let kinds = variants.iter().filter_map(|one| Some((kind(one)?.0, description(one))));
                let all =
                    kinds.map(|(name, what)| format!("`{{ {name} = … }}` ({})", what.trim_end_matches('.')));
                all.collect::<Vec<_>>().join(" or ")
            }
            Shape::Own(name, _) => link(called(name), OWN),
            Shape::Plain(schema) => plain(schema),
        }
    }

    /// Returns a link to the section of a value that is a table.
    fn section_link(&self, value: &Value) -> Option<String> {
        let Shape::Table(table) = Schema(self.schema.0).shape(value) else { return None };
        let section = self.sections.iter().find(|one| std::ptr::eq(one.table, table))?;
        let heading = match self.kind_of(&section.heading) {
            Some(_) => section.heading.trim_matches(['[', ']']),
            None => &section.heading,
        };
        Some(link(&format!("`{heading}`"), heading))
    }

    fn is_fault(&self, variants: &[Value]) -> bool {
        let first = variants.first().and_then(kind).map(|(name, _)| name);
        first.is_some_and(|first| self.kinds.iter().any(|(name, ..)| *name == first))
    }
}

pub(super) fn head(out: &mut String) {
    out.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
}

/// Returns the form of a plain value (a number, a text and so on) in words, with its bounds. Bounds of the integer
/// types themselves are left out.
fn plain(schema: &Value) -> String {
    let types = match &schema["type"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    };
    let words = types.into_iter().map(|one| match one {
        "string" if schema["format"] == "ip" => "IP address",
        "string" => "text",
        "integer" => "whole number",
        "boolean" => "`true` or `false`",
        other => other,
    });
    let words = words.collect::<Vec<_>>().join(", ");
    let bound = |key: &str| schema[key].as_f64().filter(|number| *number != 0.0);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) if least < most => format!("{words}, {least} to {most}"),
        (Some(least), Some(_)) => format!("{words}: {least}"),
        (Some(least), None) => format!("{words} from {least}"),
        _ => words,
    }
}

/// Returns the default; empty if there is none, or if it is an empty list or table.
fn default(value: &Value) -> String {
    match &value["default"] {
        Value::Null => String::new(),
        Value::Array(all) if all.is_empty() => String::new(),
        Value::Object(all) if all.is_empty() => String::new(),
        other => format!("`{other}`"),
    }
}
