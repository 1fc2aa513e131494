//! The keys of a table, each on a line with the form of its value, its default and its meaning.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    anchors::link,
    names::{called, cell},
    page::{KINDS, OWN, Page},
    shape::{Shape, description, is_needed, keys, kind},
};

impl Page<'_> {
    /// Writes those keys of a table that are wanted.
    pub(super) fn keys(&self, out: &mut String, table: &Value, wanted: &dyn Fn(&str) -> bool) {
        if keys(table).next().is_none() {
            out.push_str("\nNo keys.\n");
        }
        self.rows(out, keys(table).map(|(key, _)| (table, key)).filter(|(_, key)| wanted(key)));
    }

    /// Writes keys, each with the table that has it, and below them the meanings of the words that their values may be.
    pub(super) fn rows<'k>(&self, out: &mut String, all: impl IntoIterator<Item = (&'k Value, &'k str)>) {
        let (mut rows, mut words) = (String::new(), String::new());
        for (table, key) in all {
            let value = &table["properties"][key];
            let default = if is_needed(table, key) { "needed".to_owned() } else { default(value) };
            let what = cell(&description(value));
            let _ = writeln!(rows, "| `{key}` | {} | {default} | {what} |", self.form(value));
            self.words(&mut words, key, value);
        }
        if !rows.is_empty() {
            let _ = write!(out, "\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}");
        }
        if !words.is_empty() {
            let _ = write!(out, "\n{words}");
        }
    }

    /// Writes the words that a value may be, each with its meaning; nothing for other values.
    fn words(&self, out: &mut String, key: &str, value: &Value) {
        let value = match self.schema.shape(value) {
            Shape::List(items) => items,
            _ => value,
        };
        let Shape::Words(all) = self.schema.shape(value) else { return };
        let _ = writeln!(out, "- `{key}`");
        for word in all {
            let text = word["const"].as_str().unwrap_or_default();
            let _ = writeln!(out, "  - `{text}`: {}", description(word));
        }
    }

    /// Returns the form of a value in words.
    fn form(&self, value: &Value) -> String {
        match self.schema.shape(value) {
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
            Shape::Either(all) => {
                let mut forms: Vec<String> = Vec::new();
                for form in all.iter().map(|one| self.form(one)).filter(|form| !form.is_empty()) {
                    if !forms.contains(&form) {
                        forms.push(form);
                    }
                }
                forms.join(" or ")
            }
            Shape::Own(name, _) => link(called(name), OWN),
            Shape::Plain(schema) => plain(schema),
        }
    }

    /// Returns a link to the section of a value that is a table.
    fn section_link(&self, value: &Value) -> Option<String> {
        let Shape::Table(table) = self.schema.shape(value) else { return None };
        let section = self.sections.iter().find(|one| std::ptr::eq(one.table, table))?;
        let heading = match self.kind_of(&section.heading) {
            Some(_) => section.heading.trim_matches(['[', ']']),
            None => &section.heading,
        };
        Some(link(&format!("`{heading}`"), heading))
    }

    /// Whether these are the kinds of faults.
    fn is_fault(&self, variants: &[Value]) -> bool {
        let first = variants.first().and_then(kind).map(|(name, _)| name);
        first.is_some_and(|first| self.kinds.iter().any(|(name, ..)| *name == first))
    }
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
        "object" => "table",
        other => other,
    });
    let words = words.collect::<Vec<_>>().join(", ");
    let format = schema["format"].as_str().unwrap_or_default();
    let has_bound_of_type = match format {
        "uint8" => schema["maximum"] == u8::MAX,
        "uint16" => schema["maximum"] == u16::MAX,
        _ => schema["maximum"].is_null(),
    };
    if format.starts_with("uint") && schema["minimum"] == 0 && has_bound_of_type {
        return words;
    }
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) if least < most => format!("{words}, {least} to {most}"),
        (Some(least), Some(_)) => format!("{words}: {least}"),
        (Some(least), None) => format!("{words} from {least}"),
        (None, Some(most)) => format!("{words} up to {most}"),
        (None, None) => words,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::plain;

    #[test]
    fn bounds_are_shown_unless_they_are_those_of_the_type() {
        for (schema, wanted) in [
            (
                json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 100 }),
                "whole number, 0 to 100",
            ),
            (json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255 }), "whole number"),
            (
                json!({ "type": "integer", "format": "uint16", "minimum": 0, "maximum": 65535 }),
                "whole number",
            ),
            (
                json!({ "type": "integer", "format": "uint16", "minimum": 1, "maximum": 65535 }),
                "whole number, 1 to 65535",
            ),
            (json!({ "type": "integer", "format": "uint64", "minimum": 0 }), "whole number"),
            (json!({ "type": "integer", "format": "uint64", "minimum": 2 }), "whole number from 2"),
            (json!({ "type": "integer", "format": "uint32", "minimum": 1, "maximum": 1 }), "whole number: 1"),
            (json!({ "type": ["number", "null"], "minimum": 0.0, "maximum": 0.5 }), "number, 0 to 0.5"),
            (json!({ "type": "number", "maximum": 3 }), "number up to 3"),
            (json!({ "type": "string" }), "text"),
        ] {
            assert_eq!(plain(&schema), wanted, "{schema}");
        }
    }
}
