//! Checks of the list of codes.

use std::collections::BTreeSet;

use super::*;
use crate::testing::sources;

#[test]
fn a_code_is_written_as_its_name_and_an_unknown_name_is_kept() {
    for code in RefusalCode::all() {
        let json = serde_json::to_string(code).expect("prints");
        assert_eq!(json, format!("\"{code}\""));
        assert_eq!(serde_json::from_str::<RefusalCode>(&json).expect("reads"), *code);
    }
    let newer: RefusalCode = serde_json::from_str("\"no-moon\"").expect("reads");
    assert!(matches!(newer, RefusalCode::Other(_)) && newer.status() == 409, "{newer:?}");
    assert_eq!(serde_json::to_string(&newer).expect("prints"), "\"no-moon\"");
}

#[test]
fn names_and_sentences_have_their_form() {
    let mut names = BTreeSet::new();
    for code in RefusalCode::all() {
        let name = code.as_str();
        assert!(names.insert(name), "`{name}` is in the list twice");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        assert!((400..600).contains(&code.status()), "{name}");
        for sentence in [code.meaning(), code.remedy()] {
            assert!(
                sentence.ends_with('.') && sentence.starts_with(char::is_uppercase),
                "{name}: {sentence}"
            );
        }
    }
}

/// The statuses are a part of `/v1`, so they stay as in the first version.
#[test]
fn statuses_are_those_of_the_first_version() {
    for code in RefusalCode::all() {
        let name = code.as_str();
        let status = match name {
            "not-allowed" | "not-approved" | "not-trusted" => 403,
            "too-large" => 413,
            "busy" => 503,
            "journal" | "bug" | "status" | "unread" => 500,
            "bad-id" | "bad-after" => 400,
            "bad-method" => 405,
            name if name.starts_with("unknown-") => 404,
            name if name.starts_with("bad-") => 422,
            _ => 409,
        };
        assert_eq!(code.status(), status, "{name}");
    }
}

/// Reads the source code, because the compiler does not find a code that is never used for a refusal.
#[test]
fn each_code_is_used_and_no_other_file_has_its_name_as_text() {
    let sources = sources(&[]);
    let list = "crates/wire/src/refusal/list.rs";
    let sources: Vec<_> = sources.into_iter().filter(|(file, _)| file != list).collect();
    for (variant, code) in RefusalCode::VARIANTS {
        let used = |text: &str| {
            let named = format!("RefusalCode::{variant}");
            text.match_indices(&named).any(|(at, _)| {
                let whole = !text[at + named.len()..].starts_with(|c: char| c.is_alphanumeric());
                let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
                let compared = ["==", "!=", "matches!"].iter().any(|by| line.contains(by));
                whole && !compared
            })
        };
        assert!(sources.iter().any(|(_, text)| used(text)), "nothing refuses with {variant} (`{code}`)");
        // A single word may be the name of something else, too.
        let quoted = format!("\"{code}\"");
        let writes = sources.iter().find(|(_, text)| code.as_str().contains('-') && text.contains(&quoted));
        assert!(writes.is_none(), "{} writes `{code}` as text: name {variant}", writes.expect("a file").0);
    }
}
