//! The section on kinds of faults. The kinds are the same at each place of a file that may have a fault.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    anchors::link,
    names::cell,
    page::{KINDS, Page, Section},
    shape::{description, keys},
};

/// The heading of the section on keys that many kinds of faults have.
const SHARED: &str = "Which packets";
/// Minimum number of kinds with the same key for which the key is explained once for all of them.
const MANY: usize = 5;

impl<'s> Page<'s> {
    /// Writes the section. `nested` are the sections of tables inside the parameters of kinds.
    pub(super) fn faults(&self, out: &mut String, nested: &[&Section<'_>]) {
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
            self.rows(out, shared.iter().copied());
        }
        for (name, table, _) in &self.kinds {
            let _ = write!(out, "\n### `{name}`\n{}\n", without_name(name, table));
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

    /// Returns the keys that at least [`MANY`] kinds have, each with the first table that has it.
    fn shared(&self) -> Vec<(&'s Value, &'s str)> {
        let mut shared: Vec<(&'s Value, &'s str)> = Vec::new();
        for (_, table, _) in &self.kinds {
            for (key, value) in keys(table) {
                let same = |other: &&(&str, &Value, String)| other.1["properties"].get(key) == Some(value);
                let count = self.kinds.iter().filter(same).count();
                if count >= MANY && !is_shared(&shared, key, value) {
                    shared.push((table, key));
                }
            }
        }
        shared
    }
}

/// Returns the description of a kind without the name at its beginning.
fn without_name(name: &str, table: &Value) -> String {
    let text = description(table);
    let rest = text.strip_prefix(&format!("`{name}`: ")).unwrap_or(&text);
    let mut letters = rest.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Whether a key with this schema is one of the shared keys.
fn is_shared(shared: &[(&Value, &str)], key: &str, value: &Value) -> bool {
    shared.iter().any(|(table, name)| *name == key && table["properties"].get(key) == Some(value))
}
