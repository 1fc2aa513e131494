//! Imports among the files of each crate have no circles: no file imports, directly or through others, a file that imports it. Files of a
//! circle could not be understood, moved or tested separately.
//!
//! Reads the source code, and compiles nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "imports/circles.rs"]
mod circles;
#[path = "imports/source.rs"]
mod source;

use std::{fs, path::Path};

/// Returns the sources of the crates of the workspace, by the members of its manifest.
fn sources(root: &Path) -> Vec<String> {
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap().iter();
    members.map(|member| format!("{}/src", member.as_str().unwrap())).chain(["src".to_owned()]).collect()
}

#[test]
fn imports_have_no_circles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for src in sources(root) {
        let files = source::read(&root.join(&src));
        assert!(!files.is_empty(), "{src} has files");
        let found = circles::of(&source::imports(&files));
        wrong.extend(found.iter().map(|circle| format!("{src}: {}", circle.join(" "))));
    }
    assert!(
        wrong.is_empty(),
        "files that import each other, directly or through others:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_circle_through_a_third_file_and_a_new_name_is_found() {
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
fn an_import_of_a_child_without_use_is_found() {
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
