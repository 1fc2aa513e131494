//! Imports among the files of each crate point one way: no file imports, by any number of steps, a file that imports it.
//!
//! A circle means that neither file is understood, moved or tested without the other. Reads the source, and compiles nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "imports/circles.rs"]
mod circles;
#[path = "imports/source.rs"]
mod source;

use std::{fs, path::Path};

/// The crates' sources, each with its circles that are still there. A circle that is cut is taken off this list; none is added.
const CRATES: &[(&str, &[&str])] = &[
    ("crates/wire/src", &[]),
    ("crates/probe/src", &[]),
    ("crates/kernel/src", &[]),
    ("crates/files/src", &[]),
    ("crates/statistics/src", &[]),
    ("crates/plan/src", &[]),
    ("crates/judge/src", &[]),
    ("crates/netlink/src", &[]),
    ("crates/packets/src", &[]),
    (
        "agent/src",
        &[
        ],
    ),
    ("crates/lab/src", &[]),
    ("src", &[]),
];

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (src, known) in CRATES {
        let files = source::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(src).as_path());
        assert!(!files.is_empty(), "{src} has files");
        let found = circles::of(&source::imports(&files));
        let found: Vec<String> = found.iter().map(|circle| circle.join(" ")).collect();
        wrong.extend(
            found.iter().filter(|one| !known.contains(&one.as_str())).map(|one| format!("{src}: {one}")),
        );
        let gone = known.iter().filter(|one| !found.iter().any(|found| found == *one));
        wrong.extend(gone.map(|one| format!("{src}: this circle is gone, take it off the list: {one}")));
    }
    assert!(wrong.is_empty(), "files that import each other, by some steps:\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_of_the_workspace_is_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap().iter();
    let sources = members.map(|member| format!("{}/src", member.as_str().unwrap())).chain(["src".to_owned()]);
    let missing: Vec<String> =
        sources.filter(|src| root.join(src).is_dir() && CRATES.iter().all(|(one, _)| one != src)).collect();
    assert!(missing.is_empty(), "crates whose imports nobody looks at; add them to the list: {missing:?}");
}

#[test]
fn a_circle_over_a_third_file_and_a_new_name_is_found() {
    let file = |module: &str, text: &str| (source::module(module), syn::parse_file(text).unwrap());
    let files = [
        file("", "mod a; pub mod b; mod c; pub use c::Deep;"),
        file("a", "use crate::b::{self, Thing as Other};"),
        file("b", "pub struct Thing; fn f() { crate::Deep::new(); }"),
        file("c", "pub struct Deep; impl Deep { pub fn new() { super::a::g() } }"),
        file("d", "#[cfg(test)] mod tests { use crate::e::One; }"),
        file("e", "use super::d::Two;"),
    ]
    .into();
    assert_eq!(circles::of(&source::imports(&files)), [["a", "b", "c"]]);
}

#[test]
fn a_child_that_is_named_without_use_is_found() {
    let file = |module: &str, text: &str| (source::module(module), syn::parse_file(text).unwrap());
    let files = [
        file("", "mod calls; mod names; mod says;"),
        file("calls", "mod child; pub struct One; fn f() { child::f(); other::f(); }"),
        file("calls/child", "use super::One;"),
        file("names", "mod child; pub struct One(child::Two);"),
        file("names/child", "pub struct Two(super::One);"),
        file("says", "mod child; pub struct One; fn f() { println!(\"{}\", child::f()); }"),
        file("says/child", "use super::One;"),
        file("lonely", "mod child; fn f() { let child = 1; child.max(2); }"),
        file("lonely/child", "use super::One;"),
    ]
    .into();
    assert_eq!(
        circles::of(&source::imports(&files)),
        [["calls", "calls/child"], ["names", "names/child"], ["says", "says/child"]]
    );
}
