//! Problems of files: what is wrong, where, and what would be right. All of them, in one go.
//!
//! Collects and prints; never decides what a problem is.

use std::{fmt, ops::Range, sync::Arc};

use miette::{LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

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

/// A problem for machines; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonProblem {
    /// Whether it prevents the run.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Where it ends, not included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<JsonEnd>,
}

/// Where a problem ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JsonEnd {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl From<&Shown> for JsonProblem {
    fn from(shown: &Shown) -> Self {
        let place = shown.source.as_deref().zip(shown.labels.first());
        let ends = place.map(|(source, label)| {
            let text = source.inner();
            (line_column(text, label.offset()), line_column(text, label.offset() + label.len()))
        });
        Self {
            severity: shown.severity,
            message: shown.message.clone(),
            help: shown.help.clone(),
            file: place.map(|(source, _)| source.name().to_owned()),
            line: ends.map(|((line, _), _)| line),
            column: ends.map(|((_, column), _)| column),
            end: ends.map(|(_, (line, column))| JsonEnd { line, column }),
        }
    }
}

/// Line and column of a byte, both from 1.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known word that was probably meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let scored = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

/// What would be right for a word that nobody knows: the one that was probably meant, or all that there are.
#[must_use]
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    known.sort_unstable();
    known.dedup();
    match known.len() {
        0 => format!("there are no {what}"),
        1..=40 => format!("known {what}: {}", known.join(", ")),
        more => format!("known {what}: {}, … ({more} in all)", known[..30].join(", ")),
    }
}

/// Edit distance; two neighbours swapped count as one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let swap = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = swap.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        assert_eq!(nearest("bsaeline", ["baseline", "hold"]), Some("baseline"));
        assert_eq!(nearest("service_stop", ["service-stop", "service-kill"]), Some("service-stop"));
        assert_eq!(nearest("zebra", ["baseline", "hold"]), None);
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(line_column("a\nüb", 4), (2, 2));
        assert_eq!(line_column("", 9), (1, 1));
    }
}
