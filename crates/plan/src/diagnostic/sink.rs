//! Collects the problems of some files, and hides secrets from what is shown of them.

use std::sync::{Arc, OnceLock};

use firedrill_wire::hide::HIDDEN;

use super::{
    covered::covered,
    problem::{FileId, Place, Problem, Severity, Source},
    report::Report,
};

/// Collects problems.
#[derive(Debug, Default)]
pub struct Sink {
    pub(crate) sources: Vec<Source>,
    pub(crate) problems: Vec<Problem>,
    hidden: Vec<Place>,
    secrets: Vec<String>,
}

impl Sink {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Hides a place from all messages and excerpts.
    pub fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// Hides a text from all messages, unless it is so short that it would match everywhere.
    pub fn hide_text(&mut self, secret: &str) {
        const SHORT: usize = 4;
        if secret.len() >= SHORT {
            self.secrets.push(secret.to_owned());
        }
    }

    /// Returns a message without secrets.
    pub(crate) fn harmless(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// Adds a file.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        self.sources.push(Source { name: name.into(), text: text.into(), lines: OnceLock::new() });
        FileId(self.sources.len() - 1)
    }

    /// Returns the text of a file with secrets covered.
    pub(crate) fn covered(&self, file: FileId) -> Arc<str> {
        let Some(source) = self.sources.get(file.0) else { return "".into() };
        if self.hidden.is_empty() {
            return Arc::clone(&source.text);
        }
        let here = self.hidden.iter().filter(|place| place.file == file);
        let here: Vec<_> = here.map(|place| place.at.clone()).collect();
        covered(&source.text, &here, &self.secrets).into()
    }

    /// Whether there are errors.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.errors() > 0
    }

    /// Returns the number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// Returns the warnings as lines of text, for the plan.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.problems.iter().filter(|problem| problem.severity == Severity::Warning);
        warnings.map(|problem| self.harmless(&problem.message)).collect()
    }

    /// Returns all problems, ready to be shown: errors first, then by file and place.
    #[must_use]
    pub fn into_report(mut self) -> Report {
        let mut problems = std::mem::take(&mut self.problems);
        let texts: Vec<Arc<str>> = (0..self.sources.len()).map(|file| self.covered(FileId(file))).collect();
        let mut sources = std::mem::take(&mut self.sources);
        if !self.hidden.is_empty() {
            for problem in &mut problems {
                problem.message = self.harmless(&problem.message);
                problem.help = problem.help.as_ref().map(|help| self.harmless(help));
            }
            for (source, text) in sources.iter_mut().zip(texts) {
                source.text = text;
            }
        }
        problems.sort_by_key(|problem| {
            let place = problem.place.as_ref().map(|place| (place.file, place.at.start));
            (problem.severity, place.is_none(), place)
        });
        Report { sources, problems }
    }
}
