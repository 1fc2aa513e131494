//! Finds the files of a scenario and the order of their tables. Refuses files that may not be included or cannot be read.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use firedrill_files::text::{self, Text};
use toml::{Spanned, de::DeTable};

use super::super::{hidden, reading};
use crate::diagnostic::{FileId, Place, Problem, Sink};

/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Environment variable with a folder below which files may be included, besides the scenario's own.
const ROOT_VARIABLE: &str = "FIREDRILL_ROOT";

/// The files, in the order of their tables: included files come before the file that includes them.
#[derive(Default)]
pub(super) struct Files {
    /// Every included file must lie below one of these folders.
    roots: Vec<PathBuf>,
    pub(super) order: Vec<FileId>,
    /// The real paths of files that were read completely.
    done: Vec<PathBuf>,
    /// The files that are being read, each included by the one before it: the real path, and the path as it was given.
    stack: Vec<(PathBuf, String)>,
}

impl Files {
    /// Begins with the folders below which a scenario may include files.
    pub(super) fn of(scenario: &Path) -> Self {
        Self { roots: roots(scenario), ..Self::default() }
    }

    /// Reads a file and those that it includes. `from` is the place that includes it.
    pub(super) fn load(&mut self, path: &Path, from: Option<Place>, sink: &mut Sink) {
        let name = path.display().to_string();
        let real = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return sink.push(unreadable(&name, &error.to_string(), from)),
        };
        if !self.stack.is_empty() && !self.roots.iter().any(|root| real.starts_with(root)) {
            let problem =
                Problem::error(format!("{name} is outside of the scenario's folder and was not read"));
            let help = format!("move it below that folder, or name a folder above both in {ROOT_VARIABLE}");
            return sink.push(match from {
                Some(place) => problem.at(place, "included here").help(help),
                None => problem.help(help),
            });
        }
        if self.stack.iter().any(|(file, _)| *file == real) {
            let ring: Vec<&str> =
                self.stack.iter().map(|(_, name)| name.as_str()).chain([name.as_str()]).collect();
            let problem = Problem::error(format!("files include each other: {}", ring.join(" → ")));
            return sink.push(match from {
                Some(place) => problem.at(place, "closes the ring"),
                None => problem,
            });
        }
        if self.done.contains(&real) {
            return;
        }
        let Text { text, mark } = match text::read(&real, MAX_BYTES) {
            Ok(text) => text,
            Err(error) => return sink.push(unreadable(&name, &error, from)),
        };
        let id = sink.add_source(name.as_str(), text.as_str());
        if mark {
            let problem = Problem::warning(text::MARK).at(Place { file: id, at: 0..0 }, "before this");
            sink.push(problem.help(text::MARK_HELP));
        }
        self.stack.push((real.clone(), name));
        let (table, whole) = reading::table(&text, id, sink);
        hidden::note(id, &text, &table, whole, sink);
        for (include, at) in includes(&table) {
            let path = path.parent().unwrap_or(Path::new("")).join(include);
            self.load(&path, Some(Place { file: id, at }), sink);
        }
        self.stack.pop();
        self.done.push(real);
        self.order.push(id);
    }
}

/// Returns the files that a tree includes. Errors in the list are reported when the tree is read.
fn includes(table: &Spanned<DeTable<'_>>) -> Vec<(String, Range<usize>)> {
    let Some(include) = table.get_ref().get("include") else { return Vec::new() };
    let one = std::slice::from_ref(include);
    let list = include.get_ref().as_array().map_or(one, |array| array.as_ref());
    list.iter().filter_map(|entry| Some((entry.get_ref().as_str()?.to_owned(), entry.span()))).collect()
}

/// Returns the folders below which files may be included: the scenario's own, and the one from the environment.
fn roots(scenario: &Path) -> Vec<PathBuf> {
    let own = std::fs::canonicalize(scenario).ok().and_then(|real| real.parent().map(Path::to_path_buf));
    let named = std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty());
    own.into_iter().chain(named.and_then(|root| std::fs::canonicalize(root).ok())).collect()
}

fn unreadable(name: &str, error: &str, from: Option<Place>) -> Problem {
    let problem = Problem::error(format!("{name} could not be read: {error}"));
    match from {
        Some(place) => {
            problem.at(place, "included here").help("paths are relative to the file that includes")
        }
        None => problem,
    }
}
