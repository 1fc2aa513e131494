//! Doc comments name their subject: no item's begins with a question word, which describes the item as a riddle.
//!
//! Reads the source, and compiles nothing. It knows only how a doc comment begins, never whether it is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

/// The words that no doc comment begins with.
const RIDDLES: [&str; 6] = ["What", "How", "So many", "Where", "When", "Which"];
/// Directories that hold no source of this project.
const ELSEWHERE: [&str; 3] = ["target", "node_modules", ".git"];

/// Adds to `found` the first lines of doc comments below a directory that begin with one of the words.
fn look(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !ELSEWHERE.contains(&name) {
                look(&path, found);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.extend(riddles(&text).map(|(line, doc)| format!("{}:{line}: {doc}", path.display())));
        }
    }
}

/// Returns the first lines of doc comments that begin with one of the words, with their numbers.
fn riddles(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let doc = |line: &str| line.starts_with("///") || line.starts_with("//!");
    let lines = text.lines().map(str::trim_start).scan(false, move |inside, line| {
        let first = doc(line) && !*inside;
        *inside = doc(line);
        Some((first, line))
    });
    lines.enumerate().filter_map(|(at, (first, line))| {
        let words = line.get(3..)?.trim_start();
        let begins =
            |riddle: &str| words.strip_prefix(riddle).is_some_and(|rest| rest.starts_with([' ', ',']));
        (first && RIDDLES.iter().any(|riddle| begins(riddle))).then_some((at + 1, line))
    })
}

#[test]
fn no_doc_comment_is_a_riddle() {
    let mut found = Vec::new();
    look(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    assert!(
        found.is_empty(),
        "name the subject (\"The time at which …\", \"Returns …\"):\n{}",
        found.join("\n")
    );
}

#[test]
fn only_the_first_line_of_a_doc_comment_counts() {
    let text = "/// The time.\n/// When it ends.\nfn a() {}\n    /// How it ends.\n//! What it is.\n// What is this?\n/// Whether it ends.\n/// Wherever.\n";
    assert_eq!(riddles(text).map(|(line, _)| line).collect::<Vec<_>>(), [4]);
    assert_eq!(riddles("//! What it is.\n").count(), 1);
}
