//! Formats a problem for people, in the style of rustc: message, lines of the file with carets, help.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Renderer, Snippet};
use firedrill_wire::text::clean_lines;

use super::problem::{FileId, Problem, Severity, Source, located};

/// Maximum distance in lines between two places that share an excerpt.
const NEAR: usize = 6;

/// Formats a problem, without a line break at the end.
pub(super) fn render(problem: &Problem, sources: &[Source], colour: bool, width: usize) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let (level, head) = match problem.severity {
        Severity::Error => (Level::ERROR, "error: ".len()),
        Severity::Warning => (Level::WARNING, "warning: ".len()),
    };
    let title = level.primary_title(wrapped(&clean_lines(&problem.message), width.saturating_sub(head)));
    let excerpts = excerpts(problem, sources);
    let help = problem.help.as_ref().map(|help| {
        // `help` is printed to the right of the line numbers.
        let gutter = excerpts.iter().map(Excerpt::digits).max().unwrap_or(0);
        let width = width.saturating_sub(gutter + " = help: ".len());
        Element::from(Level::HELP.message(wrapped(&clean_lines(help), width)))
    });
    let elements = excerpts.into_iter().map(|excerpt| Element::from(excerpt.snippet())).chain(help);
    renderer.term_width(width).render(&[Group::with_title(title).elements(elements)])
}

/// An excerpt: lines of a file that are shown together.
struct Excerpt<'p> {
    file: FileId,
    source: &'p Source,
    /// The bytes of the whole lines.
    lines: Range<usize>,
    marks: Vec<Mark<'p>>,
}

/// A caret and its text.
struct Mark<'p> {
    at: Range<usize>,
    label: &'p str,
    kind: AnnotationKind,
}

/// Returns the excerpts: first that of the problem's own place and the related places near it, then one for each other
/// related place.
fn excerpts<'p>(problem: &'p Problem, sources: &'p [Source]) -> Vec<Excerpt<'p>> {
    let own = problem.place.iter().map(|place| (place, problem.label.as_str(), AnnotationKind::Primary));
    let also = problem.also.iter().map(|(place, label)| (place, label.as_str(), AnnotationKind::Context));
    let mut excerpts: Vec<Excerpt<'p>> = Vec::new();
    for (place, label, kind) in own.chain(also) {
        let Some((source, at)) = located(sources, place) else { continue };
        let lines = lines_around(&source.text, &at);
        let mark = Mark { at, label, kind };
        match excerpts.first_mut().filter(|own| own.file == place.file && own.near(&mark.at)) {
            Some(own) => {
                own.lines = own.lines.start.min(lines.start)..own.lines.end.max(lines.end);
                own.marks.push(mark);
            }
            None => excerpts.push(Excerpt { file: place.file, source, lines, marks: vec![mark] }),
        }
    }
    excerpts
}

impl<'p> Excerpt<'p> {
    /// Whether a place is so close to the first one that one excerpt shows both.
    fn near(&self, at: &Range<usize>) -> bool {
        let own = self.marks.first().map_or(0, |mark| mark.at.start);
        self.source.line(own).abs_diff(self.source.line(at.start)) <= NEAR
    }

    /// Returns the number of the first line that is shown.
    fn first_line(&self) -> usize {
        self.source.line(self.lines.start)
    }

    /// Returns the number of digits of the greatest line number.
    fn digits(&self) -> usize {
        self.source.line(self.lines.end).to_string().len()
    }

    /// Returns the lines for the renderer.
    fn snippet(self) -> Snippet<'p, Annotation<'p>> {
        let shown = &self.source.text[self.lines.clone()];
        // The renderer replaces other control characters itself.
        let plain = without_c1(shown);
        // Without its line break, an empty last line could not be pointed at.
        Snippet::source(format!("{plain}\n"))
            .path(clean_lines(&self.source.name).replace('\n', " "))
            .line_start(self.first_line())
            .annotation(AnnotationKind::Visible.span(0..plain.len()))
            .annotations(self.marks.into_iter().map(|Mark { at, label, kind }| {
                let position = |byte: usize| without_c1(&shown[..byte - self.lines.start]).len();
                kind.span(position(at.start)..position(at.end)).label(clean_lines(label))
            }))
    }
}

/// Returns the line of some bytes and the lines around it, without the last line break.
fn lines_around(text: &str, at: &Range<usize>) -> Range<usize> {
    let start_of = |byte: usize| text[..byte].rfind('\n').map_or(0, |line_break| line_break + 1);
    let end_of = |byte: usize| text[byte..].find('\n').map_or(text.len(), |length| byte + length);
    let before = start_of(start_of(at.start).saturating_sub(1));
    let end = end_of(at.end);
    // The line break at the end of the file begins no line.
    let after = if end + 1 < text.len() { end_of(end + 1) } else { end };
    before..after
}

/// Breaks lines at spaces so that none is longer than `width`, unless a single word is.
fn wrapped(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let mut length = 0;
    for word in text.split_inclusive([' ', '\n']) {
        if length > 0 && length + word.trim_end().chars().count() > width {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            length = 0;
        }
        wrapped.push_str(word);
        length = if word.ends_with('\n') { 0 } else { length + word.chars().count() };
    }
    wrapped
}

/// Replaces the control characters from U+0080 to U+009F, one by one. Some terminals take U+009B for ESC and `[`.
fn without_c1(text: &str) -> String {
    text.replace(|one| ('\u{80}'..='\u{9f}').contains(&one), "\u{fffd}")
}

#[cfg(test)]
mod tests;
