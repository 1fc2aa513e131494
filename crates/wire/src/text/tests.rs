//! Cleaning of texts.

use super::*;
use proptest::prelude::*;

const BAD: &str = "\u{1b}[31mred\u{1b}[0m\0nul \u{8} \u{fffe} line\nbreak \u{202e}gpj.exe \u{9b}2J \u{200b}";

#[test]
fn characters_that_are_not_plain_are_replaced_by_signs() {
    let cleaned = clean(BAD, 200);
    assert_eq!(cleaned, "␛[31mred␛[0m␀nul ␈ \u{fffd} line break \u{fffd}gpj.exe \u{fffd}2J \u{fffd}");
    assert!(matches!(clean("Grüße, עברית, 日本語 👩‍🚀", 200), Cow::Borrowed(_)));
    assert_eq!(clean("abcdef", 4), "abc…");
    assert_eq!(joined("\n one text\r\n of  two lines.\n"), "one text of  two lines.");
    assert_eq!(clean_lines("a\tb\r\n\u{1b}c"), "a    b\n␛c");
}

#[test]
fn invisible_characters_are_removed_from_a_line() {
    assert_eq!(without_invisible(BAD), "rednul   line break gpj.exe  ");
    assert_eq!(without_invisible("a\u{1b}(Bb\u{1b}]0;title\u{1b}\\c\u{1b}Md\u{1b}"), "abcd");
    assert_eq!(without_invisible("a\u{1b}[38;5;1mb\u{200d}c\td"), "abc\td");
    assert!(matches!(without_invisible("Grüße, 日本語"), Cow::Borrowed(_)));
}

#[test]
fn the_flaw_of_a_text_is_named() {
    for (text, what) in [
        ("a\nb", "a line break (U+000A)"),
        ("\u{1b}", "a control character (U+001B)"),
        ("\u{202e}", "a mark that changes the direction of writing (U+202E)"),
        ("\u{200b}", "a character that nobody sees (U+200B)"),
        ("abcdef", "6 characters, and at most 5 fit"),
    ] {
        assert_eq!(flaw(text, 5).as_deref(), Some(what));
    }
    assert_eq!(flaw("Friday – ok", 200), None);
}

#[test]
fn only_texts_in_json_are_cleaned() {
    let json = serde_json::json!({"n": 18_446_744_073_709_551_615_u64, "f": 0.1, "t": [BAD, "a\nb"], "k\u{1b}": true});
    let bytes = serde_json::to_vec(&json).expect("prints");
    let read: serde_json::Value = from_json(&bytes, Breaks::None).expect("reads");
    assert_eq!((&read["n"], &read["f"], &read["k␛"]), (&json["n"], &json["f"], &json["k\u{1b}"]));
    assert_eq!((&read["t"][0], &read["t"][1]), (&clean(BAD, 200).into_owned().into(), &"a b".into()));
    let kept: serde_json::Value = from_json(&bytes, Breaks::Kept).expect("reads");
    assert_eq!(kept["t"][1], "a\nb");
    let data = "A".repeat(3 * TEXT_MOST);
    let words = "word ".repeat(TEXT_MOST);
    let bytes = serde_json::to_vec(&[&data, &words]).expect("prints");
    let read: Vec<String> = from_json(&bytes, Breaks::None).expect("reads");
    assert!(read[0] == data && read[1].chars().count() == TEXT_MOST);
}

proptest! {
    #[test]
    fn a_cleaned_text_is_plain_and_cleaning_again_changes_nothing(text in any::<String>(), most in 1_usize..50) {
        let once = clean(&text, most);
        prop_assert!(once.chars().all(is_plain) && once.chars().count() <= most);
        prop_assert_eq!(clean(&once, most), once.as_ref());
        prop_assert_eq!(flaw(&once, most), None);
    }

    #[test]
    fn plain_json_is_read_without_changes(text in "[ -~]{0,20}") {
        let json = serde_json::to_vec(&text).expect("prints");
        prop_assert_eq!(from_json::<String>(&json, Breaks::None).expect("reads"), text);
    }
}
