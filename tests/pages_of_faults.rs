//! Each kind of fault has a page, a line in the list of pages, and a line in the guide. No page is about a kind that does not exist.

use std::{collections::BTreeSet, fs, path::Path};

use firedrill::{fleet::FleetSource, plan::inspect};
use firedrill_wire::Fault;

/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports, in columns.
const WIDTH: usize = 110;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults");

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn each_kind_has_a_page_and_each_page_a_kind() {
    let entries =
        fs::read_dir(FOLDER).expect("docs/faults").map(|entry| entry.expect("an entry").file_name());
    let pages = entries.filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned));
    let pages: BTreeSet<String> = pages.filter(|name| name != "README").collect();
    let kinds: BTreeSet<String> = Fault::KINDS.into_iter().map(str::to_owned).collect();
    assert_eq!(pages, kinds, "docs/faults must have a page NAME.md for each kind, and no other");
}

#[test]
fn pages_have_the_same_sections() {
    for kind in Fault::KINDS {
        let page = read(&format!("{FOLDER}/{kind}.md"));
        assert!(page.starts_with(&format!("# {kind}\n")), "{kind}: another title");
        for heading in ["In a scenario", "Parameters", "What to watch for", "How it ends", "How to see it"] {
            assert!(page.contains(&format!("\n## {heading}\n")), "{kind}: no section `{heading}`");
        }
        assert!(page.contains("\n## What happens "), "{kind}: no section on what happens");
        assert!(page.contains(&format!("{kind} = {{")), "{kind}: no example");
    }
}

/// The text before the attacks of a page, which makes them a scenario: the target `shop`, and the target that partitions name.
const TARGETS: &str = r#"
[targets.shop]
where = { role = ["edge", "app", "client"] }
[targets.cut-off]
where = { region = "fremont" }
"#;

#[test]
fn examples_pass_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let shop = fs::read_to_string(scenarios.join("lib/shop.toml")).expect("the shop");
    // The shop's guard is left out, because pages show attacks of all sizes.
    let shop = shop.split("[guard]").next().expect("before the guard");
    fs::write(folder.path().join("shop.toml"), shop).expect("written");
    let fleet = FleetSource::File(scenarios.join("fleet.toml"));
    for kind in Fault::KINDS {
        let page = read(&format!("{FOLDER}/{kind}.md"));
        let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let blocks: Vec<&str> = blocks.filter(|block| block.contains("[[attack]]")).collect();
        assert!(!blocks.is_empty(), "{kind}: no example of an attack");
        for (number, block) in blocks.into_iter().enumerate() {
            let (keys, attacks) = block.split_at(block.find("[[attack]]").expect("an attack"));
            let text = format!(
                "schema = 1\nname = \"page\"\nhypothesis = \"It holds.\"\ninclude = [\"shop.toml\"]\n{keys}{TARGETS}{attacks}"
            );
            let file = folder.path().join(format!("{kind}-{number}.toml"));
            fs::write(&file, text).expect("written");
            let found = inspect(&file, Some(&fleet), &[], Some(1));
            assert!(!found.report.failed(), "{kind}: {}", found.report.render(PLAIN, WIDTH));
        }
    }
}

#[test]
fn the_list_and_the_guide_have_each_kind() {
    let (list, guide) = (read(&format!("{FOLDER}/README.md")), read(&format!("{FOLDER}/../guide.md")));
    for kind in Fault::KINDS {
        assert!(
            list.contains(&format!("| [{kind}]({kind}.md) |")),
            "docs/faults/README.md has no line for {kind}"
        );
        assert!(
            guide.contains(&format!("(faults/{kind}.md)")),
            "docs/guide.md does not link the page of {kind}"
        );
    }
}
