//! Each program and verb has a man page, and the units name existing pages.
#![cfg(feature = "lab")]

#[path = "../examples/man/pages.rs"]
mod pages;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn every_program_and_verb_has_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = pages::write(folder.path()).expect("written");
    let mut wanted = BTreeSet::new();
    for (program, section) in [(firedrill::cli::command(), '1'), (firedrill_agent::cli::command(), '8')] {
        verbs(&program, program.get_name(), &mut |name| _ = wanted.insert(format!("{name}.{section}")));
    }
    assert_eq!(names, wanted, "pages, and the programs with their verbs");
    for name in &names {
        let text = read(folder.path(), name);
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(text.contains(part), "{name}: no {part}");
        }
    }
    let run = read(folder.path(), "firedrill-run.1");
    assert!(run.contains("\\-\\-plan"), "options of the verb: {run}");
    let agent = read(folder.path(), "firedrill-agent.8");
    assert!(
        agent.contains("firedrill\\-agent\\-undo(8)"),
        "verbs are in the section of their program: {agent}"
    );
    well_formed(folder.path(), &names);
}

/// Calls `found` with the name of a command and the names of all its verbs that help shows, also of verbs of verbs.
fn verbs(command: &clap::Command, name: &str, found: &mut impl FnMut(&str)) {
    found(name);
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        verbs(verb, &format!("{name}-{}", verb.get_name()), found);
    }
}

/// Returns the file of a page, in the folder of its section.
fn file(folder: &Path, name: &str) -> PathBuf {
    let section = name.rsplit('.').next().unwrap_or_default();
    folder.join(format!("man{section}")).join(name)
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(file(folder, name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Checks the pages with groff, if it is installed.
fn well_formed(folder: &Path, names: &BTreeSet<String>) {
    for name in names {
        let groff = Command::new("groff")
            .args(["-man", "-Kutf8", "-Tutf8", "-ww", "-z"])
            .arg(file(folder, name))
            .output();
        let Ok(groff) = groff else {
            eprintln!("skipped: the check of pages by groff, which is not installed");
            return;
        };
        assert!(
            groff.status.success() && groff.stderr.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&groff.stderr)
        );
    }
}

#[test]
fn units_name_existing_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = pages::write(folder.path()).expect("written");
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging");
    for unit in ["firedrill-agent.service", "firedrill-sweep.service", "firedrill-room.service"] {
        let text = fs::read_to_string(format!("{packaging}/{unit}")).expect("a unit");
        let page = text.lines().find_map(|line| line.strip_prefix("Documentation=man:")).expect("a man page");
        let (name, section) = page.trim_end_matches(')').split_once('(').expect("NAME(SECTION)");
        assert!(names.contains(&format!("{name}.{section}")), "{unit} names {page}");
    }
}
