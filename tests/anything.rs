//! Files with any content: reading them gives an answer and never panics, and every place that a message points at is
//! in the file.

use std::path::Path;

use firedrill::{fleet::FleetSource, plan::inspect};
use proptest::prelude::*;

/// Reads a text as a scenario and as a fleet.
fn read(text: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("any.toml");
    std::fs::write(&file, text).expect("written");
    let lib = directory.path().join("lib");
    std::fs::create_dir(&lib).expect("made");
    std::fs::copy("scenarios/lib/shop.toml", lib.join("shop.toml")).expect("copied");
    let right = FleetSource::File("scenarios/fleet.toml".into());
    let found = inspect(&file, Some(&right), &[("hold".to_owned(), "1m".to_owned())], Some(1));
    assert_eq!(found.plan.is_none(), found.report.failed());
    look(&found);
    let wrong = FleetSource::File(file);
    look(&inspect(Path::new("scenarios/demo.toml"), Some(&wrong), &[], Some(1)));
}

fn look(found: &firedrill::plan::Inspection) {
    assert!(!found.report.render(false, 110).contains("Failed to read contents"));
    for item in found.report.items() {
        assert!(item.line.is_none_or(|line| line > 0));
    }
}

const SEEDS: [&str; 4] =
    ["scenarios/demo.toml", "scenarios/ci-gate.toml", "scenarios/network-block.toml", "scenarios/fleet.toml"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
    }

    #[test]
    fn any_text_of_the_alphabet(text in "[\\[\\]{}=\"',.\\n a-zéλ0-9#_-]{0,300}") {
        read(text.as_bytes());
    }

    #[test]
    fn right_files_with_damage(
        seed in 0_usize..SEEDS.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\[\\]{}=\" \\n0-9a-zß%]{0,6}"), 1..6),
    ) {
        let mut text = std::fs::read_to_string(SEEDS[seed]).expect("read");
        for (from, length, instead) in cuts {
            let chars: Vec<char> = text.chars().collect();
            if chars.is_empty() { break; }
            let from = from.index(chars.len());
            let until = (from + length.index(8)).min(chars.len());
            text = chars[..from].iter().copied().chain(instead.chars()).chain(chars[until..].iter().copied()).collect();
        }
        read(text.as_bytes());
    }

    #[test]
    fn right_files_with_words_exchanged(seed in 0_usize..SEEDS.len(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let text = std::fs::read_to_string(SEEDS[seed]).expect("read");
        let mut lines: Vec<&str> = text.lines().collect();
        let (a, b) = (a.index(lines.len()), b.index(lines.len()));
        lines.swap(a, b);
        read(lines.join("\n").as_bytes());
    }
}
