use std::{fs, path::Path};

use firedrill_wire::fault::ServiceManager;

/// The code of a folder, by path: without tests and comments.
fn gather(folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        if path.is_dir() {
            if name != "tests" {
                gather(&path, sources);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            sources.push((path.display().to_string(), lines.collect::<Vec<_>>().join("\n")));
        }
    }
}

/// Reads the sources, because the compiler does not tell a `_` arm or a list of its own.
#[test]
fn a_manager_has_its_file_and_one_line_and_nothing_else_goes_by_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    gather(&src, &mut sources);
    assert!(sources.len() > 50, "found only {} files", sources.len());
    for manager in ServiceManager::ALL {
        let variant = format!("ServiceManager::{manager:?}");
        let own = src.join(format!("service/{manager}"));
        let own = own.display().to_string();
        let list = src.join("service.rs").display().to_string();
        for (file, text) in &sources {
            let named = text.matches(&variant).count() + text.matches(&format!("{manager}::DRIVER")).count();
            let wanted = if *file == list { 2 } else { 0 };
            assert!(file.starts_with(&own) || named == wanted, "{file} names {variant} {named} times");
        }
        let made = format!("impl Manager for {manager:?} ");
        let files = sources.iter().filter(|(_, text)| text.contains(&made));
        assert_eq!(files.map(|(file, _)| file.as_str()).collect::<Vec<_>>(), [format!("{own}.rs")]);
    }
}
