//! Problems of files: the error, its place, and the correction. All of them at once.
//!
//! Collects and prints; never decides what a problem is.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use firedrill_wire::hide::HIDDEN;
use serde::Serialize;

use super::hidden;

mod json;
mod text;

pub use super::suggest::{nearest, suggest};
pub use json::{JsonEnd, JsonProblem};

/// Index of a file among those that were read.
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

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path, as it was given.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
    /// The offsets of its lines; computed when first needed.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// Returns the line of a byte, from 1. The file is scanned once, also for many problems.
    fn line(&self, byte: usize) -> usize {
        let starts = self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            breaks.map(|(at, _)| at + 1).collect()
        });
        starts.partition_point(|start| *start <= byte) + 1
    }
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It prevents the run.
    Error,
    /// It is a warning.
    Warning,
}

/// An error or a warning.
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
    /// Creates an error.
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

    /// Creates a warning.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Sets the place, and the text at the caret.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.place = Some(place);
        self.label = label.into();
        self
    }

    /// Sets the correction.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a related place.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }
}

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
    pub(crate) fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// Hides a text from all messages, unless it is so short that it would match everywhere.
    pub(crate) fn hide_text(&mut self, secret: &str) {
        const SHORT: usize = 4;
        if secret.len() >= SHORT {
            self.secrets.push(secret.to_owned());
        }
    }

    /// Returns a message without secrets.
    fn harmless(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// Adds a file.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        self.sources.push(Source { name: name.into(), text: text.into(), lines: OnceLock::new() });
        FileId(self.sources.len() - 1)
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
        let mut sources = std::mem::take(&mut self.sources);
        if !self.hidden.is_empty() {
            for problem in &mut problems {
                problem.message = self.harmless(&problem.message);
                problem.help = problem.help.as_ref().map(|help| self.harmless(help));
            }
            for (file, source) in sources.iter_mut().enumerate() {
                let here = self.hidden.iter().filter(|place| place.file == FileId(file));
                let here: Vec<_> = here.map(|place| place.at.clone()).collect();
                source.text = hidden::covered(&source.text, &here, &self.secrets).into();
            }
        }
        problems.sort_by_key(|problem| {
            let place = problem.place.as_ref().map(|place| (place.file, place.at.start));
            (problem.severity, place.is_none(), place)
        });
        Report { sources, problems }
    }
}

/// Maximum number of equal problems that are all shown …
const ALIKE: usize = 5;
/// … and number that is shown of more problems; some of the others are listed by their lines.
const ALIKE_SHOWN: usize = 3;
const LINES: usize = 10;

/// All problems of some files.
#[derive(Debug)]
pub struct Report {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

impl Report {
    /// Whether there are errors.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.counts().0 > 0
    }

    /// Whether there are no problems.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns the numbers of errors and warnings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        (errors, self.problems.len() - errors)
    }

    /// Formats the problems for people, with carets. Of many equal problems, a few are shown in full and some by
    /// their lines.
    #[must_use]
    pub fn render(&self, colour: bool, width: usize) -> String {
        let kind = |one: &Problem| {
            let file = one.place.as_ref().map(|place| place.file);
            (one.severity, one.message.clone(), one.label.clone(), file)
        };
        let mut kinds: HashMap<_, Vec<&Problem>> = HashMap::new();
        self.problems.iter().for_each(|one| kinds.entry(kind(one)).or_default().push(one));
        let mut shown = String::new();
        for one in &self.problems {
            let same = kinds.get(&kind(one)).map_or(&[][..], Vec::as_slice);
            let many = same.len() > ALIKE;
            let place = same.iter().take(ALIKE_SHOWN).position(|other| std::ptr::eq(*other, one));
            if many && place.is_none() {
                continue;
            }
            shown.push_str(&text::render(one, &self.sources, colour, width));
            shown.push_str("\n\n");
            if many && place == Some(ALIKE_SHOWN - 1) {
                shown.push_str(&self.same_again(&same[ALIKE_SHOWN..]));
            }
        }
        shown
    }

    /// Formats further equal problems as one line.
    fn same_again(&self, rest: &[&Problem]) -> String {
        let message = rest.first().map_or("", |one| one.message.as_str());
        let places = rest.iter().filter_map(|one| located(&self.sources, one.place.as_ref()?));
        let lines: Vec<String> =
            places.take(LINES).map(|(source, at)| source.line(at.start).to_string()).collect();
        let and = if rest.len() > lines.len() { ", …" } else { "" };
        let lines =
            if lines.is_empty() { String::new() } else { format!(", in lines {}{and}", lines.join(", ")) };
        format!("… and {} times more: {}{lines}\n\n", rest.len(), crate::terminal::harmless(message))
    }

    /// Returns the problems as data for machines.
    #[must_use]
    pub fn items(&self) -> Vec<JsonProblem> {
        self.problems.iter().map(|one| JsonProblem::new(one, &self.sources)).collect()
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

impl std::error::Error for Report {}

/// Returns `s` unless there is exactly one.
pub(crate) const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// Returns the file of a place, and its bytes limited to the text, to character boundaries, and to one line.
fn located<'s>(sources: &'s [Source], place: &Place) -> Option<(&'s Source, Range<usize>)> {
    let source = sources.get(place.file.0)?;
    let text = &source.text;
    let start = text.floor_char_boundary(place.at.start.min(text.len()));
    let end = text.ceil_char_boundary(place.at.end.clamp(start, text.len()));
    let length = text[start..end].split(['\n', '\r']).next().unwrap_or("").len();
    Some((source, start..start + length))
}
