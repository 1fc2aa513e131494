//! For tests that read the sources, because the compiler does not tell what they ask.

use std::{fs, path::Path};

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Returns the code of coordinator, agent and shared crates, by path from the root: without tests, comments, and these folders.
pub(crate) fn sources(but: &[&str]) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for folder in ["src", "agent/src", "crates"] {
        gather(folder, but, &mut sources);
    }
    assert!(sources.len() > 100, "found only {} files", sources.len());
    sources
}

fn gather(folder: &str, but: &[&str], sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(root().join(folder)).expect(folder) {
        let entry = entry.expect(folder);
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = format!("{folder}/{name}");
        if entry.file_type().expect("a type").is_dir() {
            let other = ["tests", "testing", "benches", "examples"].contains(&name.as_str());
            if !other && !but.contains(&path.as_str()) {
                gather(&path, but, sources);
            }
        } else if name.ends_with(".rs") && !["tests.rs", "testing.rs"].contains(&name.as_str()) {
            let text = fs::read_to_string(entry.path()).expect("a source");
            // Tests stand at the end of a file.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            sources.push((path, lines.collect::<Vec<_>>().join("\n")));
        }
    }
}
