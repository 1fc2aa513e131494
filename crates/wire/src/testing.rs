//! For tests that read the source code, to check rules that the compiler cannot check.

use std::{fs, path::Path};

/// Returns the root folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Returns the source code of the coordinator, the agent and the shared crates, each file with its path from the root, without tests and
/// comments. Leaves out the folders in `except`.
pub(crate) fn sources(except: &[&str]) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for folder in ["src", "agent/src", "crates"] {
        gather(folder, except, &mut sources);
    }
    assert!(sources.len() > 100, "found only {} files", sources.len());
    sources
}

/// Adds the files of a folder.
fn gather(folder: &str, except: &[&str], sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(root().join(folder)).expect(folder) {
        let entry = entry.expect(folder);
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = format!("{folder}/{name}");
        if entry.file_type().expect("a type").is_dir() {
            let other = ["tests", "testing", "benches", "examples"].contains(&name.as_str());
            if !other && !except.contains(&path.as_str()) {
                gather(&path, except, sources);
            }
        } else if name.ends_with(".rs") && !["tests.rs", "testing.rs"].contains(&name.as_str()) {
            let text = fs::read_to_string(entry.path()).expect("a source");
            // Tests are at the end of a file.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            sources.push((path, lines.collect::<Vec<_>>().join("\n")));
        }
    }
}
