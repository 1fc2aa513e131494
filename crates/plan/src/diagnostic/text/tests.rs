//! Compares whole texts: lines, carets, and what a terminal must not get.

use crate::diagnostic::{Place, Problem, Sink};

use super::*;

/// Renders a problem at the first `wanted` in a file.
fn at(text: &str, wanted: &str, width: usize) -> String {
    let start = text.find(wanted).unwrap();
    one(text, start..start + wanted.len(), width)
}

/// Renders one problem without colours.
fn one(text: &str, at: Range<usize>, width: usize) -> String {
    let mut sink = Sink::default();
    let file = sink.add_source("a.toml", text);
    sink.push(Problem::error("wrong").at(Place { file, at }, "this"));
    sink.into_report().render(false, width)
}

/// Columns of a terminal before a word, counted from the text itself: a rocket takes two, an accent none.
fn columns_before(line: &str, word: &str) -> usize {
    let before = &line[..line.find(word).unwrap_or_else(|| panic!("no {word} in {line}"))];
    before
        .chars()
        .map(|one| match one {
            '🚀' => 2,
            '\u{301}' => 0,
            _ => 1,
        })
        .sum()
}

#[track_caller]
fn caret_is_below(shown: &str, word: &str) {
    let lines: Vec<&str> = shown.lines().collect();
    let caret = lines.iter().position(|line| line.contains("^ this")).expect(shown);
    assert_eq!(columns_before(lines[caret], "^"), columns_before(lines[caret - 1], word), "{shown}");
    assert_eq!(lines[caret].matches('^').count(), word.chars().count(), "{shown}");
}

#[test]
fn an_excerpt_has_the_lines_around_and_the_place_in_the_file() {
    let shown = at("a = 1\nb = 2\nkey = 3\nc = 4\nd = 5\n", "key", 80);
    let wanted =
        "error: wrong\n --> a.toml:3:1\n  |\n2 | b = 2\n3 | key = 3\n  | ^^^ this\n4 | c = 4\n  |\n\n";
    assert_eq!(shown, wanted);
    let last = at("a = 1\nkey = 3\n", "key", 80);
    assert!(last.ends_with("2 | key = 3\n  | ^^^ this\n\n"), "the last line has none after it: {last}");
}

#[test]
fn carets_are_right_after_wide_characters_accents_and_tabs() {
    let shown = at("[x]\n\tü = \"🚀 e\u{301}\",\tkey = 1\n", "key", 80);
    caret_is_below(&shown, "key");
    assert!(shown.contains("a.toml:2:14\n"), "columns are characters: {shown}");
}

#[test]
fn a_long_line_is_cut_on_both_sides_of_the_caret() {
    for filler in ["long ", "lä🚀 "] {
        let text = format!("[x]\n{} key = 1 {}\n", filler.repeat(200), filler.repeat(200));
        let shown = at(&text, "key", 60);
        caret_is_below(&shown, "key");
        assert!(shown.contains("2 | ...") && shown.contains("a.toml:2:"), "{shown}");
        assert!(shown.lines().all(|line| columns_before(&format!("{line}\n"), "\n") <= 66), "{shown}");
    }
}

#[test]
fn the_end_of_a_file_can_be_pointed_at() {
    for (text, place, line) in [
        ("", ":1:1", "1 |\n  | ^ this\n"),
        ("\n", ":2:1", "1 |\n2 |\n  | ^ this\n"),
        ("a = [", ":1:6", "1 | a = [\n  |      ^ this\n"),
        ("a = [\n", ":2:1", "1 | a = [\n2 |\n  | ^ this\n"),
        ("a = [\r\n", ":2:1", "1 | a = [\n2 |\n  | ^ this\n"),
    ] {
        for end in [text.len(), text.len() + 9] {
            let shown = one(text, text.len()..end, 80);
            assert!(shown.contains(place) && shown.contains(line), "{text:?}: {shown}");
        }
    }
}

#[test]
fn only_the_first_line_of_a_place_is_underlined_and_no_character_is_cut() {
    let shown = one("a = [\n1,\n]\n", 4..10, 80);
    assert!(shown.contains("1 | a = [\n  |     ^ this\n2 | 1,\n"), "{shown}");
    let shown = one("ü = 1\n", 1..1, 80);
    assert!(shown.contains("1 | ü = 1\n  | ^ this"), "{shown}");
}

#[test]
fn no_command_reaches_the_terminal() {
    let evil = "\u{1b}[2J\u{7}\u{9b}2J\u{202e}\u{8}\r\u{7f}";
    let mut sink = Sink::default();
    let text = format!("{evil}\na = \"{evil}\", key = 1\n{evil}\n");
    let start = text.find("key").unwrap();
    let file = sink.add_source(format!("{evil}\n.toml"), text.as_str());
    let problem = Problem::error(evil).at(Place { file, at: start..start + 3 }, format!("{evil}this"));
    sink.push(problem.help(evil).also(Place { file, at: 0..1 }, evil));
    let shown = sink.into_report().render(false, 80);
    assert!(shown.chars().all(|one| one == '\n' || !one.is_control() && one != '\u{202e}'), "{shown:?}");
    assert!(shown.contains("␛[2J␇\u{fffd}2J\u{fffd}"), "{shown}");
    let carets = columns_before(shown.lines().find(|line| line.contains("^^^ ")).expect(&shown), "^");
    let key = columns_before(shown.lines().find(|line| line.contains("key")).expect(&shown), "key");
    assert_eq!(carets, key, "{shown}");
}

/// A problem in the third line of a file, with two places more, of which the first is `lines` further down.
fn three(lines: usize) -> String {
    let mut sink = Sink::default();
    let text = format!("[a]\nb = 1\nkey = 2\n{}other = 3\n", "#\n".repeat(lines - 1));
    let (own, other) = (text.find("key").unwrap(), text.find("other").unwrap());
    let file = sink.add_source("a.toml", text.as_str());
    let base = sink.add_source("base.toml", "key = 0\n");
    sink.push(
        Problem::warning("twice")
            .at(Place { file, at: own..own + 3 }, "again")
            .also(Place { file, at: other..other + 5 }, "near")
            .also(Place { file: base, at: 0..3 }, "first")
            .help("rename one"),
    );
    sink.into_report().render(false, 80)
}

#[test]
fn places_near_share_an_excerpt_and_the_others_have_their_own() {
    let rest = " ::: base.toml:1:1\n   |\n 1 | key = 0\n   | --- first\n   |\n   = help: rename one\n\n";
    let near = three(6);
    assert!(near.starts_with("warning: twice\n --> a.toml:3:1\n"), "{near}");
    assert!(near.contains("\n9 | other = 3\n  | ----- near\n  |\n ::: base.toml:1:1\n"), "{near}");
    assert!(!near.contains("::: a.toml"), "{near}");
    let far = three(7);
    assert!(far.contains("\n 4 | #\n   |\n  ::: a.toml:10:1\n   |\n 9 | #\n10 | other = 3\n"), "{far}");
    assert!(far.ends_with(rest), "{far}");
}

#[test]
fn a_problem_without_a_place_has_message_and_help() {
    let mut sink = Sink::default();
    sink.push(Problem::error("no file").help("name one"));
    assert_eq!(sink.into_report().render(false, 80), "error: no file\n |\n = help: name one\n\n");
}

#[test]
fn long_messages_and_help_are_wrapped_with_an_indent() {
    let mut sink = Sink::default();
    let file = sink.add_source("a.toml", "key = 1\n");
    let words = "net-block, net-slow and net-lose";
    sink.push(Problem::error(words).at(Place { file, at: 0..3 }, "this").help(words));
    let shown = sink.into_report().render(false, 30);
    assert!(shown.starts_with("error: net-block, net-slow and\n       net-lose\n"), "{shown}");
    assert!(shown.ends_with("  = help: net-block, net-slow\n          and net-lose\n\n"), "{shown}");
    assert_eq!(wrapped("one\ntwo three", 5), "one\ntwo\nthree");
    assert_eq!(wrapped("unbreakable", 5), "unbreakable");
}

#[test]
fn colours_are_there_only_when_asked_for() {
    let mut sink = Sink::default();
    sink.push(Problem::error("wrong"));
    let report = sink.into_report();
    assert!(report.render(true, 80).starts_with("\u{1b}[1m\u{1b}[91merror\u{1b}[0m"), "{report:?}");
    assert_eq!(report.render(false, 80), "error: wrong\n\n");
}
