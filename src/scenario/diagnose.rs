//! Problems of files: what is wrong, where, and what would be right. All of them, in one go.
//!
//! Collects and prints; never decides what a problem is.

use std::{fmt, ops::Range, sync::Arc};

use miette::{LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

mod json;

pub use super::suggest::{nearest, suggest};
pub use json::{JsonEnd, JsonProblem};

/// Which of the files that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) usize);

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub at: Range<usize>,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// As it was named.
    pub name: String,
    /// What it says.
    pub text: Arc<str>,
}

/// Whether something prevents the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It prevents the run.
    Error,
    /// Good to know beforehand.
    Warning,
    /// Another place that has to do with a problem.
    Note,
}

/// Something that is wrong, or good to know.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    pub(crate) also: Vec<(Place, String)>,
}

impl Problem {
    /// Something that prevents the run.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: "here".to_owned(),
            help: None,
            also: Vec::new(),
        }
    }

    /// Something that is good to know.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Where it is, and what the caret says.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.place = Some(place);
        self.label = label.into();
        self
    }

    /// What would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Another place that has to do with it.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }
}

/// Where problems are collected.
#[derive(Debug, Default)]
pub struct Sink {
    pub(crate) sources: Vec<Source>,
    pub(crate) problems: Vec<Problem>,
}

impl Sink {
    /// Notes a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Takes in a file.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        self.sources.push(Source { name: name.into(), text: text.into() });
        FileId(self.sources.len() - 1)
    }

    /// Whether something prevents the run.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.errors() > 0
    }

    /// How many things prevent the run.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// Warnings as lines of text, for the plan.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.problems.iter().filter(|problem| problem.severity == Severity::Warning);
        warnings.map(|problem| problem.message.clone()).collect()
    }

    /// Everything, ready to be shown: errors first, then by file and place.
    #[must_use]
    pub fn into_report(self) -> Report {
        let sources: Vec<_> = self
            .sources
            .iter()
            .map(|source| Arc::new(NamedSource::new(&source.name, Arc::clone(&source.text))))
            .collect();
        let mut problems = self.problems;
        problems.sort_by_key(|problem| {
            let place = problem.place.as_ref().map(|place| (place.file, place.at.start));
            (problem.severity, place.is_none(), place)
        });
        let shown = problems.into_iter().map(|problem| Shown::new(problem, &sources)).collect();
        Report { shown }
    }
}

/// All problems of some files.
#[derive(Debug)]
pub struct Report {
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    severity: Severity,
    message: String,
    help: Option<String>,
    source: Option<Arc<NamedSource<Arc<str>>>>,
    labels: Vec<LabeledSpan>,
    elsewhere: Vec<Shown>,
}

impl Shown {
    fn new(problem: Problem, sources: &[Arc<NamedSource<Arc<str>>>]) -> Self {
        let Problem { severity, message, place, label, help, also } = problem;
        let mut shown = Self { severity, message, help, source: None, labels: vec![], elsewhere: vec![] };
        let Some(place) = place else { return shown };
        shown.source = sources.get(place.file.0).cloned();
        shown.labels.push(mark(shown.source.as_ref(), &place.at, label, true));
        for (other, label) in also {
            if other.file == place.file && near(shown.source.as_ref(), &other.at, &place.at) {
                shown.labels.push(mark(shown.source.as_ref(), &other.at, label, false));
            } else {
                let there = Problem { severity: Severity::Note, ..Problem::error(label).at(other, "here") };
                shown.elsewhere.push(Self::new(there, sources));
            }
        }
        shown
    }
}

/// Whether two places are so close that one excerpt shows both.
fn near(source: Option<&Arc<NamedSource<Arc<str>>>>, one: &Range<usize>, other: &Range<usize>) -> bool {
    let text = source.map_or("", |source| source.inner()).as_bytes();
    let (from, until) =
        (one.start.min(other.start).min(text.len()), one.start.max(other.start).min(text.len()));
    text[from..until].iter().filter(|byte| **byte == b'\n').count() <= 6
}

/// A label whose bytes are surely within the text, on character boundaries, and on one line.
fn mark(
    source: Option<&Arc<NamedSource<Arc<str>>>>,
    at: &Range<usize>,
    label: String,
    first: bool,
) -> LabeledSpan {
    let text = source.map_or("", |source| source.inner());
    let start = text.floor_char_boundary(at.start.min(text.len()));
    let end = text.ceil_char_boundary(at.end.clamp(start, text.len()));
    let line = text[start..end].split(['\n', '\r']).next().unwrap_or("").len();
    let span = (start, line);
    if first {
        LabeledSpan::new_primary_with_span(Some(label), span)
    } else {
        LabeledSpan::new_with_span(Some(label), span)
    }
}

impl Report {
    /// Whether something in it prevents the run.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.shown.iter().any(|shown| shown.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How many errors and warnings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.shown.iter().filter(|shown| shown.severity == Severity::Error).count();
        (errors, self.shown.len() - errors)
    }

    /// As text for people, with carets.
    #[must_use]
    pub fn render(&self, colour: bool, width: usize) -> String {
        let theme = if colour {
            miette::GraphicalTheme::unicode()
        } else {
            miette::GraphicalTheme::unicode_nocolor()
        };
        let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(width).with_links(colour);
        let mut text = String::new();
        for shown in &self.shown {
            if handler.render_report(&mut text, shown).is_err() {
                text.push_str(&shown.message);
            }
            text.push('\n');
        }
        text
    }

    /// As data for machines.
    #[must_use]
    pub fn items(&self) -> Vec<JsonProblem> {
        self.shown.iter().map(JsonProblem::from).collect()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let all = self.elsewhere.iter().map(|shown| shown as &dyn miette::Diagnostic);
        (!self.elsewhere.is_empty()).then(|| Box::new(all) as Box<_>)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.counts() {
            (0, warnings) => write!(f, "{warnings} warning{}", plural(warnings)),
            (errors, _) => write!(f, "{errors} problem{} in the scenario or fleet", plural(errors)),
        }
    }
}

/// An `s` where there is not exactly one.
pub(crate) const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.shown.iter().map(|shown| shown as &dyn miette::Diagnostic)))
    }
}
