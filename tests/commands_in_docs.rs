//! The programs accept the commands in the documentation, and the documentation's links lead to existing files and headings.
#![cfg(feature = "lab")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use firedrill::reference::anchor;

/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports, in columns.
const WIDTH: usize = 110;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the pages of the documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| root().join(name)).to_vec();
    for folder in ["docs", "docs/faults", "docs/decisions"] {
        let entries =
            fs::read_dir(root().join(folder)).expect(folder).map(|entry| entry.expect("an entry").path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Splits a shell line into words. Stops at the first comment, pipe, redirection or next command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, '|' | '>' | '<' | '&' | ';') => break,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            _ => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Returns the command line of the program with that name; `None` if it is not one of ours.
fn program(word: &str) -> Option<clap::Command> {
    match word {
        "firedrill" => Some(firedrill::cli::command()),
        "firedrill-agent" => Some(firedrill_agent::cli::command()),
        _ => None,
    }
}

#[test]
fn commands_are_accepted_by_the_programs() {
    let (mut count, mut wrong) = (0, Vec::new());
    for path in pages() {
        let text = read(&path);
        let before = count;
        for (number, line) in text.lines().enumerate() {
            let Some(line) = line.strip_prefix("    ") else { continue };
            let words = words(line.trim());
            let Some(command) = words.first().and_then(|first| program(first)) else { continue };
            count += 1;
            // A run's id is written in lower case.
            let words = words.iter().map(|word| if word == "RUN" { "run" } else { word.as_str() });
            if let Err(error) = command.try_get_matches_from(words) {
                wrong.push(format!("{}:{}: {line}\n{error}", path.display(), number + 1));
            }
        }
        // Every command must be parsed, also one in a list or in a fenced block.
        let begins = |line: &&str| line.split_once(' ').is_some_and(|(first, _)| program(first).is_some());
        let written = text.lines().map(str::trim_start).filter(begins).count();
        if written != count - before {
            let parsed = count - before;
            wrong.push(format!(
                "{}: {written} lines begin with a program, {parsed} were parsed",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 50, "{count} commands were found");
}

#[test]
fn links_lead_to_files_and_headings() {
    for path in pages() {
        let text = read(&path);
        // In code blocks brackets are not links.
        let prose = text.split("```").step_by(2).collect::<String>();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(file.exists(), "{}: no file {link}", path.display());
            if !heading.is_empty() {
                let known = headings(&read(&file));
                assert!(known.iter().any(|known| known == heading), "{}: no heading {link}", path.display());
            }
        }
    }
}

/// Returns the anchors of a page's headings.
fn headings(text: &str) -> Vec<String> {
    let lines = text.split("```").step_by(2).flat_map(str::lines).filter(|line| line.starts_with('#'));
    // The anchor of a heading with a link is that of the link's text.
    let titles = lines.map(|line| line.trim_start_matches('#').trim().split("](").next().unwrap_or_default());
    titles.map(anchor).collect()
}

#[test]
fn the_fleet_of_the_page_on_labs_is_valid() {
    let page = read(&root().join("docs/lab.md"));
    let fleet = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a fleet");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.toml");
    fs::write(&file, fleet).expect("written");
    let mut sink = firedrill::diagnostic::Sink::default();
    let read = firedrill::fleet::Fleet::load(&firedrill::fleet::FleetSource::File(file), &mut sink);
    assert!(!sink.failed(), "{}", sink.into_report().render(PLAIN, WIDTH));
    assert_eq!(read.expect("a fleet").services.len(), 3);
}

#[test]
fn the_tutorials_files_pass_check() {
    let page = read(&root().join("docs/tutorial.md"));
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [fleet, scenario, ci] = blocks[..] else { panic!("a fleet, a scenario, and what CI adds") };
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let fleet = firedrill::fleet::FleetSource::File(file("fleet.toml", fleet.to_owned()));
    for (name, text) in [("shop-crash.toml", scenario.to_owned()), ("gate.toml", format!("{scenario}{ci}"))] {
        let found = firedrill::plan::inspect(&file(name, text), Some(&fleet), &[], Some(1));
        assert!(!found.report.failed(), "{}", found.report.render(PLAIN, WIDTH));
    }
}
