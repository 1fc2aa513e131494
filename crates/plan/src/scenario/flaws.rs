//! Refuses texts that cannot be shown safely: with control characters, line breaks, marks that reverse or hide text,
//! or of excessive length. Texts of scenarios and fleets are shown on terminals, in syslog, at logins and in reports.

use firedrill_sources::SourceKind;
use firedrill_wire::{
    probe::ProbeKind,
    text::{NAME_MOST, TEXT_MOST, clean, flaw, joined},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::diagnostic::{FileId, Place, Problem, Sink};

/// The key of the files that a fleet gives to hosts of a lab.
const FILE: &str = "file";
/// The key of the content of such a file. It is written to a host byte by byte, and never shown.
const CONTENT: &str = "content";
/// Maximum length of an unsafe text in a message, in characters.
const SHOWN: usize = 40;

/// Keys whose texts may have several lines, which are joined.
const PROSE: [&str; 4] = ["about", "hypothesis", "manual", "undo"];

/// The place of a text in the file.
#[derive(Clone, Copy)]
struct Under<'k> {
    /// The key of the file's own table.
    top: &'k str,
    /// The nearest key.
    key: &'k str,
}

/// Refuses unsafe texts and keys of a file.
pub(crate) fn refuse(table: &DeTable<'_>, file: FileId, sink: &mut Sink) {
    for (key, node) in table {
        check(key.get_ref(), NAME_MOST, key.span(), file, sink);
        value(Under { top: key.get_ref(), key: key.get_ref() }, node, file, sink);
    }
}

/// Refuses unsafe texts of a value, and of the values in it.
fn value(under: Under<'_>, node: &Spanned<DeValue<'_>>, file: FileId, sink: &mut Sink) {
    match node.get_ref() {
        DeValue::String(text) if PROSE.contains(&under.key) || under.top == "meta" => {
            check(&joined(text), TEXT_MOST, node.span(), file, sink);
        }
        DeValue::String(text) => {
            let most = if under.key == "name" { NAME_MOST } else { TEXT_MOST };
            check(text, most, node.span(), file, sink);
        }
        DeValue::Array(items) => items.iter().for_each(|item| value(under, item, file, sink)),
        DeValue::Table(table) => {
            for (key, inner) in table {
                check(key.get_ref(), NAME_MOST, key.span(), file, sink);
                // A probe may have the name of such a key.
                let as_it_is = match under.top {
                    "probes" | "targets" => ProbeKind::as_it_is(under.key),
                    "sources" => SourceKind::as_it_is(under.key),
                    _ => &[],
                };
                let exact = as_it_is.contains(&key.get_ref().as_ref());
                let is_content = under.top == "host" && under.key == FILE && key.get_ref() == CONTENT;
                if !(exact || is_content) {
                    value(Under { key: key.get_ref(), ..under }, inner, file, sink);
                }
            }
        }
        _ => {}
    }
}

/// Refuses a text that is unsafe, or longer than `most`.
fn check(text: &str, most: usize, at: std::ops::Range<usize>, file: FileId, sink: &mut Sink) {
    let Some(flaw) = flaw(text, most) else { return };
    let start = clean(text, SHOWN);
    let message = format!("`{start}` cannot be shown safely: it has {flaw}");
    let help = if flaw.starts_with("a line break") {
        "write it in one line; in a text within \"\"\", a `\\` at the end of a line joins it with the next"
    } else {
        "remove it: terminals, syslog and reports would not show the text of the file"
    };
    sink.push(Problem::error(message).at(Place { file, at }, "this text").help(help));
}

/// Returns the first unsafe text or key of JSON, with the flaw.
pub(crate) fn of_json(json: &serde_json::Value) -> Option<(String, String)> {
    json_under("", json)
}

/// As [`of_json`], for the value of a key.
fn json_under(under: &str, json: &serde_json::Value) -> Option<(String, String)> {
    let wrong = |text: &str| flaw(text, TEXT_MOST).map(|flaw| (clean(text, SHOWN).into_owned(), flaw));
    match json {
        serde_json::Value::String(text) => wrong(text),
        serde_json::Value::Array(items) => items.iter().find_map(|item| json_under(under, item)),
        serde_json::Value::Object(table) => table.iter().find_map(|(key, inner)| {
            let is_content = under == FILE && key == CONTENT;
            wrong(key).or_else(|| if is_content { None } else { json_under(key, inner) })
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_of_probes_may_have_any_text() {
        let flaws = |text: &str| {
            let mut sink = Sink::default();
            let file = sink.add_source("drill.toml", text);
            refuse(DeTable::parse(text).expect("TOML").get_ref(), file, &mut sink);
            sink.errors()
        };
        for text in [
            r#"probes.buy.http = { body = "a\nb", contains = "a\nb", headers = { x = "a\nb" } }"#,
            r#"meta.why = "a\nb""#,
            r#"host = [{ service = [{ file = [{ content = "a\nb" }] }] }]"#,
        ] {
            assert_eq!(flaws(text), 0, "{text}");
        }
        for text in [
            r#"probes.buy.http = { url = "a\nb" }"#,
            r#"probes.body = { from = ["a\nb"] }"#,
            r#"probes.headers.http = { url = "a\nb" }"#,
            r#"attack = [{ contains = "a\nb" }]"#,
            r#"host = [{ service = [{ file = [{ path = "a\nb" }] }] }]"#,
            r#"host = [{ service = [{ content = "a\nb" }] }]"#,
        ] {
            assert_eq!(flaws(text), 1, "{text}");
        }
    }
}
