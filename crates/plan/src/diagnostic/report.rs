//! All problems of some files, for people and for programs.

use std::{collections::HashMap, fmt};

use firedrill_wire::text::clean_lines;

use super::{
    json::JsonProblem,
    problem::{Problem, Severity, Source, located},
    text,
};

/// Maximum number of equal problems that are all shown.
const ALIKE: usize = 5;
/// Number of equal problems that are shown in full where there are more than `ALIKE`.
const ALIKE_SHOWN: usize = 3;
/// Maximum number of lines that are listed for the other ones.
const LINES: usize = 10;

/// All problems of some files.
#[derive(Debug)]
pub struct Report {
    pub(super) sources: Vec<Source>,
    pub(super) problems: Vec<Problem>,
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

    /// Returns the files that were read, in their order: the path of each as it was given, and its text in which secrets are covered.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|source| (source.name.as_str(), &*source.text))
    }

    /// Formats the problems for people, with carets. Of many equal problems, a few are shown in full and some by
    /// their lines.
    #[must_use]
    pub fn render(&self, colour: bool, width: usize) -> String {
        let kind = |problem: &Problem| {
            let file = problem.place.as_ref().map(|place| place.file);
            (problem.severity, problem.message.clone(), problem.label.clone(), file)
        };
        let mut kinds: HashMap<_, Vec<&Problem>> = HashMap::new();
        self.problems.iter().for_each(|problem| kinds.entry(kind(problem)).or_default().push(problem));
        let mut shown = String::new();
        for problem in &self.problems {
            let same = kinds.get(&kind(problem)).map_or(&[][..], Vec::as_slice);
            let many = same.len() > ALIKE;
            // Its index among those that are shown in full.
            let index = same.iter().take(ALIKE_SHOWN).position(|other| std::ptr::eq(*other, problem));
            if many && index.is_none() {
                continue;
            }
            shown.push_str(&text::render(problem, &self.sources, colour, width));
            shown.push_str("\n\n");
            if many && index == Some(ALIKE_SHOWN - 1) {
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
        format!("… and {} times more: {}{lines}\n\n", rest.len(), clean_lines(message))
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
#[must_use]
pub const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}
