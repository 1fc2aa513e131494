//! A page: a section for each table that a file may have, with its keys and an example.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Example,
    anchors::link,
    shape::{Schema, Shape, description, is_needed, keys, kind},
};

/// The heading of the section on kinds of faults.
const KINDS: &str = "Faults";
/// The heading of the section on keys that many kinds of faults have.
const SHARED: &str = "Which packets";
/// The heading of the section on values that are written in their own way.
const OWN: &str = "Values";
/// A key of so many kinds is explained once for all of them.
const MANY: usize = 5;

/// What types of values are called in a table of keys. Others are called by the type's name.
const CALLED: [(&str, &str); 6] = [
    ("Span", "duration"),
    ("Share", "share"),
    ("BitRate", "rate"),
    ("ByteSize", "size"),
    ("PortRange", "port"),
    ("Pick", "number of hosts"),
];

/// A table that a file may have.
struct Section<'s> {
    heading: String,
    /// The places at which the same table may stand as well.
    also: Vec<String>,
    level: usize,
    table: &'s Value,
}

/// A page in the making.
pub(super) struct Page<'s> {
    schema: Schema<'s>,
    sections: Vec<Section<'s>>,
    kinds: Vec<(&'s str, &'s Value, String)>,
    /// Keys that a kind has beside the one that names it, and the section that they stand in.
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

    /// The page, beginning with a text of one's own.
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
                let level = level.max(place.matches('.').count().min(2) + 1).min(3);
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
            Shape::Words(_) | Shape::Plain(_) => {}
        }
    }

    /// The kinds of faults get sections of their own, the same ones wherever a fault may stand. What else has kinds
    /// (a secret) is told where it stands.
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

    fn kind_of(&self, heading: &str) -> Option<&'s str> {
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

    fn faults(&self, out: &mut String, nested: &[&Section<'_>]) {
        let _ = write!(
            out,
            "\n## {KINDS}\n`fault` is a table with one of these keys; [`[[attack.faults]]`](#attackfaults) has several of them. \
             Each kind has a page that says what happens, and how it ends.\n\n| kind | what it does |\n|---|---|\n"
        );
        for (name, _, what) in &self.kinds {
            let _ = writeln!(out, "| {} ([page](faults/{name}.md)) | {} |", link(name, name), cell(what));
        }
        let shared = self.shared();
        if !shared.is_empty() {
            let _ = write!(
                out,
                "\n### {SHARED}\nMany kinds choose the packets that they are about by the same keys; what is not given narrows \
                 nothing down ([more](faults/README.md#which-packets)).\n"
            );
            head(out);
            shared.iter().for_each(|(table, key)| self.rows(out, table, &|name| name == *key));
            let mut words = String::new();
            shared.iter().for_each(|(table, key)| self.words(&mut words, table, &|name| name == *key));
            if !words.is_empty() {
                let _ = write!(out, "\n{words}");
            }
        }
        for (name, table, _) in &self.kinds {
            let _ = write!(out, "\n### `{name}`\n{}\n", said(name, table));
            let common: Vec<String> = keys(table)
                .filter(|(key, value)| is_shared(&shared, key, value))
                .map(|(key, _)| format!("`{key}`"))
                .collect();
            self.keys(out, table, &|key| !is_shared(&shared, key, &table["properties"][key]));
            if !common.is_empty() {
                let _ =
                    writeln!(out, "\nAnd of {}: {}.", link("those of many kinds", SHARED), common.join(", "));
            }
            self.example(out, name);
            for one in nested.iter().filter(|one| self.kind_of(&one.heading) == Some(*name)) {
                let heading = one.heading.trim_matches(['[', ']']);
                let _ = write!(out, "\n#### `{heading}`\n{}\n", description(one.table));
                self.keys(out, one.table, &|_| true);
            }
        }
    }

    /// Returns the keys that many kinds have, each with the first table that has it.
    fn shared(&self) -> Vec<(&'s Value, &'s str)> {
        let mut all: Vec<(&'s Value, &'s str)> = Vec::new();
        for (_, table, _) in &self.kinds {
            for (key, value) in keys(table) {
                let same = |other: &&(&str, &Value, String)| other.1["properties"].get(key) == Some(value);
                let count = self.kinds.iter().filter(same).count();
                if count >= MANY && !is_shared(&all, key, value) {
                    all.push((table, key));
                }
            }
        }
        all
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

    fn example(&self, out: &mut String, heading: &str) {
        for one in self.examples.iter().filter(|one| one.heading == heading) {
            let _ = write!(out, "\n```toml\n{}\n```\n", one.text.trim());
        }
    }

    /// A table of keys, and below it what their words mean.
    fn keys(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
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

    fn rows(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
        for (key, value) in keys(table).filter(|(key, _)| wanted(key)) {
            let default = if is_needed(table, key) { "needed".to_owned() } else { default(value) };
            let what = cell(&description(value));
            let _ = writeln!(out, "| `{key}` | {} | {default} | {what} |", self.form(value, key));
        }
    }

    fn words(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
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

    /// The form of a value in words.
    fn form(&self, value: &Value, key: &str) -> String {
        match Schema(self.schema.0).shape(value) {
            Shape::Table(_) => self.section_link(value).unwrap_or_else(|| "table".to_owned()),
            Shape::Named(values) => self
                .section_link(values)
                .unwrap_or_else(|| format!("table of names, each with: {}", self.form(values, key))),
            Shape::List(items) => {
                self.section_link(items).unwrap_or_else(|| format!("list of: {}", self.form(items, key)))
            }
            Shape::OneOrMany(items) => format!("{}, or a list", self.form(items, key)),
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

    /// A link to the section of a value that is a table.
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

fn head(out: &mut String) {
    out.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
}

/// What a kind does, without the name that its description begins with.
fn said(name: &str, table: &Value) -> String {
    let text = description(table);
    let rest = text.strip_prefix(&format!("`{name}`: ")).unwrap_or(&text);
    let mut letters = rest.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn is_shared(shared: &[(&Value, &str)], key: &str, value: &Value) -> bool {
    shared.iter().any(|(table, name)| *name == key && table["properties"].get(key) == Some(value))
}

fn called(name: &str) -> &str {
    CALLED.iter().find(|(of, _)| *of == name).map_or(name, |(_, word)| word)
}

/// A number, a text and so on, with the bounds that are not those of the machine's numbers.
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

/// The default where there is one that says something.
fn default(value: &Value) -> String {
    match &value["default"] {
        Value::Null => String::new(),
        Value::Array(all) if all.is_empty() => String::new(),
        Value::Object(all) if all.is_empty() => String::new(),
        other => format!("`{other}`"),
    }
}

/// A text that may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
