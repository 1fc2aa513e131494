//! Finds secrets in clear text in a scenario, a fleet or another file, so that no message, excerpt or plan repeats them.
//!
//! In valid requests they are found by their place; in commands as plans find them; in other values by the name of the key, so
//! that a misspelt table is covered too; and line by line if a file is not valid TOML. Never decides what is an error.

use std::{collections::BTreeMap, ops::Range};

use firedrill_sources::SourceKind;
use firedrill_wire::{
    hide::{self, Hiding, looks_secret, names_secret},
    probe::{Field, Hides, ProbeKind},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::tree;
use crate::diagnostic::{FileId, Place, Sink, Word};

/// Keys that are named like secrets but contain the place of one.
const PLACES: [&str; 4] = ["secret_file", "secret_env", "secrets", "bearer"];
/// Keys of commands, whose words may be secrets.
const COMMANDS: [&str; 3] = ["check", "command", "connect"];

/// Marks the parts of a file that must not be shown. `is_valid` tells whether the file is valid TOML; otherwise its lines are
/// searched, too.
pub(crate) fn note(file: FileId, text: &str, table: &Spanned<DeTable<'_>>, is_valid: bool, sink: &mut Sink) {
    let root = Spanned::new(table.span(), DeValue::Table(table.get_ref().clone()));
    let mut cover = |at: Range<usize>, secret: Option<&str>| {
        sink.hide(Place { file, at });
        if let Some(secret) = secret {
            sink.hide_text(secret);
        }
    };
    let words = tree::words(&root);
    let names = words.iter().filter(|word| word.key).filter_map(|word| match word.path.as_slice() {
        [top, _, _, secrets, name]
            if ["probes", "sources"].contains(&top.as_str()) && secrets == "secrets" =>
        {
            Some(name)
        }
        [top, _, by, _, secrets, name] if top == "targets" && by == "pick_by" && secrets == "secrets" => {
            Some(name)
        }
        _ => None,
    });
    let names: Vec<&String> = names.collect();
    // Only the texts of the secrets are used here, so any field will do.
    let field = Field::probe("");
    for word in words.iter().filter(|word| !word.key) {
        let Some(value) = &word.text else { continue };
        let raw = text.get(word.at.clone()).unwrap_or_default();
        match kind(word) {
            Kind::Url => {
                let mut hiding = Hiding::new(names.iter().copied());
                hiding.url(&field, value);
                for clear in hiding.found() {
                    for at in within(raw, &clear.text, word.at.start) {
                        cover(at, clear.sure.then_some(clear.text.as_str()));
                    }
                }
            }
            Kind::Header(name) => {
                let mut hiding = Hiding::new(names.iter().copied());
                hiding.header(&field, name, value);
                for clear in hiding.found() {
                    cover(word.at.clone(), clear.sure.then_some(clear.text.as_str()));
                }
            }
            Kind::Secret => cover(word.at.clone(), Some(value)),
            Kind::Named => cover(word.at.clone(), None),
            Kind::Other => {}
        }
    }
    for (at, whole) in of_commands(&words) {
        cover(at, whole);
    }
    if !is_valid {
        for at in lines(text) {
            cover(at, None);
        }
    }
}

/// A word of a command: the text, its place, and whether it is the whole command.
type CommandWord<'a> = (&'a str, &'a Range<usize>, bool);

/// Returns the places of the words of commands that plans do not show. A command that is one text comes with it, because messages
/// about its type repeat it.
fn of_commands(words: &[Word]) -> Vec<(Range<usize>, Option<&str>)> {
    let mut commands = BTreeMap::<&[String], Vec<CommandWord<'_>>>::new();
    let is_command = |key: &String| COMMANDS.contains(&key.as_str());
    for word in words.iter().filter(|word| !word.key) {
        let Some(value) = &word.text else { continue };
        let (path, is_whole) = match word.path.as_slice() {
            [.., key] if is_command(key) => (word.path.as_slice(), true),
            [command @ .., _index] if command.last().is_some_and(is_command) => (command, false),
            _ => continue,
        };
        commands.entry(path).or_default().push((value, &word.at, is_whole));
    }
    let changed = commands.into_values().flat_map(|command| {
        let argv: Vec<String> = command.iter().map(|(value, ..)| (*value).to_owned()).collect();
        let shown = hide::argv(&argv);
        let all = command.into_iter().zip(argv.into_iter().zip(shown));
        let changed = all.filter(|(_, (word, shown))| word != shown);
        changed.map(|((value, at, is_whole), _)| (at.clone(), is_whole.then_some(value))).collect::<Vec<_>>()
    });
    changed.collect()
}

/// Returns the keys of a kind whose values may be secrets.
fn hides(top: &str, kind: &str) -> &'static [(&'static str, Hides)] {
    match top {
        "probes" => ProbeKind::hides(kind),
        "sources" => SourceKind::hides(kind),
        _ => &[],
    }
}

/// The kind of a value, as far as secrets are concerned.
enum Kind<'w> {
    /// A URL, which may have secrets in it.
    Url,
    /// The value of the header of this name.
    Header(&'w str),
    /// The whole value is a secret. It is covered wherever it occurs.
    Secret,
    /// The key is named like a secret. The value is covered only here, because it may be a usual word that occurs elsewhere.
    Named,
    /// No secret.
    Other,
}

/// Returns the kind of a value, by its path.
fn kind(word: &Word) -> Kind<'_> {
    let mut path: Vec<&str> = word.path.iter().map(String::as_str).collect();
    // A question about the leader of a target is a request like a probe's.
    if let ["targets", name, "pick_by", rest @ ..] = path.as_slice() {
        path = [&["probes", name], rest].concat();
    }
    if path.iter().any(|key| PLACES.contains(key)) {
        return Kind::Other;
    }
    if let [top, _, kind, keys @ ..] = path.as_slice()
        && let Some(hidden) = below(hides(top, kind), keys)
    {
        return hidden;
    }
    match path.as_slice() {
        ["params", name, "default"]
            if names_secret(name) || word.text.as_deref().is_some_and(looks_secret) =>
        {
            Kind::Secret
        }
        [.., key] if names_secret(key) => Kind::Named,
        _ => Kind::Other,
    }
}

/// Returns how a value is hidden by the keys that lead to it; `None` where they do not hide it.
fn below<'w>(hides: &[(&str, Hides)], keys: &[&'w str]) -> Option<Kind<'w>> {
    let (key, rest) = keys.split_first()?;
    let (_, hides) = hides.iter().find(|(name, _)| name == key)?;
    match (hides, rest) {
        // One of a list of addresses, too.
        (Hides::Url, [] | [_]) => Some(Kind::Url),
        (Hides::Url, _) => None,
        (Hides::Headers, [name]) => Some(Kind::Header(name)),
        (Hides::Headers | Hides::Whole, _) => Some(Kind::Secret),
        (Hides::Table(within), keys) => below(within, keys),
    }
}

/// Returns the positions of a text in a value of a file; the whole value if it is written with escapes.
fn within(raw: &str, text: &str, start: usize) -> Vec<Range<usize>> {
    let mut found: Vec<_> =
        raw.match_indices(text).map(|(at, text)| start + at..start + at + text.len()).collect();
    if found.is_empty() {
        found.push(start..start + raw.len());
    }
    found
}

/// Returns places of possible secrets in a file that is not valid TOML: the text after a secret's name or the key of a command, and the
/// user or the query of anything that looks like a URL.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let mut from = 0;
        while let Some(at) = line[from..].find(['=', ':']).map(|at| from + at) {
            let name = line[..at].trim_end().trim_matches(['"', '\'']);
            let name = name.rsplit(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).next();
            if name.is_some_and(|name| {
                COMMANDS.contains(&name) || (names_secret(name) && !PLACES.contains(&name))
            }) {
                places.push(start + at + 1..end);
                break;
            }
            from = at + 1;
        }
        if let Some(at) = line.find("://")
            && let Some(query) = line[at..].find(['?', '@'])
        {
            let from = if line.as_bytes()[at + query] == b'@' { at + 3 } else { at + query + 1 };
            let rest = line[from..].find(['"', '\'', ' ', '\n']).unwrap_or(line.len() - from);
            places.push(start + from..start + from + rest);
        }
        start += line.len();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::covered;

    #[test]
    fn broken_lines_hide_the_text_after_a_secrets_name() {
        let shown = |text: &str| covered(text, &lines(text), &[]);
        let text = "headers = { Authorization = \"Basic HDR1, X-Api-Key: K2\nurl = \"http://e/?key=Q3\" x\nrate = 10\n";
        let covered = shown(text);
        for secret in ["HDR1", "K2", "Q3"] {
            assert!(!covered.contains(secret), "{covered}");
        }
        assert!(covered.len() == text.len() && covered.ends_with("\nrate = 10\n"), "{covered}");
        let command = shown("connect = [\"sshpass\", \"-p\", \"P4SS\"\n");
        assert!(!command.contains("P4SS") && command.starts_with("connect ="), "{command}");
        let user = shown("ü = \"http://u:ü@e/x\" # same\n");
        assert_eq!(user, "ü = \"http://********\" # same\n");
    }

    #[test]
    fn secret_words_of_commands_are_covered_and_the_others_shown() {
        let text = "command = [\"curl\", \"-H\", \"Authorization: Bearer B3AR\", \"http://e/\"]\n\
                    check = [\"sh\", \"-c\", \"test\"]\n\
                    host = [{ name = \"a\", connect = [\"sshpass\", \"-p\", \"P4SS\", \"ssh\"] }]\n\
                    [defaults]\nconnect = \"sshpass -p W0RD ssh %h\"\n";
        let root = DeTable::parse(text).unwrap();
        let root = Spanned::new(root.span(), DeValue::Table(root.into_inner()));
        let words = tree::words(&root);
        let (places, whole): (Vec<_>, Vec<_>) = of_commands(&words).into_iter().unzip();
        assert_eq!(whole.into_iter().flatten().collect::<Vec<_>>(), ["sshpass -p W0RD ssh %h"]);
        let shown = covered(text, &places, &[]);
        for secret in ["B3AR", "P4SS", "W0RD"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for word in ["curl", "http://e/", "test", "sshpass", "name = \"a\""] {
            assert!(shown.contains(word), "no {word} in {shown}");
        }
    }
}
